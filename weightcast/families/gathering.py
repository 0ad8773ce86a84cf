"""Samples of a study's environments, simulated or from the user's own files."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.evolution.simulated_system import simulated_system
from weightcast.families.snapshots import EnvironmentSnapshots, FamilySnapshots
from weightcast.families.sources import source_files
from weightcast.samples.long_cells import read_long_cells
from weightcast.samples.long_table import read_long_table
from weightcast.samples.masses import masses_of
from weightcast.samples.read import read_samples
from weightcast.samples.record import Loadings, TimedSamples
from weightcast.samples.settings import SnapshotSettings
from weightcast.systems.stochastic import default_times, simulate


def simulate_family(
    settings: SnapshotSettings, table: EnvironmentTable, seed: int, source: str = "config"
) -> FamilySnapshots:
    """Simulate the trajectories of every environment; its parameters are settings of the simulator.

    What is simulated for an environment depends on its row, the settings and the seed alone.

    Args:
        settings: source, shared constants, trajectories and times.
        table: of the environments.
        seed: of the study.
        source: file of the configuration, named in messages.

    Raises:
        InputError: a setting is unknown or out of its bounds, or a count reaches ``states``.
    """
    assert settings.trajectories is not None  # parse_family_study has seen to it
    counts = settings.trajectories
    found = {}
    for environment in table:
        process = simulated_system(settings_of(settings, environment, source), source)
        times = default_times(process, counts.times)
        parts = []
        for part, number in (("train", counts.train), ("held-out", counts.held_out)):
            values = simulate(process, times, number, derive_seed(seed, "simulate", environment.id, part))
            parts.append(tuple(values[:, position].astype(np.float64) for position in range(len(times))))
        observed = np.array(settings.seen(len(times)))
        found[environment.id] = EnvironmentSnapshots(times, observed, parts[0], parts[1], True)
    return _checked(FamilySnapshots(found, tuple(settings.dimensions), settings.states), table, source)


def import_family(settings: SnapshotSettings, table: EnvironmentTable, seed: int) -> FamilySnapshots:
    """Read the user's own files, and hold part of each environment's samples out.

    ``data.file`` is a folder with a file for each environment, ``<id>.csv`` or of another format, or one long CSV table
    with a column of environments, or an AnnData file with such a column of obs. Environments may have any times, and
    any number of samples at each.

    Args:
        settings: source, file, how to read it, how much is held out.
        table: of the environments.
        seed: of the study.

    Raises:
        InputError: a file is missing or cannot be used, or an environment has no samples.
    """
    assert settings.imported and settings.file is not None  # parse_family_study has seen to it
    return split_family(_read(settings, table), settings, table, seed)


def split_family(
    samples_of: Mapping[str, TimedSamples], settings: SnapshotSettings, table: EnvironmentTable, seed: int
) -> FamilySnapshots:
    """Hold part of each environment's samples out.

    Args:
        samples_of: as read, by id.
        settings: how much is held out, which times are snapshots, what kind of state it is.
        table: of the environments.
        seed: of the study.

    Raises:
        InputError: nothing can be learned from them, or the state cannot hold them.
    """
    found = {}
    for environment in table:
        samples = samples_of[environment.id]
        observed = np.array(settings.seen(len(samples.times)))
        train, held_out = [], []
        for time, values in zip(samples.times, samples.samples, strict=True):
            # The same trajectories at every time; of independent samples, others at each.
            of_time = () if samples.trajectories else (repr(float(time)),)
            random = np.random.default_rng(derive_seed(seed, "held-out", environment.id, *of_time))
            order = random.permutation(len(values))
            held = round(settings.held_out * len(values))
            held_out.append(values[np.sort(order[:held])])
            train.append(values[np.sort(order[held:])])
        found[environment.id] = EnvironmentSnapshots(
            samples.times,
            observed,
            tuple(train),
            tuple(held_out),
            samples.trajectories,
            masses_of(samples, settings, f"{settings.file}: {environment.id}"),
        )
    units = {samples.time_unit for samples in samples_of.values()}
    unit = units.pop() if len(units) == 1 else ""
    family = FamilySnapshots(
        found, tuple(settings.dimensions), settings.states, unit, common_loadings(list(samples_of.values()))
    )
    return _checked(family, table, str(settings.file))


def settings_of(settings: SnapshotSettings, environment: Environment, source: str) -> SnapshotSettings:
    """The settings with an environment's parameters among those of the simulator.

    Raises:
        InputError: a parameter stands in both.
    """
    both = settings.settings.keys() & environment.parameters.keys()
    if both:
        raise InputError(f"{source}: data.settings: found {min(both)}, expected none that the table has as a parameter")
    # A whole number, of molecules say, is written as one with a decimal point where a table is written.
    own: dict[str, Any] = {
        name: int(value) if float(value).is_integer() else value for name, value in environment.parameters.items()
    }
    return settings.model_copy(update={"settings": settings.settings | own})


def refuse_components_of_each(folder: str, settings: Mapping[str, Any]) -> None:
    """Refuse principal components that every environment's file would have of its own.

    Raises:
        InputError: the representation is of genes.
    """
    representation = str(settings.get("representation", ""))
    if representation == "X" or representation.startswith("layers/"):
        raise InputError(
            f"{folder}: data.settings.representation: found {representation}, of which each file would have principal "
            "components of its own, expected coordinates in obsm that all files share, or one AnnData file of all "
            "environments"
        )


def common_loadings(samples: Sequence[TimedSamples]) -> Loadings | None:
    """The way back to genes, where all environments have the same components of the same genes."""
    first = samples[0].loadings
    others = [one.loadings for one in samples[1:] if one.loadings is not first]
    if first is None or any(other is None or not first.same_components(other) for other in others):
        return None
    centres = [one.loadings.centre for one in samples if one.loadings is not None]
    return first if not others else Loadings(first.components, np.mean(centres, axis=0), first.genes)


def _read(settings: SnapshotSettings, table: EnvironmentTable) -> dict[str, TimedSamples]:
    """The samples of each environment by id."""
    files = source_files(settings, table)
    if Path(str(settings.file)).is_dir():
        format: Any = settings.source
        refuse_components_of_each(str(settings.file), settings.settings)
        return {
            environment.id: read_samples(file, format, settings.settings, settings.dimensions)
            for environment, file in zip(table, files, strict=True)
        }
    if settings.source == "h5ad":
        visible = {environment.id for environment in table.visible}
        found = read_long_cells(Path(files[0]), settings.settings, settings.dimensions, visible)
    else:
        found = read_long_table(Path(files[0]), settings.settings, settings.dimensions)
    for environment in table:
        if environment.id not in found:
            raise InputError(
                f"{files[0]}: found no row of {environment.id}, expected samples of it as {table.path} has it"
            )
    return found


def _checked(family: FamilySnapshots, table: EnvironmentTable, source: str) -> FamilySnapshots:
    """Refuse samples that nothing can be learned from, or that the study's kind of state cannot hold."""
    for id, one in family.environments.items():
        for position, time in enumerate(one.times):
            for values in (one.train[position], one.held_out[position]):
                _check_values(values, family, f"{source}: {id}: time {time:g}")
            if not len(one.train[position]):
                raise InputError(f"{source}: {id}: time {time:g}: found no sample to train with, expected 1 or more")
    seen = np.concatenate(
        [
            family.environments[environment.id].train[position]
            for environment in table.visible
            for position in np.flatnonzero(family.environments[environment.id].observed)
        ]
    )
    for dimension, name in enumerate(family.dimensions):
        if np.ptp(seen[:, dimension]) == 0:
            raise InputError(
                f"{source}: dimension {name}: found the one value {seen[0, dimension]:g} in every visible environment, "
                "expected a dimension that varies: leave it out"
            )
    return family


def _check_values(values: np.ndarray, family: FamilySnapshots, place: str) -> None:
    wrong = ~np.isfinite(values)
    expected = "finite numbers"
    if family.states is not None:
        wrong |= (values < 0) | (values != np.round(values)) | (values >= family.states)
        expected = f"a whole number from 0 to {family.states - 1} (data.states - 1), or state: real"
    if wrong.any():
        row, dimension = np.argwhere(wrong)[0]
        raise InputError(
            f"{place}: dimension {family.dimensions[dimension]}, sample {row}: found {values[row, dimension]:g}, "
            f"expected {expected}"
        )
