"""Checks of a study's data before anything is computed: files of the user's own whole, a simulator by its settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, cast

from weightcast.core.config.regrid_settings import RegridSettings
from weightcast.core.console.progress import progress
from weightcast.core.dimensions import Dimension
from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.environments.commands.alike import AlikeFiles
from weightcast.environments.commands.constants import check_constants
from weightcast.environments.commands.doubts import doubts_of_table, doubts_of_values
from weightcast.environments.commands.missing_share import missing_share, told_of_missing
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.study import Study
from weightcast.environments.plan import record_settings, source_settings
from weightcast.environments.published.check import check_published
from weightcast.environments.table_trajectories import TableTrajectories
from weightcast.records.doubtful_values import doubts
from weightcast.systems import load_system, read_settings
from weightcast.trajectories import (
    FileFormat,
    Trajectories,
    data_without_row,
    find_environment_files,
    find_npz_files,
    read_archive,
    read_imported,
    read_npy_environment,
    read_npz_environment,
)
from weightcast.trajectories.checks import check_counts, check_finite, check_not_negative
from weightcast.trajectories.consecutive import cut_into_windows
from weightcast.trajectories.gaps import without_too_many_gaps
from weightcast.trajectories.land import with_land
from weightcast.trajectories.npz_folder import environment_index

SHOWN = 5
# What systems call the number of points along each side of their frames.
GRID_SETTINGS = ("grid_size", "tile_size")


def check_source(study: Study, table: EnvironmentTable, config: str | Path) -> list[str]:
    """Check the data that a study names: its own files to the last number, a simulator without running it.

    Args:
        study: its configuration.
        table: its environments.
        config: file that the configuration was read from, for messages.

    Returns:
        Warnings: what can be used but is probably not meant.

    Raises:
        InputError: the first thing that is wrong, by file and field.
    """
    if study.zoo.published is not None:
        check_published(study, table)
    warnings = doubts_of_table(table)
    if study.data.imported:
        return [*warnings, *_check_files(study, table, config)]
    if study.data.simulated:
        _check_system(study, table, config)
    return warnings


def read_file(
    file: Path,
    format: FileFormat,
    environment: Environment,
    *,
    channels: Sequence[str] | None,
    inputs: Sequence[str] = (),
    grid: tuple[int, int] | None,
    frame_step: float = 1.0,
    minimum_frames: int = 1,
    minimum_trajectories: int = 1,
    gaps: bool = False,
    dimensions: Mapping[Dimension, str] | None = None,
    windows: int | None = None,
    single: bool = False,
    land: Mapping[str, float] | None = None,
    missing: Sequence[float] | None = None,
    regrid: RegridSettings | None = None,
) -> Trajectories:
    """One environment's trajectories, as the pipeline will import them.

    Args:
        file: NetCDF, or ``.npy``, or a folder of such.
        format: of it.
        environment: whose it is.
        channels: to read; None: all.
        inputs: further variables.
        grid: that is expected; None: any.
        frame_step: time between frames of ``.npy`` files.
        minimum_frames: that are needed.
        minimum_trajectories: that are needed, windows where they are cut.
        gaps: whether values may be missing.
        dimensions: what the file calls some of its dimensions; None: recognised.
        windows: frames of those that are cut of trajectories; None: none are.
        single: whether a file without a dimension of trajectories holds one.
        land: what is seen where a channel never has a value, by its name; None: nothing is.
        missing: numbers that stand for missing values; None: none, and such as look like marks are refused.
        regrid: where the points of the grid lie, to which fields of NetCDF files on another one are brought; None:
            these are refused.

    Raises:
        InputError: the file cannot be used.
    """
    if windows is not None:
        record = read_file(
            file, format, environment, channels=channels, inputs=inputs, grid=grid, frame_step=frame_step,
            minimum_frames=minimum_frames, gaps=True, dimensions=dimensions, single=True, land=land,
            missing=missing, regrid=regrid,
        )  # fmt: skip
        found = cut_into_windows(file, record, windows, gaps)
        check_counts(file, len(found.values), windows, minimum_trajectories, windows)
        return found
    if land:
        told: dict[str, Any] = {
            "channels": channels, "inputs": inputs, "grid": grid, "frame_step": frame_step,
            "minimum_frames": minimum_frames, "minimum_trajectories": minimum_trajectories, "dimensions": dimensions,
            "missing": missing, "regrid": regrid,
        }  # fmt: skip
        return with_land(file, read_file(file, format, environment, gaps=True, single=single, **told), land, gaps)
    if format == "npy":
        return read_npy_environment(
            file,
            channels or (),
            grid=grid,
            environment=environment.id,
            parameters=environment.parameters,
            frame_step=frame_step,
            minimum_frames=minimum_frames,
            minimum_trajectories=minimum_trajectories,
            gaps=gaps,
            missing=missing,
        )
    return read_imported(
        file,
        channels=channels,
        inputs=inputs,
        grid=grid,
        environment=environment.id,
        parameters=environment.parameters,
        minimum_frames=minimum_frames,
        minimum_trajectories=minimum_trajectories,
        gaps=gaps,
        dimensions=dimensions,
        single=single,
        missing=missing,
        regrid=regrid,
    )


def refuse_own_folder(directory: str | Path, trajectories: Path, where: str) -> None:
    """Raise an `InputError` if the user's files lie where the pipeline would write its copies of them."""
    if Path(directory).resolve() == trajectories.resolve():
        raise InputError(
            f"{where}: found {directory}, expected another folder: the pipeline writes its own copies there"
        )


