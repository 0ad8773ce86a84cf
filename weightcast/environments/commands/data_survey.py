"""What a folder of the user's own trajectories holds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from weightcast.core.config.gap_settings import GapSettings
from weightcast.core.config.regrid_settings import RegridSettings
from weightcast.core.console.progress import progress
from weightcast.core.dimensions import Dimension
from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.zarr_folder import is_store
from weightcast.environments.commands.alike import AlikeFiles
from weightcast.environments.commands.chosen_grid import Edges, common_grid
from weightcast.environments.commands.chosen_windows import NO_WINDOWS, ChosenWindows, choose_windows
from weightcast.environments.commands.constants import check_constants
from weightcast.environments.commands.file_marks import FileMarks
from weightcast.environments.commands.gap_options import SHARE, limit_of, stated_gaps
from weightcast.environments.commands.missing_share import missing_share, told_of_missing
from weightcast.environments.commands.source_data import read_file
from weightcast.environments.config.data import Known, TrajectoryCounts, TransformName
from weightcast.records.settings import CalendarInput
from weightcast.trajectories import FileFormat, Trajectories, find_environment_files
from weightcast.trajectories.find import NETCDF
from weightcast.trajectories.gaps import without_too_many_gaps
from weightcast.trajectories.land import never_there, usual_land
from weightcast.trajectories.netcdf import renamed_dimensions, unused_variables
from weightcast.trajectories.npy import FIELD, are_channels_last, channels_last, npy_files
from weightcast.trajectories.npz_folder import FILES

FEWEST_TRAJECTORIES = 3
FEWEST_FRAMES = 3
FEWEST_POINTS = 2
MOST_RATE = 0.9
"""Of what a component decays at, in a substep of an integrator."""
MOST_SUBSTEPS = 4
NO_GRID = (1, 1)
"""How a state without a grid is stored: as a field on one point."""


@dataclass(frozen=True)
class ChosenTransform:
    """Through which transform predictors are to see a channel, and why.

    Attributes:
        channel: its name.
        name: of the transform; None of none.
        why: in words; empty of a channel for which none was thought of.
    """

    channel: str
    name: TransformName | None
    why: str

    @property
    def words(self) -> str:
        return f"{self.channel} {'as it is' if self.name is None else f'through {self.name}'} ({self.why})"


@dataclass(frozen=True)
class Survey:
    """What all files have in common.

    Attributes:
        format: of the files.
        channels: names, in order.
        grid: points along (y, x).
        trajectories: least and greatest number in a file.
        frames: least and greatest number in a trajectory.
        counts: which trajectories train and test, where that is settled: by files of an adaptation benchmark, or by how
            a long table is cut.
        periodic: whether fields go on at the opposite side.
        substeps: of an integrator between two frames of a state, as much as it changes between them.
        unused: variables of the first file that are no channels.
        inputs: what is known beside the state, and until when.
        transforms: of the channels of a long table.
        calendar: what of it is known likewise.
        history: frames that predictors should see.
        history_found: how that was chosen, in words.
        gaps: that trajectories may have.
        missing: what is missing of files' trajectories, for people.
        dimensions: what somebody says that NetCDF files call theirs, by their names here.
        fewest: id of the environment with the fewest trajectories; empty where nobody asks.
        windows: that trajectories of files are cut into.
        land: what is seen where a channel of files never has a value, by its name.
        told_of_land: where that is, for people.
        regrid: where the points of the grid lie, to which fields on others are brought; None: there are no others.
        told_of_grids: which files these are, for people.
        marks: numbers that stand for missing values in files; None: nobody said any.
        told_of_marks: which of them no file has, for people.
        renamed: what dimensions of the last file are called here, by other names that they have there.
    """

    format: FileFormat | Literal["npz", "table", "era5"]
    channels: tuple[str, ...]
    grid: tuple[int, int]
    trajectories: tuple[int, int]
    frames: tuple[int, int]
    counts: TrajectoryCounts | None = None
    periodic: bool = False
    substeps: int = 1
    unused: tuple[str, ...] = ()
    inputs: Mapping[str, Known] = field(default_factory=dict)
    transforms: Sequence[ChosenTransform] = ()
    calendar: Sequence[CalendarInput] = ()
    history: int = 1
    history_found: str = ""
    gaps: GapSettings | None = None
    missing: Sequence[str] = ()
    dimensions: Mapping[Dimension, str] = field(default_factory=dict)
    renamed: Mapping[str, str] = field(default_factory=dict)
    fewest: str = ""
    windows: ChosenWindows = NO_WINDOWS
    land: Mapping[str, float] = field(default_factory=dict)
    told_of_land: Sequence[str] = ()
    regrid: RegridSettings | None = None
    told_of_grids: Sequence[str] = ()
    marks: Sequence[float] | None = None
    told_of_marks: Sequence[str] = ()

    @property
    def benchmark(self) -> bool:
        """Whether files are those of an adaptation benchmark, which trains on all frames (docs/adaptation.md)."""
        return self.format == "npz"

    @property
    def without_grid(self) -> bool:
        """Whether a frame is a state vector, as of an ordinary differential equation, with a channel a component."""
        return self.grid == NO_GRID


class Land:
    """Where fields of files never have a value, and what is to be seen there; found while they are read."""

    def __init__(self) -> None:
        self.values: dict[str, float] = {}
        self.lines: list[str] = []

    def read(
        self, file: Path, format: FileFormat, environment: Environment, gaps: bool, told: dict[str, Any]
    ) -> Trajectories:
        """Read a file, with what is to be seen where a channel never has a value; channels in which that is so are
        found out, and added to ``told``.

        Raises:
            InputError: the file cannot be used, whatever is seen there.
        """
        try:
            found = read_file(file, format, environment, gaps=gaps, **told)
            if not gaps or not never_there(found.values).any():
                return found
        except InputError as error:
            self._find(file, format, environment, told, error)
        else:
            self._find(file, format, environment, told, None)
        return read_file(file, format, environment, gaps=gaps, **told)

    def _find(
        self, file: Path, format: FileFormat, environment: Environment, told: dict[str, Any], error: InputError | None
    ) -> None:
        single = told["windows"] is not None
        try:
            raw = read_file(
                file, format, environment, gaps=True, single=single, **(told | {"windows": None, "land": None})
            )
        except InputError:
            raw = None
        new = {} if raw is None else {k: v for k, v in usual_land(raw).items() if k not in self.values}
        if raw is None or not new:
            if error is not None:
                raise error
            return
        nowhere = never_there(raw.values)
        for name, value in new.items():
            lost = nowhere[raw.channels.index(name)]
            self.lines.append(
                f"{name} has no value at {int(lost.sum())} of {lost.size} points in any frame of {file}: land, say, "
                f"and no gap; predictors see {value:g} there, about its mean elsewhere (data.land)"
            )
        self.values = self.values | new
        told["land"] = self.values


class Pace:
    """How much of what a component does is over within a frame: by how much increments change from frame to frame.

    Of what decays at the rate k, increments do by the share 1 - exp(-k) from one frame to the next.
    """

    def __init__(self) -> None:
        self.increments, self.changes = 0.0, 0.0  # mean squares of each channel, summed over what was seen

    def see(self, fields: NDArray[np.floating[Any]]) -> None:
        """Fields [trajectory, frame, channel, ...]; NaN where a value is missing."""
        increments = np.diff(fields.astype(np.float64), axis=1)
        others = (0, 1, *range(3, fields.ndim))
        mean: Callable[..., Any] = np.nanmean if np.isnan(fields).any() else np.mean
        self.increments = self.increments + mean(np.square(increments[:, :-1]), axis=others)
        self.changes = self.changes + mean(np.square(np.diff(increments, axis=1)), axis=others)

    @property
    def substeps(self) -> int:
        """So many that the fastest component decays by at most 60 % in each; 4 at most, for noise is fast as well."""
        share = np.sqrt(np.max(self.changes / np.maximum(self.increments, np.finfo(np.float64).tiny)))
        rate = -np.log1p(-min(share, 0.999))
        return int(np.clip(np.ceil(rate / MOST_RATE), 1, MOST_SUBSTEPS))


def survey(
    directory: Path,
    table: EnvironmentTable,
    channels: Sequence[str] | None = None,
    inputs: Mapping[str, Known] | None = None,
    dimensions: Mapping[Dimension, str] | None = None,
    asked_frames: int | None = None,
    asked_gaps: Sequence[str] | None = None,
    asked_missing: Sequence[str] | None = None,
    asked_regrid: bool | None = False,
) -> Survey:
    """Read every environment's file, to its end, and check that they fit each other.

    Args:
        directory: with a file for each environment.
        table: of the environments.
        channels: to use; None: all of a NetCDF file but for inputs, `channel_0`, `channel_1`, ... of `.npy`.
        inputs: variables of NetCDF files that are known beside the state.
        dimensions: what NetCDF files call some of theirs, by their names here; None: recognised.
        asked_frames: of windows that trajectories are cut into; None: as :func:`~.chosen_windows.choose_windows` finds.
        asked_gaps: what ``--gaps`` says; None: trajectories may have gaps where some have, windows have none.
        asked_missing: what ``--missing`` says; None: no number stands for a missing value.
        asked_regrid: whether fields on other grids are brought to the one that most files have.

    Raises:
        InputError: a file is missing or cannot be used, or there are too few trajectories, frames or points; or there
            are inputs of other files.
    """
    format, inputs = recognise_format(directory), dict(inputs or {})
    if inputs and format != "netcdf":
        raise InputError(f"--inputs: found {', '.join(inputs)}, expected none: {format} files do not name variables")
    if dimensions and format != "netcdf":
        given = ", ".join(dimensions)
        raise InputError(f"--dimensions: found {given}, expected none: {format} files do not name them")
    if asked_regrid and format != "netcdf":
        raise InputError(f"--regrid: found {format} files, expected NetCDF: others do not say where points lie")
    grid: tuple[int, int] | None = None
    trajectories, frames, edges, pace, alike = [], [], Edges(), Pace(), AlikeFiles()
    files = find_environment_files(directory, table, format)
    land, marks = Land(), FileMarks(asked_missing)
    regrid, told_of_grids = None, list[str]()
    if asked_regrid:
        reading = {"channels": channels, "inputs": list(inputs), "dimensions": dimensions, "missing": marks.numbers}
        grid, regrid, told_of_grids = common_grid(files, table, format, reading)
    windows = choose_windows(files, format, dimensions, asked_frames)
    limits = stated_gaps(asked_gaps)
    gappy = bool(limits)
    for id, file in progress(files.items(), "reading data"):
        if channels is None and format == "npy":
            channels = _numbered_channels(file)
        told: dict[str, Any] = {
            "channels": channels, "inputs": list(inputs), "grid": grid, "dimensions": dimensions,
            "windows": windows.frames, "land": land.values, "missing": marks.numbers, "regrid": regrid,
        }  # fmt: skip
        try:
            found = land.read(file, format, table[id], bool(limits), told)
        except InputError as error:
            if limits is not None or windows.frames is not None:
                raise
            try:  # with another fault than a missing value it is refused once more
                found = read_file(file, format, table[id], gaps=True, **told)
            except InputError:
                raise error from None
            gappy = True
        channels, grid = found.channels[: len(found.channels) - len(inputs)], (len(found.y), len(found.x))
        states = found.values[:, :, : len(channels)]
        trajectories.append(len(found.values))
        frames.append(len(found.time))
        edges.see(states)
        marks.see(file, format, told | {"channels": channels})
        alike.see(file, found)
        check_constants(file, found, inputs)
        _check_enough(file, grid, trajectories[-1], frames[-1])
        if table[id].role == "visible":
            pace.see(states)
    assert channels is not None and grid is not None  # a table has at least one environment
    gaps, missing = None, list[str]()
    if gappy:
        told |= {"channels": channels, "grid": grid, "land": land.values}
        gaps = limit_of(limits or [SHARE], windows.frames or min(frames))
        shares = dict[str, float]()
        for place, (id, file) in enumerate(files.items()):
            found = read_file(file, format, table[id], gaps=True, **told)
            found = without_too_many_gaps(file, found, channels, min(frames), 1, gaps)
            trajectories[place], shares[id] = len(found.values), missing_share(found, len(channels))
            _check_enough(file, grid, trajectories[place], min(frames))
        missing = told_of_missing(shares)
    return Survey(
        format,
        tuple(channels),
        grid,
        (min(trajectories), max(trajectories)),
        (min(frames), max(frames)),
        periodic=edges.periodic,
        substeps=pace.substeps,
        unused=() if format == "npy" else tuple(unused_variables(file, [*channels, *inputs], dimensions)),
        inputs=inputs,
        dimensions=dict(dimensions or {}),
        fewest=list(files)[trajectories.index(min(trajectories))],
        windows=windows,
        land=land.values,
        told_of_land=land.lines,
        regrid=regrid,
        told_of_grids=told_of_grids,
        marks=marks.numbers,
        told_of_marks=marks.lines,
        gaps=gaps,
        missing=missing,
        renamed={} if format == "npy" else renamed_dimensions(file, dimensions),
    )


def recognise_format(directory: Path) -> FileFormat:
    """What the files of a folder are.

    Raises:
        InputError: the folder is missing, or holds files of both kinds or of neither.
    """
    if not directory.is_dir():
        raise InputError(f"{directory}: found no such folder, expected one with NetCDF or .npy files")
    if is_store(directory):
        raise InputError(f"{directory}: found a Zarr store, expected the folder with a store for each environment")
    visible = [path for path in directory.iterdir() if not path.name.startswith(".")]
    netcdf = any(path.suffix in NETCDF for path in visible)
    npy = any(path.suffix == ".npy" or (path.is_dir() and npy_files(path)) for path in visible)
    if netcdf == npy:
        found = "both NetCDF (.nc) and .npy files" if netcdf else "neither NetCDF (.nc) nor .npy files"
        raise InputError(f"{directory}: found {found}, expected one of the two, or {', '.join(FILES)}")
    return "netcdf" if netcdf else "npy"


def _numbered_channels(path: Path) -> tuple[str, ...]:
    """Names for the channels of arrays (time, channel[, x, y]). What is no such array, its reader refuses later."""
    try:
        shape = np.load(npy_files(path)[0], mmap_mode="r", allow_pickle=False).shape
    except (OSError, ValueError, EOFError, AttributeError):
        shape = ()
    if are_channels_last(shape):  # 8 channels or more of which nobody has named one
        raise channels_last(npy_files(path)[0], shape)
    known = len(shape) in (2, 4) or (len(shape) == 3 and shape[1] < FIELD)  # (time, x, y) has no channels
    return tuple(f"channel_{number}" for number in range(shape[1] if known else 1))


def _check_enough(file: Path, grid: tuple[int, int], trajectories: int, frames: int) -> None:
    if trajectories < FEWEST_TRAJECTORIES:
        raise InputError(
            f"{file}: trajectory: found {trajectories} trajectories, expected {FEWEST_TRAJECTORIES} or more: at least "
            "one each to train, to validate and to test"
        )
    check_sizes(file, grid, frames)


def check_sizes(file: Path, grid: tuple[int, int], frames: int) -> None:
    """Raise an `InputError` where there are too few frames or points."""
    if frames < FEWEST_FRAMES:
        raise InputError(f"{file}: time: found {frames} frames, expected {FEWEST_FRAMES} or more")
    if min(grid[grid[0] == 1 :]) < FEWEST_POINTS and grid != NO_GRID:
        raise InputError(
            f"{file}: grid: found {grid[0]} x {grid[1]} points (y, x), expected {FEWEST_POINTS} or more along each "
            "side, or along x alone, a line, or a single point for a state without a grid"
        )
