"""Trajectories that one job makes: a manifest, which the pipeline knows as its output, and files, which it does not.

Snakemake deletes a rule's outputs before it runs the rule again, and looks at every input of every rule whenever it
plans. Ten thousand files of trajectories are therefore outputs and inputs of no rule: manifests stand for them, each
for the environments of a job. A job makes those files alone that are not there as they would be made.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.core.provenance import file_digest

HEADER = "environment,sha256"
LIST = "list-"
"""What names of lists of manifests begin with."""
RECORDS = ".made"
"""Folder beside manifests, in which stands what files were made from."""


@dataclass(frozen=True)
class Manifest:
    """Which files of trajectories there are, by their contents: as long as these are the same, so is the manifest.

    Attributes:
        digests: of the file of each environment.
    """

    digests: Mapping[str, str]

    @classmethod
    def load(cls, path: Path) -> Manifest:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: it is none.
        """
        try:
            header, *lines = path.read_text(encoding="utf-8").splitlines()
            if header != HEADER:
                raise ValueError
            return cls(dict(_pair(line) for line in lines))
        except (OSError, ValueError):
            raise InputError(
                f"{path}: cannot be read, expected a manifest of trajectories: delete it, and run again"
            ) from None

    def save(self, path: Path) -> None:
        """Write as CSV: environment, sha256."""
        lines = [HEADER, *(f"{id},{digest}" for id, digest in self.digests.items())]
        with written_whole(path) as partial:
            partial.write_text("\n".join(lines) + "\n", encoding="utf-8")


def forget_incomplete(folder: Path, shards: Mapping[str, Sequence[str]]) -> None:
    """Delete manifests of files that are gone, and lists of them: what is missing is made again, once it is needed."""
    if not folder.is_dir():
        return
    there = {path.name for path in folder.iterdir()}
    gone = [shard for shard, ids in shards.items() if not all(f"{id}.nc" in there for id in ids)]
    forgotten = [f"{shard}.csv" for shard in gone if f"{shard}.csv" in there]
    if forgotten:
        forgotten += [name for name in there if name.startswith(LIST) and name.endswith(".csv")]
    for name in forgotten:
        (folder / name).unlink(missing_ok=True)


def list_name(ids: Sequence[str]) -> str:
    """The name of the list of manifests of some environments: the same for the same ones in the same order."""
    return f"{LIST}{hashlib.sha256(' '.join(ids).encode()).hexdigest()[:12]}"


class MadeFiles:
    """Files of trajectories that a job makes, and what it knows of those that were made before.

    Each file is noted as soon as it is there, with a digest of all that it was made from: a job that was killed, or
    whose shard was cut anew, makes no file twice.

    Args:
        manifest: where it will lie; files lie beside it.
        made_from: digest of what each environment's file is made from; none of those that are to be made in any case.
    """

    def __init__(self, manifest: Path, made_from: Mapping[str, str]) -> None:
        self._folder = manifest.parent
        self._record = self._folder / RECORDS / f"{manifest.stem}.jsonl"
        self._made_from = made_from
        self._digests: dict[str, str] = {}
        for record in [self._record, *sorted(set(self._record.parent.glob("*.jsonl")) - {self._record})]:
            if len(self._digests) == len(made_from):
                break
            self._find(_entries(record))

    def __contains__(self, environment: object) -> bool:
        return environment in self._digests

    def path(self, environment: str) -> Path:
        """Where an environment's file lies."""
        return self._folder / f"{environment}.nc"

    def note(self, environment: str) -> None:
        """Note that the file of an environment has been made."""
        self._digests[environment] = file_digest(self.path(environment))
        self._record.parent.mkdir(parents=True, exist_ok=True)
        with self._record.open("a", encoding="utf-8") as record:
            record.write(self._line(environment))

    def manifest(self, environments: Iterable[str]) -> Manifest:
        """The manifest of all of a job's files, once they are made; the record then holds them and no others."""
        ids = list(environments)
        with written_whole(self._record) as partial:
            partial.write_text("".join(map(self._line, ids)), encoding="utf-8")
        return Manifest({id: self._digests[id] for id in ids})

    def _line(self, environment: str) -> str:
        made_from = self._made_from.get(environment)
        return json.dumps({"id": environment, "made_from": made_from, "sha256": self._digests[environment]}) + "\n"

    def _find(self, entries: Iterable[tuple[str, str, str]]) -> None:
        for id, made_from, digest in entries:
            path = self.path(id)
            if self._made_from.get(id) == made_from and path.is_file() and file_digest(path) == digest:
                self._digests[id] = digest


def _pair(line: str) -> tuple[str, str]:
    id, digest = line.split(",")
    return id, digest


def _entries(record: Path) -> list[tuple[str, str, str]]:
    """Environment, what its file was made from, and the file's digest; a line that cannot be read does not count."""
    try:
        lines = record.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    found = []
    for line in lines:
        try:
            entry = json.loads(line)
            values = entry["id"], entry["made_from"], entry["sha256"]
        except (ValueError, KeyError, TypeError, RecursionError):
            continue
        if all(isinstance(value, str) for value in values):
            found.append(values)
    return found
