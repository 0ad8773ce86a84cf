"""A few observed frames as numbers of a fixed count, with NaN for what was not observed.

An observation of a trajectory is a fixed number of slots. A slot holds the time of a frame, counted in the study's
frames from the trajectory's first observed one, and the frame's values. Empty slots, and points that are masked, are
NaN. So frames may be few, far apart in time, irregular, or hold every other point alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.environments.config.condition import FramesSettings
from weightcast.environments.transform import never_negative

MASKED = 0.25
"""Share of observations of which points are hidden in training."""


@dataclass(frozen=True)
class ObservationLayout:
    """How observations are laid out.

    Attributes:
        slots: most frames of a trajectory.
        channels: of a frame.
        grid: its points along (y, x).
    """

    slots: int
    channels: int
    grid: tuple[int, int]

    @property
    def frame(self) -> tuple[int, int, int]:
        """Shape of a frame: channel, y, x."""
        return self.channels, *self.grid

    @property
    def coordinates(self) -> int:
        """Numbers of an observed trajectory."""
        return self.slots * (1 + self.channels * self.grid[0] * self.grid[1])

    def pack(self, times: Tensor, frames: Tensor) -> Tensor:
        """Times [..., slot] and frames [..., slot, channel, y, x] -> coordinates [..., coordinate]."""
        return torch.cat([times[..., None], frames.flatten(-3)], dim=-1).flatten(-2)

    def unpack(self, coordinates: Tensor) -> tuple[Tensor, Tensor]:
        """The inverse of :meth:`pack`, of several trajectories in a row.

        Args:
            coordinates: [batch, trajectory * coordinate].

        Returns:
            Times [batch, trajectory, slot] and frames [batch, trajectory, slot, channel, y, x].
        """
        slots = coordinates.reshape(len(coordinates), -1, self.slots, self.coordinates // self.slots)
        return slots[..., 0], slots[..., 1:].unflatten(-1, self.frame)

    def observe(self, frames: Tensor, times: Tensor | None = None) -> Tensor:
        """The first frames of each trajectory that show anything.

        Args:
            frames: [trajectory, frame, channel, y, x], NaN where nothing was observed.
            times: of the frames [frame], counted in the study's frames; consecutive ones if None.

        Returns:
            Coordinates of all trajectories in a row [trajectory * coordinate].
        """
        if times is None:
            times = torch.arange(frames.shape[1], dtype=torch.float32)
        rows = []
        for trajectory in frames:
            shown = (~trajectory.isnan()).flatten(1).any(1).nonzero()[:, 0][: self.slots]
            empty = self.slots - len(shown)
            at = times[shown].float() - (times[shown[0]] if len(shown) else 0.0)
            at = torch.nn.functional.pad(at, (0, empty), value=torch.nan)
            padded = torch.cat([trajectory[shown].float(), torch.full((empty, *self.frame), torch.nan)])
            rows.append(self.pack(at, padded))
        return torch.cat(rows)


def draw_observations(
    layout: ObservationLayout,
    pool: Tensor,
    rows: Tensor,
    spread: Tensor,
    settings: FramesSettings,
    draws: Draws,
    start_share: float = 0.0,
    transforms: Sequence[object] = (),
) -> Tensor:
    """Random short observations of environments, as somebody might make them.

    Each is of one trajectory: from a random start, of a random number of frames, each one or every other one, with
    noise, some points hidden and others left out.

    Args:
        layout: of the result.
        pool: frames to draw from [environment, trajectory, frame, channel, y, x]; trajectories and frames that an
            environment lacks, which are the last ones, are NaN, and so are values that are missing.
        rows: long [observation]; the environment of each.
        spread: of the channels, which noise is relative to [channel].
        settings: which noise, how many points.
        draws: source of the draw.
        start_share: of the observations that begin with a trajectory's first frame, beside those that do by chance.
        transforms: of the channels: what has one is never below 0, with noise either.

    Returns:
        Coordinates [observation, coordinate].
    """
    count, device = len(rows), pool.device

    def one_of(values: list[float] | list[int]) -> Tensor:
        return torch.tensor(values, device=device)[draws.integers(len(values), count)]

    lengths = _lengths(pool)  # [environment, trajectory]
    trajectories = (lengths[rows] > 0).sum(1)
    trajectory = (draws.uniform(count) * trajectories).long()
    available = lengths[rows, trajectory]
    stride = torch.minimum(one_of(settings.strides).long(), available)
    most = torch.div(available - 1, stride, rounding_mode="floor").add(1).clamp(max=layout.slots)
    frames = 1 + (draws.uniform(count) * most).long()
    start = (draws.uniform(count) * (available - (frames - 1) * stride)).long()
    if start_share:
        start = torch.where(draws.uniform(count) < start_share, 0, start)
    slot = torch.arange(layout.slots, device=device)
    times = slot * stride[:, None]  # [observation, slot]
    used = slot < frames[:, None]
    chosen = torch.where(used, start[:, None] + times, 0)
    values = pool[rows[:, None], trajectory[:, None], chosen]  # [observation, slot, channel, y, x]

    noise = one_of(settings.noise).float()[:, None, None, None, None] * spread[:, None, None]
    values = never_negative(values + noise * draws.normal(*values.shape), transforms)
    hidden = settings.masked * draws.uniform(count) * (draws.uniform(count) < MASKED)
    seen = draws.uniform(count, *layout.grid) >= hidden[:, None, None]
    spacing, offset = one_of(settings.spacings).long(), draws.integers(max(layout.grid), count)
    for axis, size in enumerate(layout.grid):
        step = torch.clamp(spacing, max=size)
        point = torch.arange(size, device=device)
        kept = (point - offset[:, None]) % step[:, None] == 0  # [observation, point]
        seen &= kept.unsqueeze(2 - axis)
    nothing = ~seen.flatten(1).any(1)
    seen[nothing] = True  # an observation of nothing teaches nothing
    values = values.masked_fill(~(seen[:, None, None] & used[..., None, None, None]), torch.nan)
    return layout.pack(times.float().masked_fill(~used, torch.nan), values)


def _lengths(pool: Tensor) -> Tensor:
    """Frames of each trajectory [environment, trajectory], up to the last one of which anything is there."""
    there = ~pool[:, :, :, 0, 0, 0].isnan()
    if not bool(there.all()):  # one value alone may be missing
        there[~there] = ~pool[~there].flatten(1).isnan().all(1)
    numbers = torch.arange(1, pool.shape[2] + 1, device=pool.device)
    return (there * numbers).amax(2)
