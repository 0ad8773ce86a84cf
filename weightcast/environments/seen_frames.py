"""Training frames of the visible environments, for statistics that take one environment after the other."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from weightcast.core.run import Run
from weightcast.environments.config.data import DataSettings
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.evaluated_together import seen_together
from weightcast.environments.missing_values import observed_mean, without_land


@dataclass(frozen=True)
class SeenFrames:
    """The trained frames of the training trajectories of environments, in physical units, on the run's device; NaN
    where a value is missing, as on land.

    Where all of them fit into memory they are read once, and stay. Where they do not, they are read in blocks, anew
    each time that they are asked for.

    Attributes:
        trajectories: the files.
        ids: of the environments.
        data: settings of the study.
        run: whose memory is not to be exceeded.
    """

    trajectories: TrajectoryFolder
    ids: Sequence[str]
    data: DataSettings
    run: Run

    @cached_property
    def all(self) -> Tensor:
        """[environment, trajectory, frame, channel, y, x], whether that fits or not.

        Raises:
            InputError: a file cannot be used.
        """
        return self._read(self.ids)

    def __iter__(self) -> Iterator[Tensor]:
        """Those of each environment [trajectory, frame, channel, y, x]."""
        for block in self._blocks():
            yield from block

    def mean(self) -> Tensor:
        """The mean of the values that are there, over environments, trajectories and frames [channel, y, x]; NaN where
        none is.

        Of frames that do not fit, sums are in double precision: the same but for rounding.
        """
        if self._fit:
            return observed_mean(self.all, (0, 1, 2))
        sums = counts = torch.zeros(())
        for frames in self:
            there = torch.isfinite(frames)
            sums = sums + torch.where(there, frames, 0.0).sum((0, 1), dtype=torch.double)
            counts = counts + there.sum((0, 1))
        return (sums / counts).to(torch.float32)

    @property
    def _together(self) -> int:
        data = self.data
        numbers = data.trajectories.train * data.trained_frames * len(data.channels) * math.prod(data.grid)
        return seen_together(numbers, self.run.memory // 4)

    @property
    def _fit(self) -> bool:
        return len(self.ids) <= self._together

    def _blocks(self) -> Iterator[Tensor]:
        if self._fit:
            yield self.all
            return
        for first in range(0, len(self.ids), self._together):
            yield self._read(self.ids[first : first + self._together])

    def _read(self, ids: Sequence[str]) -> Tensor:
        frames = self.trajectories.read(ids, self.data, "train", self.data.trained_frames)
        return self.run.place(without_land(frames, self.trajectories.land(ids, self.data)))
