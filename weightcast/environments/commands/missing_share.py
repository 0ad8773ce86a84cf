"""How much of trajectories is missing, in words."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weightcast.trajectories import Trajectories

SHOWN = 3
"""Environments that are named, those of which most is missing."""


def missing_share(trajectories: Trajectories, states: int) -> float:
    """Share of the values of trajectories that are missing, or lie where an input is; the first so many channels are
    the state's."""
    values = np.moveaxis(trajectories.values, 2, -1)  # [trajectory, frame, y, x, channel]
    return share_of(values, states)


def told_of_missing(shares: Mapping[str, float]) -> list[str]:
    """Such shares of environments in a line for people; nothing where nothing is missing."""
    worst = sorted((id for id in shares if shares[id] > 0), key=lambda id: -shares[id])[:SHOWN]
    if not worst:
        return []
    most = ", ".join(f"{id} {100 * shares[id]:.1f} %" for id in worst)
    mean = 100 * float(np.mean(list(shares.values())))
    return [
        f"{mean:.1f} % of the trajectories' values are missing (most in {most}), and stay so: trainings and scores "
        "leave them out"
    ]


def share_of(values: NDArray[np.floating[Any]], states: int) -> float:
    """The same of values [..., channel]: see :func:`missing_share`."""
    unknown = np.isnan(values[..., states:]).any(axis=-1, keepdims=True)
    return float((np.isnan(values[..., :states]) | unknown).mean())
