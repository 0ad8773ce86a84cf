"""Points at which a field never has a value, as land in one of the sea: no gap, but a part of the grid nobody means.

Predictors need a number there, and see the one that a study declares (``data.land``), the same in all frames. They are
trained to leave it as it is, so that a rollout needs no mask; but nobody measured it, and neither errors nor the units
that fields are seen in count it. So trajectories are kept with where it stands, beside the values, in the same file.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.trajectories.checks import check_finite
from weightcast.trajectories.record import Trajectories

DIGITS = 3


def never_there(values: NDArray[np.floating]) -> NDArray[np.bool_]:
    """Where no frame of any trajectory has a value, of values [trajectory, time, channel, y, x]: [channel, y, x];
    nowhere of a channel that has none at all, or of a single point."""
    missing: NDArray[np.bool_] = np.asarray(np.isnan(values).all(axis=(0, 1)))
    return np.asarray(missing & ~missing.all(axis=(1, 2), keepdims=True))


def declared_land(
    values: NDArray[np.floating], channels: Sequence[str], land: Mapping[str, float]
) -> NDArray[np.bool_]:
    """Where a number stands for what is never there [channel, y, x], of values [trajectory, time, channel, y, x] of
    channels: where a channel with such a number has no value in any frame."""
    return never_there(values) & np.array([name in land for name in channels])[:, None, None]


def with_land(file: Path, trajectories: Trajectories, land: Mapping[str, float], gaps: bool) -> Trajectories:
    """Trajectories with the number of a channel wherever it never has a value.

    Args:
        file: that they come from, for messages.
        trajectories: of one environment, NaN where a value is missing.
        land: what is seen there, by names of channels and inputs; of others nothing is changed.
        gaps: whether values may be missing elsewhere.

    Returns:
        the same, with where that number stands (:attr:`Trajectories.land`).

    Raises:
        InputError: a value is missing elsewhere, and none may be.
    """
    if not land:
        return trajectories
    nowhere = declared_land(trajectories.values, trajectories.channels, land)
    values = filled_land(trajectories.values, trajectories.channels, land, nowhere)
    check_finite(file, values, trajectories.channels, gaps)
    return replace(trajectories, values=values, land=nowhere if nowhere.any() else None)


def filled_land(
    values: NDArray[np.float32], channels: Sequence[str], land: Mapping[str, float], nowhere: NDArray[np.bool_]
) -> NDArray[np.float32]:
    """Values [trajectory, time, channel, y, x] of channels with the number of each where it is land [channel, y, x];
    a copy."""
    filled = values.copy()
    for channel, name in enumerate(channels):
        if name in land:
            filled[:, :, channel, nowhere[channel]] = land[name]
    return filled


def usual_land(trajectories: Trajectories) -> dict[str, float]:
    """What is to be seen where a channel never has a value: about its mean elsewhere, which makes no step at a coast
    larger than need be."""
    nowhere = np.asarray(never_there(trajectories.values).any(axis=(1, 2)))
    return {
        name: float(f"{np.nanmean(trajectories.values[:, :, channel], dtype=np.float64):.{DIGITS}g}")
        for channel, name in enumerate(trajectories.channels)
        if nowhere[channel]
    }
