"""Observed frames as rollouts to be compared with: what codes, experts and rivals are judged by."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.environments.history import newest
from weightcast.environments.missing_values import any_missing
from weightcast.environments.predictor import StackedPredictor

FEW_NUMBERS = 64
"""Numbers that the first frames of rollouts may consist of to be unknown as well. Noise in those of a state is an error
that the whole rollout carries on; in those of a field most of it averages out, and what is left is counted."""
STACKED_NUMBERS = 3e7
"""Numbers of frames that are stepped at once."""


@dataclass(frozen=True)
class Windows:
    """Observed frames as rollouts to be compared with.

    Attributes:
        start: [environment, window, channel, y, x], normalised; older frames, if any, behind the newest.
        target: the frames that followed [environment, window, step, channel, y, x]; 0 where nothing was observed.
        observed: 1 where something was, else 0; same shape.
        inputs: what steps are shown beside the state [environment, window, step, shown, y, x]; None: nothing.
    """

    start: Tensor
    target: Tensor
    observed: Tensor
    inputs: Tensor | None = None

    @classmethod
    def of(
        cls, frames: Tensor, whole: Tensor, unroll: int | None, most: int, inputs: int = 0, history: int = 1
    ) -> Windows:
        """Cut frames into rollouts. None starts at a frame of which nothing was observed, unless all would. Nothing is
        compared behind a step whose inputs are not known; where rollouts are as long as the frames, an environment has
        another one from where they are known again.

        Args:
            frames: normalised [environment, trajectory, frame, channel, y, x]; NaN where nothing was observed.
            whole: the same without gaps, for rollouts to start from: see :mod:`weightcast.environments.gaps`.
            unroll: steps of a rollout; as many as there are frames if None.
            most: rollouts of an environment; evenly chosen where there would be more.
            inputs: how many of the channels, the last ones, are not observed but known.
            history: frames of a state, of which rollouts start; they are compared with the newest ones.
        """
        states = frames.shape[3] - inputs
        frames, shown = newest(frames[:, :, :, :states], history), frames[:, :, :, states:]
        trajectories, length = frames.shape[1:3]
        steps = length - 1 if unroll is None else min(unroll, length - 1)
        starts = torch.arange(length - steps, device=frames.device)
        trajectory = torch.arange(trajectories, device=frames.device).repeat_interleave(len(starts))
        starts = starts.repeat(trajectories)
        seen = torch.isfinite(frames).flatten(3).any(3).all(0)[trajectory, starts]  # in every environment
        if bool(seen.any()):
            trajectory, starts = trajectory[seen], starts[seen]
        if len(starts) > most:
            chosen = torch.linspace(0, len(starts) - 1, most, device=frames.device).round().long()
            trajectory, starts = trajectory[chosen], starts[chosen]
        if inputs and any_missing(shown):
            return cls._driven(frames, whole[:, :, :, :states], shown, trajectory, starts, steps, most)
        after = starts[:, None] + torch.arange(1, steps + 1, device=frames.device)
        target = frames[:, trajectory[:, None], after]
        observed = torch.isfinite(target)
        start = whole[:, trajectory, starts][:, :, :states]
        driving = shown[:, trajectory[:, None], after - 1] if inputs else None
        return cls(start, torch.nan_to_num(target), observed.to(frames.dtype), driving)

    @classmethod
    def _driven(
        cls, frames: Tensor, whole: Tensor, shown: Tensor, trajectory: Tensor, starts: Tensor, steps: int, most: int
    ) -> Windows:
        """The same with inputs of which some are not known, from these places on."""
        known = torch.isfinite(shown).flatten(3).all(3)  # [environment, trajectory, frame]
        length, every = frames.shape[2], frames.new_ones(len(frames), len(starts), dtype=torch.bool)
        if steps == length - 1:
            further = _restarts(known, torch.isfinite(frames).flatten(3).any(3), most)
            trajectory = torch.cat([trajectory, trajectory.new_tensor([place for place, _ in further])])
            starts = torch.cat([starts, starts.new_tensor([frame for _, frame in further])])
            own = every.new_zeros(len(frames), len(further))
            for column, rows in enumerate(further.values()):
                own[rows, column] = True
            every = torch.cat([every, own], 1)
        after = starts[:, None] + torch.arange(1, steps + 1, device=frames.device)
        there, after = after < length, after.clamp(max=length - 1)
        reached = known[:, trajectory[:, None], after - 1].int().cumprod(2) > 0  # [environment, window, step]
        target = frames[:, trajectory[:, None], after]
        reached = reached & there & every[..., None]
        observed = torch.isfinite(target) & reached[..., None, None, None]
        driving = torch.nan_to_num(shown[:, trajectory[:, None], after - 1])
        target = torch.where(observed, target, 0.0)
        return cls(whole[:, trajectory, starts], target, observed.to(frames.dtype), driving)

    @property
    def counts(self) -> Tensor:
        """Numbers that are compared [environment]."""
        return self.observed.flatten(1).sum(1)

    @property
    def start_numbers(self) -> int:
        """Numbers of the frames that rollouts start from, where these are few enough to be unknown; else 0."""
        numbers = self.start[0].numel()
        return numbers if numbers <= FEW_NUMBERS else 0

    def residuals(
        self, weights: Tensor, of: Tensor, predictor: StackedPredictor, offsets: Tensor | None = None
    ) -> Tensor:
        """Errors of rollouts.

        Args:
            weights: [problem, weight].
            of: whose frames each problem's are, long [problem].
            predictor: whose weights they are.
            offsets: of the frames that rollouts start from [problem, number]; None: they are as observed.

        Returns:
            [problem, residual]; 0 where nothing was observed.
        """
        start = self.start[of]
        if offsets is not None:
            start = start + offsets.view_as(start)
        inputs = None if self.inputs is None else self.inputs[of]
        forecast = predictor.rollout(weights, start, self.target.shape[2], inputs)
        return ((forecast - self.target[of]) * self.observed[of]).flatten(1)

    def white_noise(self, residuals: Tensor) -> Tensor:
        """Standard deviation of the residuals' part that is independent from frame to frame [environment].

        From second differences in time along each rollout, which smooth errors, as those of a wrong code, hardly have.

        Args:
            residuals: one problem of each environment [environment, residual].

        Returns:
            NaN where no three frames that follow each other were observed at a point.
        """
        seen = self.observed > 0  # [environment, window, step, channel, y, x]
        steps = seen.flatten(3).any(3).any(1).any(0).nonzero()[:, 0]  # every k-th, where only those were seen
        residuals, seen = residuals.view_as(self.target)[:, :, steps], seen[:, :, steps]
        if len(steps) < 3:
            return residuals.new_full((len(residuals),), torch.nan)
        second = residuals[:, :, 2:] - 2 * residuals[:, :, 1:-1] + residuals[:, :, :-2]
        complete = seen[:, :, 2:] & seen[:, :, 1:-1] & seen[:, :, :-2] & torch.isfinite(second)
        squares = torch.where(complete, second, 0.0).square().flatten(1).sum(1)
        return (squares / complete.flatten(1).sum(1) / 6.0).sqrt()


def _restarts(known: Tensor, seen: Tensor, most: int) -> dict[tuple[int, int], list[int]]:
    """Where inputs are known again after steps at which they are not: environments by trajectory and frame, of the
    first so many places.

    Args:
        known: whether a frame's inputs are [environment, trajectory, frame].
        seen: whether something of a frame was observed; same shape.
        most: places.
    """
    begins = known & seen
    begins[:, :, -1] = False  # from which no step leads
    found = dict[tuple[int, int], list[int]]()
    for environment, trajectory in (~known[:, :, :-1]).any(2).nonzero().tolist():
        lost, there = known[environment, trajectory].logical_not().tolist(), begins[environment, trajectory].tolist()
        broken = False
        for frame, (is_lost, may_begin) in enumerate(zip(lost, there, strict=True)):
            broken = broken or is_lost
            if broken and may_begin:
                found.setdefault((trajectory, frame), []).append(environment)
                broken = False
    return dict(sorted(found.items())[:most])
