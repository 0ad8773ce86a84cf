"""Test trajectories of many environments, as many at a time as memory holds."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from weightcast.core.environment_table import ROLES, Environment
from weightcast.core.nets.input_layout import InputLayout
from weightcast.core.run import Run
from weightcast.environments.config.data import DataSettings
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.evaluated_together import environments_together
from weightcast.environments.missing_values import any_missing, reachable, without_land

BYTES = 4
"""Of a number."""


@dataclass(frozen=True)
class FramesBlock:
    """Test trajectories of some environments.

    Attributes:
        asked: which of the environments that were asked for they are for.
        environments: whose they are, those that were asked for among them.
        driven: [environment, trajectory, frame, channel, y, x], physical units, on the run's device, as predictors take
            them: older frames and inputs behind the channels of the state; NaN where no forecast can be compared, but
            on land, where the study's number stands.
        land: where the channels of the newest frame never have a value, bool [environment, 1, 1, channel, y, x],
            likewise; None: nowhere.
    """

    asked: slice
    environments: Sequence[Environment]
    driven: Tensor
    land: Tensor | None = None


@dataclass(frozen=True)
class EvaluatedFrames:
    """The first frames of test trajectories, which are read when they are asked for.

    Where all of them fit into memory they are read once, and stay. Where they do not, they are read in blocks, anew
    each time that they are asked for.

    Attributes:
        trajectories: the files.
        environments: of the study.
        data: its settings.
        frames: so many of each trajectory.
        run: whose memory is not to be exceeded.
    """

    trajectories: TrajectoryFolder
    environments: Sequence[Environment]
    data: DataSettings
    frames: int
    run: Run

    @property
    def together(self) -> int:
        """Environments that are read at once, at most."""
        data, layout = self.data, self.data.layout
        trajectories = max(data.trajectories.of_role(role).test for role in ROLES)
        channels = data.history * len(data.channels) + layout.shown
        numbers = trajectories * self.frames * channels * math.prod(data.grid)
        return environments_together(numbers, self.run.memory // BYTES)

    def blocks(self, ids: Sequence[str]) -> Iterator[FramesBlock]:
        """The trajectories of environments, in the order in which they are asked for.

        Raises:
            InputError: a file cannot be used.
        """
        if len(self.environments) <= self.together:
            yield FramesBlock(slice(0, len(ids)), self.environments, *self._all)
            return
        rows = {environment.id: environment for environment in self.environments}
        for first in range(0, len(ids), self.together):
            asked = slice(first, min(len(ids), first + self.together))
            chosen = [rows[id] for id in ids[asked]]
            yield FramesBlock(asked, chosen, *self.read(chosen))

    def read(self, environments: Sequence[Environment]) -> tuple[Tensor, Tensor | None]:
        """Those of some environments, see :attr:`FramesBlock.driven` and :attr:`FramesBlock.land`.

        Raises:
            InputError: a file cannot be used.
        """
        return read_driven(self.trajectories, environments, self.data, self.frames, self.run.device)

    @cached_property
    def _all(self) -> tuple[Tensor, Tensor | None]:
        return self.read(self.environments)


def read_driven(
    trajectories: TrajectoryFolder,
    environments: Sequence[Environment],
    data: DataSettings,
    frames: int,
    device: torch.device,
) -> tuple[Tensor, Tensor | None]:
    """The first frames of the test trajectories of environments, and where they are land, on a device; see
    :attr:`FramesBlock.driven` and :attr:`FramesBlock.land`.

    Raises:
        InputError: a file cannot be used.
    """
    driven = trajectories.read_roles(environments, data, "test", frames, inputs=True)
    if any_missing(driven):
        _leave_out_unreachable(driven, data.layout, data.history)
    return driven.to(device), trajectories.land([row.id for row in environments], data, device=device)


def compared(driven: Tensor, land: Tensor | None) -> Tensor:
    """Frames [environment, trajectory, frame, channel, y, x] as forecasts from the first of each are compared with
    them: NaN behind it where a channel never has a value."""
    if land is None:
        return driven
    return torch.cat([driven[:, :, :1], without_land(driven[:, :, 1:], land)], dim=2)


def _leave_out_unreachable(driven: Tensor, layout: InputLayout, history: int) -> None:
    """Make NaN, in place, what no forecast from the first frame can be compared with: frames behind an unknown input of
    trajectories [environment, trajectory, frame, channel, y, x] as predictors take them."""
    channels = (driven.shape[3] - layout.shown) // history
    driven[:, :, 1:, :channels] = reachable(driven, layout, history)
