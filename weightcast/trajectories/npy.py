"""Trajectories as users bring them in `.npy` files, named by their environment."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.trajectories import checks
from weightcast.trajectories.record import Trajectories
from weightcast.trajectories.stated_marks import without_marks

FIELD = 8
"""Points along a side, from which on a square is taken for a field rather than for channels."""
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def read_npy_environment(
    path: str | Path,
    channels: Sequence[str],
    *,
    grid: tuple[int, int] | None = None,
    environment: str | None = None,
    parameters: Mapping[str, float] | None = None,
    frame_step: float = 1.0,
    minimum_frames: int = 1,
    minimum_trajectories: int = 1,
    gaps: bool = False,
    missing: Sequence[float] | None = None,
) -> Trajectories:
    """Read and validate one environment's trajectories from arrays of shape (time, channel, x, y): x before y.

    Arrays of shape (time, channel) are states without a grid, which become fields on one point; those of shape (time,
    channel, x) are fields along a line.

    `Re_210.0_r_10.0.npy` is one trajectory of the environment with Re = 210 and r = 10. Several trajectories of one
    environment lie in a folder of that name, `Re_210.0_r_10.0/0.npy`, `Re_210.0_r_10.0/1.npy`, ...; they are taken in
    the order of their names, where 10 comes after 9. Where they differ in length, all are cut to the shortest or, if
    values may be missing, filled up with NaN to the longest. Arrays are mapped into memory; pickled objects are never
    loaded.

    Args:
        path: the file or the folder.
        channels: names of the channels, in the arrays' order.
        grid: expected number of points (y, x).
        environment: id; None: the name without `.npy`.
        parameters: as in the table of environments; those that the name states must agree with them. None: as the
            name states them.
        frame_step: time between frames; the files do not hold it.
        minimum_frames: least number of frames in a trajectory.
        minimum_trajectories: least number of files.
        gaps: whether values may be missing, as NaN.
        missing: numbers that stand for missing values as well; None: none, and such as look like marks are refused.

    Raises:
        InputError: a file is missing, unreadable or not as said above; or a value is not finite.
    """
    path = Path(path)
    files = npy_files(path)
    if not files:
        raise InputError(f"{path}: found no .npy file, expected one or more of shape (time, channel, x, y)")
    arrays = [_open_array(file, len(channels)) for file in files]
    for file, array in zip(files, arrays, strict=True):
        checks.check_grid(file, (array.shape[3], array.shape[2]), grid)
        if array.shape[1:] != arrays[0].shape[1:]:
            raise InputError(f"{file}: found shape {array.shape}, expected {arrays[0].shape} as in {files[0]}")
    lengths, (_, x, y) = [len(array) for array in arrays], arrays[0].shape[1:]
    frames = max(lengths) if gaps else min(lengths)
    shortest = files[lengths.index(min(lengths))] if min(lengths) < max(lengths) and not gaps else path
    checks.check_counts(shortest, len(arrays), frames, minimum_trajectories, minimum_frames)
    name = environment_name(path)
    stated = parameters_in_name(name)
    checks.check_parameters(path, stated, parameters)

    values = np.full((len(arrays), frames, len(channels), y, x), np.nan, np.float32)
    with np.errstate(over="ignore"):  # a number too large for float32 becomes Inf, which is refused below
        for trajectory, array in enumerate(arrays):
            values[trajectory, : len(array)] = array[:frames].transpose(0, 1, 3, 2)
    values = without_marks(values, missing)
    checks.check_finite(path, values, channels, gaps)
    checks.check_marks(path, values, channels, missing)
    return Trajectories(
        values=values,
        channels=tuple(channels),
        time=frame_step * np.arange(frames, dtype=np.float64),
        y=np.arange(y, dtype=np.float64),
        x=np.arange(x, dtype=np.float64),
        environment=environment or name,
        parameters=dict(stated if parameters is None else parameters),
    )


def npy_files(path: Path) -> list[Path]:
    """The files of one environment, in the order of its trajectories; empty when there are none."""
    if path.is_dir():
        files = [file for file in path.glob("*.npy") if not file.name.startswith(".")]
        return sorted(files, key=lambda file: _natural_order(file.stem))
    return [path] if path.is_file() else []


def environment_name(path: Path) -> str:
    """`Re_210.0_r_10.0` of the file `Re_210.0_r_10.0.npy` or of the folder `Re_210.0_r_10.0`."""
    return path.name.removesuffix(".npy")


def parameters_in_name(name: str) -> dict[str, float]:
    """The parameters that a name states: {"Re": 210.0, "r": 10.0} of `Re_210.0_r_10.0`.

    A name is a run of <parameter>_<number>, joined by `_`; anything else states no parameters.
    """
    parameters: dict[str, float] = {}
    words: list[str] = []
    for part in name.split("_"):
        if _NUMBER.fullmatch(part) is None:
            words.append(part)
        elif words:
            parameters["_".join(words)] = float(part)
            words = []
        else:
            return {}
    return parameters if not words else {}


def _natural_order(name: str) -> list[tuple[int, str]]:
    """A sorting key: digits by their number, the rest by its letters."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name) if part]


def are_channels_last(shape: Sequence[int]) -> bool:
    """Whether an array is plainly (time, x, y, channel): both sides are those of a field, few numbers are behind."""
    return len(shape) == 4 and min(shape[1:3]) >= FIELD > shape[3]


def channels_last(file: Path, shape: Sequence[int]) -> InputError:
    """What is said of such an array."""
    return InputError(
        f"{file}: shape: found {tuple(shape)}, which looks like (time, x, y, channel), expected (time, channel, x, y): "
        "numpy.moveaxis(array, -1, 1) makes it so"
    )


def _open_array(file: Path, channels: int) -> NDArray[np.generic]:
    try:
        array = np.load(file, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError, EOFError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{file}: cannot be read ({reason}), expected a whole .npy file of numbers") from None
    if not isinstance(array, np.ndarray):  # an .npz archive under a false name
        raise InputError(f"{file}: found {type(array).__name__}, expected a single array")
    if array.ndim == 2:
        array = array[:, :, None, None]
    elif array.ndim == 3 and array.shape[1] == channels:
        array = array[..., None]
    if array.ndim != 4:
        raise InputError(
            f"{file}: shape: found {array.ndim} dimensions {array.shape}, expected (time, channel, x, y), (time, "
            "channel, x) along a line, or (time, channel) of a state without a grid"
        )
    if are_channels_last(array.shape) and (array.shape[1] == array.shape[2] or array.shape[1] != channels):
        raise channels_last(file, array.shape)
    if array.shape[1] != channels:
        raise InputError(f"{file}: shape: found {array.shape[1]} channels in {array.shape}, expected {channels}")
    checks.check_numeric(file, "array", array.dtype)
    return array
