"""Long trajectories, or one long record, cut into windows that follow each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np

from weightcast.core.errors import InputError
from weightcast.trajectories.record import Trajectories

STEP_TOLERANCE = 1e-3
"""Of a step in time."""


def cut_into_windows(file: Path, trajectories: Trajectories, frames: int, gaps: bool = False) -> Trajectories:
    """Windows as trajectories: earlier ones first, of the same time those of the first trajectory first.

    So those that are trained on come before those that are tested on, in every trajectory. Less than a window at the
    end is not used, nor are windows with a missing value, unless they may have some.

    Args:
        file: that they come from, for messages.
        trajectories: of one environment, NaN where a value is missing.
        frames: of a window.
        gaps: whether windows may have missing values: it is asked elsewhere how many.

    Raises:
        InputError: times are not even, so that windows would have a hole.
    """
    steps = np.diff(trajectories.time)
    usual = float(np.median(steps)) if len(steps) else 1.0
    for place in np.flatnonzero(np.abs(steps - usual) > STEP_TOLERANCE * usual)[:1]:
        raise InputError(
            f"{file}: time: found a step of {steps[place]:g} behind {trajectories.time[place]:g}, expected {usual:g} "
            "as elsewhere: windows are cut of even steps"
        )
    count, number = len(trajectories.values), len(trajectories.time) // frames
    values = trajectories.values[:, : number * frames]
    values = values.reshape(count, number, frames, *values.shape[2:]).swapaxes(0, 1)
    values = values.reshape(count * number, frames, *values.shape[3:])
    if not gaps:
        values = values[~np.isnan(values).any(axis=tuple(range(1, values.ndim)))]
    return replace(trajectories, values=np.ascontiguousarray(values), time=trajectories.time[:frames])
