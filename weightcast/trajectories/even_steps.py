"""Frames that are a whole number of steps apart, put on even steps: what lies between them is missing.

A predictor learns the map from a frame to the one a step later. Where a file leaves out some frames it is a file with
gaps, as a table is that leaves out rows; where frames lie between steps nothing can be learned of them as they are.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.trajectories.record import Trajectories

TOLERANCE = 1e-3
"""Of a step, by which a distance may differ from a whole number of them."""
MOST_STEPS = 1_000_000
"""Of a file: one that leaves out more is not what it seems."""


def usual_step(time: NDArray[np.float64]) -> float:
    """The distance that most neighbours of increasing times have, the least of several; 1 of a single time."""
    steps = np.diff(time)
    if not len(steps):
        return 1.0
    rounded = np.round(steps / steps.min() / TOLERANCE)
    found, counts = np.unique(rounded, return_counts=True)
    return float(np.median(steps[rounded == found[counts.argmax()]]))


def on_even_steps(
    file: Path, trajectories: Trajectories, channels: int, gaps: bool, needed: int | None = None
) -> Trajectories:
    """Trajectories with a frame at every step, all of which is NaN where the file has none.

    Args:
        file: that they come from, for messages.
        trajectories: of one environment.
        channels: how many of the channels, the first ones, are of the state. Inputs behind them that are the same in
            all frames are so in those between.
        gaps: whether values may be missing.
        needed: frames on even steps that are used; those behind them may lie anywhere, and are left out where they do
            not lie on such. None: all are used.

    Returns:
        the same object where no frame is missing.

    Raises:
        InputError: a frame lies between steps; or some are left out, and no value may be missing.
    """
    time = trajectories.time
    if len(time) < 2:
        return trajectories
    step = usual_step(time)
    between = np.diff(time) / step
    whole = np.rint(between).astype(np.int64)
    kept = len(time)
    off = np.flatnonzero((np.abs(between - whole) > TOLERANCE * np.maximum(1, whole)) | (whole < 1))
    if len(off):
        kept = int(off[0]) + 1
        if needed is None or whole[: kept - 1].sum() + 1 < needed:
            raise InputError(
                f"{_found(file, time, kept - 1, step)}, or a whole multiple of it: put frames on even steps first, as "
                "Dataset.interp(time=...) of xarray does"
            )
    left_out = np.flatnonzero(whole[: kept - 1] > 1)
    if len(left_out) and not gaps:
        kept = int(left_out[0]) + 1
        if needed is None or kept < needed:
            raise InputError(
                f"{_found(file, time, kept - 1, step)}: frames are left out there, which may be where there are gaps "
                "(data.gaps)"
            )
    values, time = trajectories.values, time[:kept]
    places = np.concatenate([[0], whole[: kept - 1].cumsum()])
    count = int(places[-1]) + 1
    if count == len(time):
        if kept == values.shape[1]:
            return trajectories
        return replace(trajectories, values=values[:, :kept], time=time)
    if count > MOST_STEPS:
        raise InputError(f"{file}: time: found {count} steps of {step:g} in all, expected at most {MOST_STEPS}")
    placed = np.full((len(values), count, *values.shape[2:]), np.nan, np.float32)
    placed[:, places] = values[:, :kept]
    for channel in range(channels, values.shape[2]):
        if (values[:, :, channel] == values[:, :1, channel]).all():
            placed[:, :, channel] = values[:, :1, channel]
    return replace(trajectories, values=placed, time=time[0] + step * np.arange(count))


def _found(file: Path, time: NDArray[np.float64], place: int, step: float) -> str:
    return (
        f"{file}: time: found a step of {time[place + 1] - time[place]:g} behind {time[place]:g}, expected {step:g} as "
        "elsewhere"
    )
