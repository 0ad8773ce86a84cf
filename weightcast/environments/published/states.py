"""Sample states of a published zoo: a few frames of each environment's training trajectories, in physical units."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from weightcast.core.errors import InputError
from weightcast.environments.config.data import DataSettings
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.trajectories import Trajectories

GOLDEN = (math.sqrt(5) - 1) / 2
"""Of a circle, the step by which points stay evenly spread however many there are."""


def sample_places(count: int, trajectories: int, frames: int) -> list[tuple[int, int]]:
    """Which frames of which trajectories to take, none twice; any first so many are spread over all of them.

    Args:
        count: of the places; fewer are found where there are not so many frames.
        trajectories: to choose from.
        frames: of each.

    Returns:
        (trajectory, frame), the first frame of the first trajectory before all others.
    """
    places = trajectories * frames
    step = max(1, round(GOLDEN * places))
    while math.gcd(step, places) > 1:  # else some place would come again before all have come
        step += 1
    numbers = [number * step % places for number in range(min(count, places))]
    return [(place % trajectories, place // trajectories) for place in numbers]


class SampledStates:
    """States [environment, state, channel, y, x] that are read from trajectories when an environment's are asked for.

    Args:
        trajectories: of the study.
        environments: ids of visible ones.
        data: counts of trajectories, channels, grid, frames.
        places: of the states, as :func:`sample_places` gives them.
    """

    dtype = torch.float32

    def __init__(
        self,
        trajectories: TrajectoryFolder,
        environments: Sequence[str],
        data: DataSettings,
        places: Sequence[tuple[int, int]],
    ) -> None:
        self._folder, self._environments, self._data, self._places = trajectories, environments, data, places
        self.shape = torch.Size((len(environments), len(places), len(data.channels), *data.grid))

    def __len__(self) -> int:
        return self.shape[0]

    def __getitem__(self, environment: int) -> Tensor:
        trajectory, frame = (list(numbers) for numbers in zip(*self._places, strict=True))
        return self.trained_on(environment)[trajectory, frame]

    def trained_on(self, environment: int) -> Tensor:
        """Frames [trajectory, frame, channel, y, x] that experts of an environment, by its number, were trained on.

        Raises:
            InputError: its file cannot be used.
        """
        id, data = self._environments[environment], self._data
        return self._folder.read([id], data, "train", data.trained_frames)[0]


def frame_step_of(trajectories: Trajectories, frames: int, folder: Path) -> float:
    """Time between two frames.

    Raises:
        InputError: it is none, or no number above 0.
    """
    step = float(np.median(np.diff(trajectories.time[:frames]))) if len(trajectories.time) > 1 else math.nan
    if not 0 < step < math.inf:
        where = f"{folder}: environment {trajectories.environment}: time"
        raise InputError(f"{where}: found a step of {step:g} between frames, expected a number above 0")
    return step