def _check_system(study: Study, table: EnvironmentTable, config: str | Path) -> None:
    data, system = study.data, load_system(study.data.source)
    settings = source_settings(data)
    checked = read_settings(system.settings, settings, system.name)
    known = getattr(checked, "channels", system.channels)
    for channel in data.channels:
        if channel not in known:
            raise InputError(
                f"{config}: data.channels: found {channel!r}, expected some of {', '.join(known)} "
                f"of the system {system.name}"
            )
    for name in GRID_SETTINGS:
        size = getattr(checked, name, None)
        if size is not None and data.grid != (size, size):
            raise InputError(
                f"{config}: data.grid: found {data.grid[0]} x {data.grid[1]} points (y, x), expected {size} x {size} "
                f"as data.settings.{name} says"
            )
    # Checks settings and the environments' parameters at once; frames would be made only when they are asked for.
    system.trajectories(list(table), settings, study.seed)


def _check_files(study: Study, table: EnvironmentTable, config: str | Path) -> list[str]:
    data = study.data
    if data.source == "table":
        return _check_table(study, table, config)
    assert data.directory is not None  # parse_study has seen to it
    format = cast(FileFormat, data.source)
    refuse_own_folder(data.directory, study.trajectories, f"{config}: data.directory")
    strangers = data_without_row(data.directory, table, data.source)
    unused = f"{data.directory}: found {listed(strangers, SHOWN)} without a row in {table.path}: not used"
    warnings = [unused] if strangers else []
    if data.source == "npz":
        _check_archives(data, table)
        return warnings
    files = find_environment_files(data.directory, table, format)
    alike, shares = AlikeFiles(), dict[str, float]()
    for id, file in progress(files.items(), "checking data"):
        counts, frames = data.trajectories.of_role(table[id].role), data.recorded_frames
        trajectories = read_file(
            file,
            format,
            table[id],
            channels=data.channels,
            inputs=list(data.inputs),
            grid=data.grid,
            frame_step=source_settings(data).get("frame_step", 1.0),
            minimum_frames=frames,
            minimum_trajectories=counts.total,
            gaps=data.gaps is not None,
            dimensions=data.dimensions,
            windows=frames if data.windows else None,
            land=data.land,
            missing=data.missing,
            regrid=data.regrid,
        )
        if data.gaps is not None:
            trajectories = without_too_many_gaps(file, trajectories, data.channels, frames, data.history, data.gaps)
            check_counts(file, len(trajectories.values), frames, counts.total, frames)
        check_constants(file, trajectories, data.inputs)
        check_not_negative(file, id, trajectories.values, trajectories.channels, data.transforms)
        alike.see(file, trajectories, frames)
        shares[id] = missing_share(trajectories, len(data.channels))
        warnings += doubts_of_values(file, trajectories, len(data.channels))
    return [*told_of_missing(shares), *warnings]


def _check_table(study: Study, table: EnvironmentTable, config: str | Path) -> list[str]:
    """The same of a long table; its warnings say what of it is doubtful."""
    data = study.data
    gaps = data.record_gaps
    found = TableTrajectories(data.files, record_settings(data), data.columns, config, data.calendar, gaps)
    found.check_places(table.ids, table.path)
    shares = dict[str, float]()
    for environment in progress(list(table), "checking data"):
        counts = data.trajectories.of_role(environment.role)
        trajectories = found.trajectories(
            environment.id, data.frames, (counts.train, counts.validation, counts.test), data.history
        )
        check_finite(Path(data.files[0]), trajectories.values, trajectories.channels, gaps is not None)
        check_constants(data.files[0], trajectories, data.inputs)
        shares[environment.id] = missing_share(trajectories, len(data.channels))
        channels = trajectories.channels
        check_not_negative(Path(data.files[0]), environment.id, trajectories.values, channels, data.transforms)
    return [*told_of_missing(shares), *doubts(found.records, len(data.channels))]


def _check_archives(data: DataSettings, table: EnvironmentTable) -> None:
    """The same of ``.npz`` files, of which a pair holds many environments, all with the same times."""
    assert data.directory is not None
    pairs: dict[tuple[Path, ...], list[str]] = {}
    for id, files in find_npz_files(data.directory, table).items():
        pairs.setdefault(files, []).append(id)
    for (train, test), ids in progress(pairs.items(), "checking data"):
        archives = read_archive(train), read_archive(test)
        for id in ids:
            counts = data.trajectories.of_role(table[id].role)
            found = read_npz_environment(
                *archives,
                environment_index(id),
                channels=data.channels,
                grid=data.grid,
                environment=id,
                parameters=table[id].parameters,
                trajectories=counts.total,
                test_trajectories=counts.test,
                minimum_frames=data.recorded_frames,
            )
            check_not_negative(train, id, found.values, found.channels, data.transforms)
