"""Missing values of trajectories: what a forecast can be compared with, and where one may begin.

A missing value is NaN, from the file to the loss, and nothing stands in for it: forecasts begin at states that are
whole, go on as long as their inputs are known, and are compared with what was recorded. Of what they are compared with,
every value that is there counts alike. Frames without missing values take none of these ways, so that what is computed
of them is as if there were none.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.nets.input_layout import InputLayout
from weightcast.environments.history import newest
from weightcast.environments.inputs import held


def any_missing(frames: Tensor) -> bool:
    """Whether a value is missing; none is of a tensor that has no values, but a shape alone."""
    return not frames.is_meta and bool(torch.isnan(frames).any())


def comparable(windows: Tensor, layout: InputLayout, history: int) -> Tensor:
    """Which values of the frames after the first a forecast from the first can be compared with.

    Args:
        windows: [..., 1 + step, channel, y, x], inputs behind the channels of the state; NaN where a value is missing.
        layout: of the inputs.
        history: frames of a state, the newest first.

    Returns:
        bool [..., step, channel, y, x], of the newest frames: those that are there, as long as all inputs on the way
        are known; none where the first state is not whole.
    """
    states = windows.shape[-3] - layout.shown
    observed = torch.isfinite(newest(windows[..., 1:, :states, :, :], history))
    reached = torch.isfinite(windows[..., :1, :states, :, :]).flatten(-3).all(-1)  # [..., 1]
    if layout.shown:
        inputs = held(windows[..., :-1, states:, :, :], layout)
        known = torch.isfinite(inputs).flatten(-3).all(-1)  # [..., step]
        reached = reached & (known.int().cumprod(-1) > 0)
    return observed & reached[..., None, None, None]


def reachable(windows: Tensor, layout: InputLayout, history: int) -> Tensor:
    """The newest frames [..., step, channel, y, x] after the first, NaN where a forecast cannot be compared with them:
    see :func:`comparable`."""
    states = windows.shape[-3] - layout.shown
    frames = newest(windows[..., 1:, :states, :, :], history)
    return frames.masked_fill(~comparable(windows, layout, history), torch.nan)


def without_land(frames: Tensor, land: Tensor | None) -> Tensor:
    """Frames with nothing to be compared with on land, where they hold a number that nobody measured.

    Args:
        frames: as predictors take them [..., channel, y, x], the newest frame's channels first.
        land: where a channel of a frame never has a value, bool [channel, y, x], or of each environment, with axes that
            go with those of the frames; None: nowhere.

    Returns:
        The same shape, NaN there in the newest frame.
    """
    if land is None:
        return frames
    channels = land.shape[-3]
    newest_ones = frames[..., :channels, :, :].masked_fill(land.to(frames.device), torch.nan)
    return torch.cat([newest_ones, frames[..., channels:, :, :]], dim=-3)


def observed_mean(values: Tensor, dimensions: Sequence[int]) -> Tensor:
    """Mean over dimensions of the values that are there; NaN where none is. Without missing values the usual mean, to
    the last digit."""
    return values.nanmean(tuple(dimensions)) if any_missing(values) else values.mean(tuple(dimensions))


def observed_spread(rows: Tensor) -> Tensor:
    """Standard deviation [row] of the values of each row that are there; NaN where fewer than two are."""
    if not any_missing(rows):
        return rows.std(1)
    seen = torch.isfinite(rows)
    count = seen.sum(1)
    apart = torch.where(seen, rows - rows.nanmean(1, keepdim=True), 0.0)
    return (apart.square().sum(1) / (count - 1)).sqrt().masked_fill(count < 2, torch.nan)


def first_whole_states(frames: Tensor, count: int) -> Tensor:
    """The first so many states of each environment that are whole, with known inputs, as those of one trajectory.

    Args:
        frames: [environment, trajectory, frame, channel, y, x], of which each first frame is whole.
        count: of states; where there are fewer they come again.

    Returns:
        [environment, 1, count, channel, y, x].
    """
    chosen = []
    for own in frames.flatten(1, 2):
        whole = torch.isfinite(own).flatten(1).all(1).nonzero()[:, 0]
        chosen.append(own[whole[torch.arange(count, device=whole.device) % len(whole)]])
    return torch.stack(chosen)[:, None]


def usual_over_steps(values: Tensor) -> Tensor:
    """The median environment's value at each step of each channel [step, channel], of values [environment, step,
    channel] that are NaN where an environment has none there. Where none has, as at the step before it that has one, or
    the first."""
    found = values.nanmedian(0).values
    for step in range(1, len(found)):
        found[step] = torch.where(found[step].isnan(), found[step - 1], found[step])
    for step in reversed(range(len(found) - 1)):
        found[step] = torch.where(found[step].isnan(), found[step + 1], found[step])
    return found


@dataclass(frozen=True)
class WholeStarts:
    """Where windows of training frames may begin: at states that are whole, with known inputs.

    Attributes:
        places: trajectory and frame of each [environment, place, 2], long; of an environment that has fewer places than
            another the first one again behind its own.
        counts: of places [environment], long.
        firsts: trajectories whose first state is such a one [environment, trajectory], long, filled up likewise.
        first_counts: of these [environment], long.
    """

    places: Tensor
    counts: Tensor
    firsts: Tensor
    first_counts: Tensor

    @classmethod
    def of(cls, frames: Tensor, length: int) -> WholeStarts | None:
        """Those of frames [environment, trajectory, frame, channel, y, x] for windows of so many frames; None where no
        value is missing.

        Raises:
            ValueError: an environment has none.
        """
        if not any_missing(frames):
            return None
        whole = torch.isfinite(frames).flatten(3).all(3)[:, :, : frames.shape[2] - length + 1]
        if not bool(whole.flatten(1).any(1).all()):
            raise ValueError(f"found no whole state that {length - 1} frames follow in some environment, expected one")
        places = [one.nonzero() for one in whole]
        firsts = [one[:, 0].nonzero()[:, 0] for one in whole]
        firsts = [own if len(own) else places[row][:1, 0] for row, own in enumerate(firsts)]
        counts, first_counts = (
            torch.tensor([len(one) for one in each], device=frames.device) for each in (places, firsts)
        )
        return cls(_filled_up(places), counts, _filled_up(firsts), first_counts)

    def draw(self, environments: Tensor, batch: int, draws: Draws, start_share: float) -> tuple[Tensor, Tensor]:
        """Where windows begin: trajectory and first frame, each long [member, batch].

        Args:
            environments: long [member]; which environment each member draws from.
            batch: windows a member.
            draws: source of the draw.
            start_share: of the windows that begin with a trajectory's first frame, beside those that do by chance.
        """
        shape = (len(environments), batch)
        row = environments.to(self.places.device)[:, None]
        drawn = _one_of(self.counts[row], draws.uniform(*shape))
        trajectory, start = self.places[row, drawn].unbind(-1)
        if start_share > 0:
            first = _one_of(self.first_counts[row], draws.uniform(*shape))
            begins = draws.uniform(*shape).to(row.device) < start_share
            trajectory = torch.where(begins, self.firsts[row, first], trajectory)
            start = torch.where(begins, 0, start)
        return trajectory, start


class WindowStarts:
    """Where windows of every length may begin, found once for a training.

    Args:
        frames: that windows are drawn from, normalised [environment, trajectory, frame, channel, y, x].

    Attributes:
        missing: whether a value is.
    """

    def __init__(self, frames: Tensor) -> None:
        self.missing = any_missing(frames)
        self._frames = frames
        self._found = dict[int, WholeStarts | None]()

    def of(self, length: int) -> WholeStarts | None:
        """Those of windows of so many frames; None where windows may begin anywhere."""
        if self.missing and length not in self._found:
            self._found[length] = WholeStarts.of(self._frames, length)
        return self._found.get(length)


def _one_of(counts: Tensor, uniform: Tensor) -> Tensor:
    """A number from 0 to below each count, long, of as many evenly distributed ones."""
    return torch.minimum((uniform.to(counts.device) * counts).long(), counts - 1)


def _filled_up(rows: Sequence[Tensor]) -> Tensor:
    most = max(map(len, rows))
    return torch.stack([torch.cat([row, row[:1].expand(most - len(row), *row.shape[1:])]) for row in rows])
