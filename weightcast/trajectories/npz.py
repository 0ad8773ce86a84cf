"""Trajectories of several environments in `.npz` archives, as benchmarks publish them: arrays `X` and `t`."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from tokenize import TokenError

import numpy as np
from numpy.lib import format as npy_format
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.trajectories import checks
from weightcast.trajectories.record import Trajectories
from weightcast.trajectories.state_layout import shape_state

STATES, TIMES = "X", "t"
LEAD = 3
"""Axes of `X` before those of a state."""
AXES = "[environment, trajectory, time, state], [..., y, x] or [..., channel, y, x]"
STEP_TOLERANCE = 1e-3
"""Of the time between frames, relative to it."""

# What numpy raises for a damaged archive: of the ZIP file, of its compression, or of an array's header inside.
_UNREADABLE = (
    OSError,
    ValueError,
    EOFError,
    KeyError,
    RuntimeError,
    NotImplementedError,
    zipfile.BadZipFile,
    zlib.error,
    TokenError,
)


@dataclass(frozen=True, eq=False)
class ArchiveHead:
    """What an archive says of itself before its states are read.

    Attributes:
        file: the archive.
        shape: of `X`: (environment, trajectory, time, *state).
        time: float64 [time], equally spaced.
    """

    file: Path
    shape: tuple[int, ...]
    time: NDArray[np.float64]

    @property
    def environments(self) -> int:
        return self.shape[0]

    @property
    def trajectories(self) -> int:
        """How many there are of each environment."""
        return self.shape[1]

    @property
    def state(self) -> tuple[int, ...]:
        """Shape of a state."""
        return self.shape[LEAD:]

    @property
    def frame_step(self) -> float:
        return float((self.time[-1] - self.time[0]) / (len(self.time) - 1))


@dataclass(frozen=True, eq=False)
class Archive:
    """An archive in memory.

    Attributes:
        head: see :class:`ArchiveHead`.
        states: numbers as in the file [environment, trajectory, time, *state].
    """

    head: ArchiveHead
    states: NDArray[np.generic]

    def fields(self, environment: int, trajectories: int, channels: Sequence[str], grid: tuple[int, int]) -> NDArray:
        """The first trajectories of an environment.

        Args:
            environment: its index.
            trajectories: how many.
            channels: names, as many as a state has.
            grid: points along (y, x).

        Returns:
            float32 [trajectory, time, channel, y, x].

        Raises:
            InputError: there are fewer trajectories, states are of another size, or a value is not finite.
        """
        file = self.head.file
        if trajectories > self.head.trajectories:
            raise InputError(
                f"{file}: {STATES}: found {self.head.trajectories} trajectories of each environment, expected "
                f"{trajectories} or more (data.trajectories)"
            )
        found = shape_state(self.states[environment, :trajectories], LEAD - 1, len(channels), grid)
        if found is None:
            raise InputError(
                f"{file}: {STATES}: found states of shape {self.head.state}, expected {len(channels)} x {grid[0]} x "
                f"{grid[1]} numbers (data.channels, data.grid)"
            )
        with np.errstate(over="ignore"):  # a number too large for float32 becomes Inf, which is refused below
            values = np.ascontiguousarray(found, np.float32)
        checks.check_finite(Path(f"{file}: {STATES}: environment {environment}"), values, channels)
        return values


def read_head(file: Path) -> ArchiveHead:
    """Read the shape of `X`, and `t`. Pickled objects are never loaded.

    Raises:
        InputError: the file is missing, damaged or no archive, or the arrays are not as said in ``AXES``.
    """
    if not file.is_file():
        raise InputError(f"{file}: found no such file, expected trajectories in an .npz archive")
    try:
        with zipfile.ZipFile(file) as archive:
            names = [name.removesuffix(".npy") for name in archive.namelist()]
            for name in (STATES, TIMES):
                if name not in names:
                    raise InputError(
                        f"{file}: found arrays {', '.join(names) or 'none'}, expected {STATES} {AXES}, and {TIMES} "
                        "[time]"
                    )
            shape, dtype = _array_header(archive, STATES)
            _, dtype_of_time = _array_header(archive, TIMES)
        for name, found in ((STATES, dtype), (TIMES, dtype_of_time)):
            if found.hasobject:
                raise InputError(f"{file}: {name}: found an array of objects, expected numbers: nothing is unpickled")
            checks.check_numeric(file, name, found)
        with np.load(file, allow_pickle=False) as arrays:
            time = arrays[TIMES].astype(np.float64)
    except _UNREADABLE as error:
        raise _unreadable(file, error) from None
    _check_shapes(file, shape, time)
    _check_time(file, time)
    return ArchiveHead(file, shape, time)


def read_archive(file: Path) -> Archive:
    """Read a whole archive; see :func:`read_head`."""
    head = read_head(file)
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return Archive(head, arrays[STATES])
    except _UNREADABLE as error:
        raise _unreadable(file, error) from None


def read_npz_environment(
    train: Archive,
    test: Archive,
    index: int,
    *,
    channels: Sequence[str],
    grid: tuple[int, int],
    environment: str,
    parameters: Mapping[str, float],
    trajectories: int,
    test_trajectories: int,
    minimum_frames: int = 1,
) -> Trajectories:
    """One environment's trajectories: those to train and to validate, then those to test.

    Args:
        train: archive of the former.
        test: archive of the latter, of the same environments.
        index: of the environment in both.
        channels: names, as many as a state has.
        grid: points along (y, x).
        environment: id.
        parameters: as in the table of environments.
        trajectories: how many in all.
        test_trajectories: how many of these are the first ones of ``test``.
        minimum_frames: least number of frames.

    Raises:
        InputError: there are too few trajectories or frames, states are of another size, times differ, or a value is
            not finite.
    """
    check_same_times(train.head, test.head)
    checks.check_counts(train.head.file, 1, len(train.head.time), 1, minimum_frames)
    parts = ((train, trajectories - test_trajectories), (test, test_trajectories))
    values = np.concatenate([archive.fields(index, count, channels, grid) for archive, count in parts])
    return Trajectories(
        values=values,
        channels=tuple(channels),
        time=train.head.time,
        y=np.arange(grid[0], dtype=np.float64),
        x=np.arange(grid[1], dtype=np.float64),
        environment=environment,
        parameters=dict(parameters),
    )


def check_same_times(first: ArchiveHead, other: ArchiveHead) -> None:
    """Raise an `InputError` unless two archives have the same frames."""
    if len(first.time) != len(other.time):
        raise InputError(
            f"{other.file}: {TIMES}: found {len(other.time)} times, expected {len(first.time)} as in {first.file}"
        )
    if not np.allclose(other.time, first.time, rtol=0.0, atol=STEP_TOLERANCE * first.frame_step):
        raise InputError(
            f"{other.file}: {TIMES}: found times {_times(other)}, expected {_times(first)} as in {first.file}"
        )


def _times(head: ArchiveHead) -> str:
    return f"from {head.time[0]:g} to {head.time[-1]:g}"


def _array_header(archive: zipfile.ZipFile, name: str) -> tuple[tuple[int, ...], np.dtype]:
    """Shape and type of an array, which need not be read for it."""
    with archive.open(f"{name}.npy") as member:
        readers = {(1, 0): npy_format.read_array_header_1_0, (2, 0): npy_format.read_array_header_2_0}
        version = npy_format.read_magic(member)
        if version not in readers:  # only arrays of records have another one
            raise ValueError(f"array {name} of format {version}")
        shape, _, dtype = readers[version](member)
    return shape, dtype


def _check_shapes(file: Path, shape: tuple[int, ...], time: NDArray[np.float64]) -> None:
    if not LEAD < len(shape) <= LEAD + 3 or 0 in shape:
        raise InputError(f"{file}: {STATES}: found shape {shape}, expected {AXES}")
    if time.shape != (shape[2],):
        raise InputError(
            f"{file}: {TIMES}: found shape {time.shape}, expected ({shape[2]},), a time for each frame of {STATES} of "
            f"shape {shape}"
        )


def _check_time(file: Path, time: NDArray[np.float64]) -> None:
    if len(time) < 2:
        raise InputError(f"{file}: {TIMES}: found {len(time)} time, expected 2 or more")
    checks.check_coordinate(file, "time", time)
    steps = np.diff(time)
    if not np.allclose(steps, steps.mean(), rtol=STEP_TOLERANCE, atol=0.0):
        raise InputError(
            f"{file}: {TIMES}: found steps between {steps.min():g} and {steps.max():g}, expected one step: a predictor "
            "learns the map from a frame to the next"
        )


def _unreadable(file: Path, error: Exception) -> InputError:
    reason = (str(getattr(error, "strerror", None) or error).splitlines() or [type(error).__name__])[0]
    return InputError(f"{file}: cannot be read ({reason}), expected a whole .npz archive of numbers")
