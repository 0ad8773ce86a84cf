"""What regressions of the next frame have in common: the frames as numbers, forecasts, how settings are judged.

A regression is told what the study's predictors are told: a state, and what is known beside it, and its forecast is fed
back as theirs are. Only states without a grid, of a few numbers each, are regressed.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

Floats = NDArray[np.float64]
FOLDS = 3
"""Parts of the visible environments, each of which is forecast by what the others were fitted to, to judge settings."""
LEAST_SPREAD = 1e-12


@dataclass(frozen=True, eq=False)
class Records:
    """Trajectories as regressions see them; NaN where a value is missing.

    Attributes:
        states: [environment, trajectory, frame, channel], physical units, or what transforms make of these; the frames
            before each that predictors see as well stand behind its channels, newest first.
        inputs: what is known of each step beside the state [environment, trajectory, frame, input]; the last frame's
            step leads out of the trajectory.
        held: how many of the inputs, the last ones, are known until a forecast begins alone.
        history: frames of a state.
    """

    states: Floats
    inputs: Floats
    held: int = 0
    history: int = 1

    @classmethod
    def of(cls, frames: Tensor, channels: int, held: int = 0, history: int = 1) -> Records:
        """Frames of states without a grid [environment, trajectory, frame, channel and input, 1, 1], older ones behind
        the channels of each."""
        numbers, states = frames.flatten(3).cpu().double().numpy(), history * channels
        return cls(numbers[..., :states], numbers[..., states:], held, history)

    def __len__(self) -> int:
        return len(self.states)

    def take(self, environments: Sequence[int]) -> Records:
        """The same of some environments, by number."""
        chosen = list(environments)
        return Records(self.states[chosen], self.inputs[chosen], self.held, self.history)

    def until(self, frames: int) -> Records:
        """Only the first frames of each trajectory."""
        return Records(self.states[:, :, :frames], self.inputs[:, :, :frames], self.held, self.history)

    @property
    def frames(self) -> Floats:
        """Each frame alone [environment, trajectory, frame, channel]: what is forecast."""
        return self.states[..., : self.states.shape[-1] // self.history]

    @property
    def ahead(self) -> Floats:
        """The frames behind the first of each trajectory [environment, trajectory, step, channel], NaN behind a step
        whose inputs are not known, with which no forecast can be compared."""
        frames, known = self.frames[:, :, 1:], self.inputs.shape[-1] - self.held
        lost = np.isnan(self.inputs[:, :, :-1, :known]).any(axis=-1)
        if not lost.any():
            return frames
        return np.where(np.logical_or.accumulate(lost, axis=2)[..., None], np.nan, frames)

    @property
    def before(self) -> Floats:
        """What a step is told: state and inputs of every frame but the last [environment, trajectory, step, number]."""
        return np.concatenate([self.states, self.inputs], axis=-1)[:, :, :-1]

    @property
    def increments(self) -> Floats:
        """What a step makes of a frame [environment, trajectory, step, channel]."""
        return np.diff(self.frames, axis=2)


class Fitted(Protocol):
    """A fitted regression."""

    @property
    def numbers(self) -> int:
        """That must be kept to use it: of all environments together, or of each."""

    def __call__(self, told: Floats) -> Floats:
        """Increments of the frame [environment, trajectory, channel] from what steps are told [environment, trajectory,
        number]."""


class Fits(Protocol):
    """A kind of regression, and what it is fitted to."""

    def pooled(self) -> Fitted:
        """One for all environments, fitted to all visible ones."""

    def own(self, records: Records) -> Fitted:
        """One for each environment, fitted to its own trajectories."""

    def from_frames(self, shown: Records, train: Records) -> Callable[[Records], Fitted]:
        """What makes one for each environment of a few frames of it.

        Args:
            shown: of the visible environments, one trajectory each, on which choices are made.
            train: their trajectories, not cut to the trained frames.
        """


def roll_out(step: Fitted, records: Records, steps: int) -> Floats:
    """Forecasts from the first frame of every trajectory.

    Args:
        step: of the regression.
        records: whose first frames and inputs are used.
        steps: of the forecast; inputs beyond the trajectory's end stay as they were last.

    Returns:
        [environment, trajectory, step, channel].
    """
    state, known = records.states[:, :, 0], records.inputs.shape[-1] - records.held
    channels = records.frames.shape[-1]
    forecast = []
    for number in range(steps):
        now = records.inputs[:, :, min(number, records.inputs.shape[2] - 1)]
        told = np.concatenate([state, now[..., :known], records.inputs[:, :, 0, known:]], axis=-1)
        with np.errstate(over="ignore", invalid="ignore"):  # a forecast that diverges is scored as infinite
            frame = state[..., :channels] + step(told)
        forecast.append(frame)
        state = np.concatenate([frame, state], axis=-1)[..., : state.shape[-1]]
    return np.stack(forecast, axis=2)


def error(step: Fitted, records: Records) -> float:
    """Geometric mean over environments of the root mean square error of forecasts to the trajectories' end, each
    channel in units of its standard deviation there, as scores are; infinite where a forecast diverges. Values that are
    missing do not count."""
    truth = records.ahead
    return geometric_error(roll_out(step, records, truth.shape[2]), truth)


def geometric_error(forecast: Floats, truth: Floats) -> float:
    """The same of forecasts [environment, trajectory, step, channel]."""
    with np.errstate(over="ignore", invalid="ignore"):
        squares = (forecast - truth) ** 2
        squares = np.nan_to_num(squares, nan=np.inf, posinf=np.inf)
        missing = np.isnan(truth)
        if missing.any():
            return _geometric_error_of_observed(np.where(missing, np.nan, squares), truth)
        spread = np.maximum(truth.std(axis=(1, 2)), LEAST_SPREAD)
        errors = np.sqrt((squares.mean(axis=(1, 2)) / spread**2).mean(axis=1))
        return float(np.exp(np.log(np.maximum(errors, LEAST_SPREAD)).mean()))


def _geometric_error_of_observed(squares: Floats, truth: Floats) -> float:
    """The same of squared errors that are NaN where a value is missing; an environment of which nothing is there does
    not count."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of means of nothing, which are NaN
        spread = np.maximum(np.nanstd(truth, axis=(1, 2)), LEAST_SPREAD)
        errors = np.sqrt(np.nanmean(np.nanmean(squares, axis=(1, 2)) / spread**2, axis=1))
        return float(np.exp(np.nanmean(np.log(np.maximum(errors, LEAST_SPREAD)))))


def folds(count: int) -> list[tuple[list[int], list[int]]]:
    """Environments to fit to and to judge by, part by part, evenly spread; of a single one, itself."""
    if count < 2:
        return [([0], [0])]
    parts = [list(range(part, count, FOLDS)) for part in range(min(FOLDS, count))]
    return [([number for number in range(count) if number not in part], part) for part in parts]
