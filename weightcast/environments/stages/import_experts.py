"""The stage ``import_experts``: the experts of a shard of environments from a published zoo, verified."""

from __future__ import annotations

from pathlib import Path

from weightcast.core.artifact_header import digest_of
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.stored_tensor import JoinedRows
from weightcast.environments.expert_files import expert_path
from weightcast.environments.jobs import ImportExperts
from weightcast.environments.published.reading import PublishedZoo
from weightcast.environments.zoo import ExpertFile, ExpertShard, Zoo


@stage("import_experts")
def import_experts(run: Run, settings: ImportExperts, published: PublishedZoo) -> ExpertShard:
    """Copy experts, each verified, to a file an environment beside the shard, but for those that are there.

    Args:
        run: whose output they lie beside.
        settings: environments, base, and how many of each environment.
        published: the zoo.

    Raises:
        InputError: an expert is not what the zoo's manifest says.
    """
    zoo, folder = published.zoo(settings.base), run.outputs["output"].parent
    members = [zoo.take(_rows(zoo, published, settings, id)) for id in settings.ids]
    files = [_file(own, expert_path(folder, id)) for own, id in zip(members, settings.ids, strict=True)]
    manifest = [entry for own in members for entry in own.manifest]
    return ExpertShard(JoinedRows.of(files), manifest, zoo.metadata | run.described())


def _rows(zoo: Zoo, published: PublishedZoo, settings: ImportExperts, environment: str) -> list[int]:
    """Rows of an environment's experts: all of them, or, where one alone is wanted, the first that did not diverge."""
    if settings.members == 1:
        return published.rows_of(settings.base, environment)[:1]
    rows = [row for row, entry in enumerate(zoo.manifest) if entry["environment"] == environment]
    return sorted(rows, key=lambda row: zoo.manifest[row]["member"])[: settings.members]


def _file(own: Zoo, path: Path) -> ExpertFile:
    """A file with the experts of an environment: the one that is there, if it was made of them."""
    made_from = digest_of({"experts": own.manifest, "published": own.metadata["published_digest"]})
    if path.is_file():
        try:
            file, metadata = ExpertFile.open(path)
            if metadata.get("made_from") == made_from:
                file.verify()
                return file
        except InputError:  # damaged: copied again
            path.unlink()
    return ExpertFile.save(path, own.weights, own.manifest, made_from)
