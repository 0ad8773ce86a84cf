"""What is asked of trajectories, whatever form they came in. Each check raises an `InputError` of one line."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.trajectories.fill_values import usual_mark

NUMERIC_KINDS = "iufb"
"""Whole and real numbers, and yes and no, which are 1 and 0."""
# Attributes and file names may hold a parameter in single precision or with fewer digits than the table.
PARAMETER_TOLERANCE = 1e-6
FAR_REPEATED, FAR_ALONE = 10.0, 1e4
"""Ranges of all other values, from which on an extreme one is refused: where it is repeated, where it is there once."""


def check_numeric(file: Path, name: str, dtype: np.dtype) -> None:
    """Integers and real floating-point numbers pass."""
    if dtype.kind not in NUMERIC_KINDS:
        raise InputError(f"{file}: {name}: found values of type {dtype}, expected real numbers")


def check_grid(file: Path, found: tuple[int, int], expected: tuple[int, int] | None) -> None:
    """`found` and `expected` are numbers of points (y, x); no expectation, no check."""
    if expected is not None and found != tuple(expected):
        raise InputError(
            f"{file}: grid: found {found[0]} x {found[1]} points (y, x), expected {expected[0]} x {expected[1]}"
        )


def check_counts(file: Path, trajectories: int, frames: int, minimum_trajectories: int, minimum_frames: int) -> None:
    """Enough trajectories, and enough frames in each."""
    if trajectories < minimum_trajectories:
        raise InputError(
            f"{file}: trajectory: found {trajectories} trajectories, expected {minimum_trajectories} or more"
        )
    if frames < minimum_frames:
        raise InputError(f"{file}: time: found {frames} frames, expected {minimum_frames} or more")


def check_finite(file: Path, values: NDArray[np.float32], channels: Sequence[str], gaps: bool = False) -> None:
    """No NaN and no Inf in values [trajectory, time, channel, y, x]; the message says where the first one is. With
    gaps NaN may be: it stands for what is missing."""
    for trajectory, frames in enumerate(values):  # one at a time: the mask stays small
        finite = ~np.isinf(frames) if gaps else np.isfinite(frames)
        if not finite.all():
            time, channel, y, x = map(int, np.unravel_index(int(finite.argmin()), finite.shape))
            found = "NaN" if np.isnan(frames[time, channel, y, x]) else "Inf"
            raise InputError(
                f"{file}: {channels[channel]}: found {found} at trajectory {trajectory}, time {time}, channel "
                f"{channels[channel]}, y {y}, x {x} (indices from 0), expected finite float32 values"
            )


def check_not_negative(
    file: Path,
    environment: str | None,
    values: NDArray[np.float32],
    channels: Sequence[str],
    transforms: Mapping[str, str],
) -> None:
    """No number below 0 in values [..., channel, y, x] of channels that are seen through a transform, which are named
    with it; NaN counts as none."""
    whose = "" if environment is None else f"environment {environment}, "
    for channel, name in enumerate(channels):
        if name not in transforms:
            continue
        own = values[..., channel, :, :]
        below = own[own < 0]
        if below.size:
            raise InputError(
                f"{file}: {whose}channel {name}: found {float(below.min()):g}, the least of {below.size} below 0, "
                f"expected none: it has the transform {transforms[name]} (data.transforms)"
            )


def check_marks(
    file: Path, values: NDArray[np.float32], channels: Sequence[str], stated: Sequence[float] | None = None
) -> None:
    """No least or greatest value far from all others in values [trajectory, time, channel, y, x], which is probably a
    mark of missing ones: more than ten times as far as all others lie from each other, where it is there more than
    once; ten thousand times where it is there once. Zero is a value. Nor numbers that usually are such marks and are
    there repeatedly and apart (:mod:`weightcast.trajectories.fill_values`).

    Where somebody has stated marks, which are missing by now, others of these usual ones alone are refused, and nothing
    where he has stated that there are none.
    """
    if stated is not None and not stated:
        return
    for channel, name in enumerate(channels):
        field = values[:, :, channel]
        usual = usual_mark(field)
        if usual is not None:
            raise _undeclared(file, name, field, usual.value, usual.count, (usual.low, usual.high))
        if stated:
            continue
        known = field[np.isfinite(field)]
        for extreme in (known.min(), known.max()) if known.size else ():
            others = known[known != extreme]
            if extreme == 0 or not others.size:
                continue
            low, high = float(others.min()), float(others.max())
            distance = max(low - float(extreme), float(extreme) - high)
            count = known.size - others.size
            if low < high and distance > (FAR_REPEATED if count > 1 else FAR_ALONE) * (high - low):
                raise _undeclared(file, name, field, float(extreme), count, (low, high))


def _undeclared(
    file: Path, name: str, field: NDArray[np.float32], value: float, count: int, others: tuple[float, float]
) -> InputError:
    """What is said of a mark in values [trajectory, time, y, x], and how to declare it."""
    trajectory, time, y, x = map(int, np.unravel_index(int((field == np.float32(value)).argmax()), field.shape))
    there = "once" if count == 1 else f"{count} times"
    return InputError(
        f"{file}: {name}: found {value:g} at trajectory {trajectory}, time {time}, y {y}, x {x} (indices from 0), "
        f"{there} in the file and far from all other values ({others[0]:g} to {others[1]:g}), expected no marks of "
        f"missing values but NaN, or such as the attribute missing_value = {value:g} of {name} declares (NetCDF), or "
        f"data.missing names (--missing {value:g}; --missing none if it is a number)"
    )


def check_coordinate(file: Path, name: str, coordinate: NDArray[np.float64]) -> None:
    """Finite and strictly monotonic; time must increase."""
    steps = np.diff(coordinate)
    increasing = bool((steps > 0).all())
    monotonic = increasing or (name != "time" and bool((steps < 0).all()))
    if not (np.isfinite(coordinate).all() and monotonic):
        order = "increasing" if name == "time" else "increasing or decreasing"
        wrong = np.flatnonzero(~np.isfinite(coordinate))
        if not len(wrong):  # the first step that goes another way than the first, or nowhere
            wrong = np.flatnonzero((steps <= 0) if name == "time" else (np.sign(steps) != np.sign(steps[0] or 1.0))) + 1
        place = int(wrong[0])
        before = f" behind {coordinate[place - 1]:g}" if place else ""
        raise InputError(
            f"{file}: {name}: found {coordinate[place]:g} at index {place}{before}, expected finite, strictly "
            f"{order} coordinates"
        )


def check_environment(file: Path, found: str | None, expected: str | None) -> None:
    """A file that names its environment must name the expected one."""
    if None not in (found, expected) and found != expected:
        raise InputError(f"{file}: attribute environment: found {found!r}, expected {expected!r}")


def check_parameters(file: Path, found: Mapping[str, float], expected: Mapping[str, float] | None) -> None:
    """Parameters that the file states must agree with the table's; it need not state them."""
    for name, value in (expected or {}).items():
        if name in found and not math.isclose(found[name], value, rel_tol=PARAMETER_TOLERANCE, abs_tol=1e-12):
            raise InputError(
                f"{file}: parameter {name}: found {found[name]:g}, expected {value:g} as in the table of environments"
            )
