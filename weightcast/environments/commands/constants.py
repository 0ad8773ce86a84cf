"""Inputs that are said to be constant in an environment, and are."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from weightcast.core.errors import InputError
from weightcast.environments.config.data import Known
from weightcast.trajectories import Trajectories


def check_constants(file: str | Path, trajectories: Trajectories, inputs: Mapping[str, Known]) -> None:
    """Raise an `InputError` where an input that is said to be constant changes from a frame to another.

    Args:
        file: where the trajectories come from.
        trajectories: of one environment, the inputs among their channels.
        inputs: until when each is known.
    """
    for name, known in inputs.items():
        if known != "constant":
            continue
        values = trajectories.values[:, :, trajectories.channels.index(name)]
        changed = np.argwhere(((values != values[:1, :1]) & ~np.isnan(values)).any(axis=(2, 3)))
        for trajectory, frame in changed[:1]:
            raise InputError(
                f"{file}: {name}: found another value in {trajectories.environment} at trajectory {trajectory}, frame "
                f"{frame} (indices from 0) than in the first frame, expected one value: it is said to be constant"
            )
