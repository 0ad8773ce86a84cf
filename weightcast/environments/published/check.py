"""Whether a study fits the published zoo that it begins from. Only light modules are imported: Snakemake reads this."""

from __future__ import annotations

from pathlib import Path

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.environments.config.study import Study
from weightcast.environments.published.manifest import NAME, read_manifest


def check_published(study: Study, table: EnvironmentTable) -> None:
    """Check a study against the manifest of the zoo that it begins from.

    Args:
        study: its configuration.
        table: its environments.

    Raises:
        InputError: it is of another system or predictor, or has environments that the zoo has no experts of.
    """
    assert study.zoo.published is not None
    manifest, path = read_manifest(study.zoo.published), Path(study.zoo.published) / NAME
    experts = next((manifest.zoos[base] for base in manifest.zoos if base == study.zoo.bases[0]), None)
    if experts is None:
        found = " and ".join(sorted(manifest.zoos))
        raise InputError(f"config: zoo.bases: found {study.zoo.bases[0]!r}, expected {found} as in {path}")
    data, system = study.data, manifest.system
    if list(data.channels) != system.channels:
        raise InputError(f"config: data.channels: found {data.channels}, expected {system.channels} as in {path}")
    if list(data.grid) != system.grid:
        raise InputError(f"config: data.grid: found {list(data.grid)}, expected {system.grid} as in {path}")
    if study.predictor != experts.predictor:
        raise InputError(f"config: predictor: found settings of another network, expected those of {path}")
    if data.source == "zoo" and data.trajectories.total != len(manifest.states.frames):
        raise InputError(
            f"config: data.trajectories: found {data.trajectories.total} in all, expected "
            f"{len(manifest.states.frames)} as sample states in {path}"
        )
    healthy = {expert.environment for expert in experts.experts if not expert.diverged}
    known = {environment.id: environment.parameters for environment in manifest.environments}
    for environment in table:
        if environment.id not in healthy:
            raise InputError(
                f"{table.path}: column id: found {environment.id!r}, expected environments of {path} that have experts"
            )
        if dict(environment.parameters) != known[environment.id]:
            raise InputError(
                f"{table.path}: environment {environment.id}: found other parameters than in {path}, expected those"
            )
