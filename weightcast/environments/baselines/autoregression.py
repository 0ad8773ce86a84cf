"""Linear autoregression: the increment of a state as a linear function of the state, of as many frames before it as
predictors see (``data.history``), and of what is known beside it.

Pooled coefficients are those of a ridge regression (A. E. Hoerl, R. W. Kennard, Ridge regression: biased estimation for
nonorthogonal problems, Technometrics 12 (1970) 55) over all visible environments; its penalty draws them towards
persistence. Of an environment of which a few frames are known, the pooled coefficients are the mean of a prior of
Zellner's kind (A. Zellner, On assessing prior distributions and Bayesian regression analysis with g-prior
distributions, 1986): it counts as much as so many frames of an average environment.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from weightcast.environments.baselines.next_frame import LEAST_SPREAD, Floats, Records, error, folds
from weightcast.environments.config.baselines import AutoregressionSettings

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 10000.0)
"""Frames of an average environment that the pooled coefficients may count as, beside those that were seen."""


@dataclass(frozen=True, eq=False)
class Scale:
    """Units in which coefficients are penalised alike.

    Attributes:
        mean: of what a step is told [number].
        deviation: of the same.
        increment: standard deviation of the increments [channel].
    """

    mean: Floats
    deviation: Floats
    increment: Floats

    @classmethod
    def of(cls, records: Records) -> Scale:
        told = records.before.reshape(-1, records.before.shape[-1])
        made = records.increments.reshape(-1, records.increments.shape[-1])
        if np.isnan(told).any() or np.isnan(made).any():
            deviation, increment = np.nanstd(told, axis=0), np.nanstd(made, axis=0)
            least = np.maximum(deviation, LEAST_SPREAD), np.maximum(increment, LEAST_SPREAD)
            return cls(np.nanmean(told, axis=0), *least)
        return cls(told.mean(0), np.maximum(told.std(0), LEAST_SPREAD), np.maximum(made.std(0), LEAST_SPREAD))

    def design(self, told: Floats) -> Floats:
        """What a step is told, in these units, and a constant [..., 1 + number]."""
        scaled = (told - self.mean) / self.deviation
        return np.concatenate([np.ones((*scaled.shape[:-1], 1)), scaled], axis=-1)


@dataclass(frozen=True, eq=False)
class Moments:
    """Sums that a linear regression depends on, of each environment.

    Attributes:
        gram: [environment, 1 + number, 1 + number].
        cross: [environment, 1 + number, channel].
        counts: steps [environment].
    """

    gram: Floats
    cross: Floats
    counts: Floats

    @classmethod
    def of(cls, records: Records, scale: Scale) -> Moments:
        design = scale.design(records.before)
        design = design.reshape(len(design), -1, design.shape[-1])
        made = (records.increments / scale.increment).reshape(len(design), design.shape[1], -1)
        # A step with a gap tells nothing.
        whole = np.asarray(np.isfinite(design).all(axis=2) & np.isfinite(made).all(axis=2))
        design, made = np.where(whole[..., None], design, 0.0), np.where(whole[..., None], made, 0.0)
        turned = design.swapaxes(1, 2)
        return cls(turned @ design, turned @ made, whole.sum(axis=1).astype(float))

    def take(self, environments: Sequence[int]) -> Moments:
        chosen = list(environments)
        return Moments(self.gram[chosen], self.cross[chosen], self.counts[chosen])


@dataclass(frozen=True, eq=False)
class Autoregression:
    """Coefficients, the same of all environments or of each.

    Attributes:
        scale: their units.
        coefficients: [environment or 1, 1 + number, channel].
    """

    scale: Scale
    coefficients: Floats

    def __call__(self, told: Floats) -> Floats:
        """Increments [environment, trajectory, channel] of what steps are told [environment, trajectory, number]."""
        return (self.scale.design(told) @ self.coefficients) * self.scale.increment

    @property
    def numbers(self) -> int:
        """Coefficients of an environment."""
        return int(self.coefficients[0].size)


def pooled(moments: Moments, penalty: float) -> Floats:
    """Coefficients of the environments together [1, 1 + number, channel].

    Args:
        moments: of the environments.
        penalty: on the square of each coefficient but the constant, as a share of the frames.
    """
    ridge = penalty * moments.counts.sum() * np.eye(moments.gram.shape[-1])
    ridge[0, 0] = 0.0
    return _solved(moments.gram.sum(0) + ridge, moments.cross.sum(0))[None]


def each(moments: Moments, penalty: float) -> Floats:
    """Coefficients of each environment by itself [environment, 1 + number, channel]."""
    return np.concatenate([pooled(moments.take([number]), penalty) for number in range(len(moments.gram))])


def drawn_to(moments: Moments, visible: Moments, centre: Floats, strength: float) -> Floats:
    """Coefficients of each environment that a few frames draw away from the pooled ones.

    Args:
        moments: of what was seen of each environment.
        visible: of the visible environments, an average frame of which says how well coefficients are known.
        centre: the pooled coefficients [1, 1 + number, channel].
        strength: frames of an average environment that these count as.

    Returns:
        [environment, 1 + number, channel].
    """
    prior = strength * visible.gram.sum(0) / visible.counts.sum()
    return np.stack(
        [
            _solved(gram + prior, cross + prior @ centre[0])
            for gram, cross in zip(moments.gram, moments.cross, strict=True)
        ]
    )


@dataclass(frozen=True, eq=False)
class AutoregressionFits:
    """Autoregressions of a study.

    Attributes:
        train: trajectories of the visible environments, as far as networks are trained on them.
        held_out: others of theirs, on which choices are made.
        settings: penalties to choose from.
    """

    train: Records
    held_out: Records
    settings: AutoregressionSettings

    @cached_property
    def scale(self) -> Scale:
        return Scale.of(self.train)

    @cached_property
    def moments(self) -> Moments:
        return Moments.of(self.train, self.scale)

    @cached_property
    def penalty(self) -> float:
        """Choose it by forecasts of left-out visible environments by the others' pooled coefficients."""

        def judged(penalty: float) -> float:
            own = [(pooled(self.moments.take(fitted), penalty), judging) for fitted, judging in folds(len(self.train))]
            return self._judged(own)

        return min(self.settings.penalties, key=judged)

    def pooled(self) -> Autoregression:
        """Fit all visible environments together."""
        return Autoregression(self.scale, pooled(self.moments, self.penalty))

    def own(self, records: Records) -> Autoregression:
        """Fit each environment's own trajectories, with the penalty with which those of visible ones forecast best."""
        every = list(range(len(self.train)))
        penalty = min(self.settings.penalties, key=lambda penalty: self._judged([(each(self.moments, penalty), every)]))
        return Autoregression(self.scale, each(Moments.of(records, self.scale), penalty))

    def from_frames(self, shown: Records, train: Records) -> Callable[[Records], Autoregression]:
        """The pooled coefficients, drawn to few frames as far as serves left-out visible environments best."""
        seen = Moments.of(shown, self.scale)

        def judged(strength: float) -> float:
            own = []
            for fitted, judging in folds(len(self.train)):
                others = self.moments.take(fitted)
                centre = pooled(others, self.penalty)
                own.append((drawn_to(seen.take(judging), others, centre, strength), judging))
            return self._judged(own)

        strength = min(STRENGTHS, key=judged)
        centre = pooled(self.moments, self.penalty)

        def drawn(frames: Records) -> Autoregression:
            own = drawn_to(Moments.of(frames, self.scale), self.moments, centre, strength)
            return Autoregression(self.scale, own)

        return drawn

    def _judged(self, own: list[tuple[Floats, list[int]]]) -> float:
        """Mean logarithmic error of forecasts by coefficients, for the environments that each are to be judged by."""
        errors = [
            len(judging) * math.log(error(Autoregression(self.scale, coefficients), self.held_out.take(judging)))
            for coefficients, judging in own
        ]
        return sum(errors) / len(self.train)


def _solved(matrix: Floats, right: Floats) -> Floats:
    """A solution of least norm where there are several: inputs may say the same twice."""
    return np.asarray(np.linalg.lstsq(matrix, right, rcond=1e-10)[0], np.float64)
