"""What the shown samples of an environment say by themselves of later times: their law moved along a damped trend.

A location-scale family: at every time the law is that of the standardised shown samples, a kernel on each, with a mean
and a standard deviation of its own. The mean and the logarithm of the standard deviation go on from the last snapshot
as they went from the one before it, at a rate that dies away (a damped trend: Gardner and McKenzie, Management Science
1985). How wide kernels are is chosen by the likelihood of each shown sample under the others, from almost the samples
themselves to a single normal law for all.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.evolution.distances.wasserstein import wasserstein
from weightcast.families.cases import Case
from weightcast.families.evaluation import TestEnvironment
from weightcast.families.snapshots import Samples

WIDTHS = (0.1, 0.15, 0.2, 0.3, 0.4, 0.55, 0.75, 1.0)
"""Standard deviations of kernels that are tried, in those of the snapshot; at 1 all are one normal law."""
NARROWEST = 0.3
"""Least standard deviation of a dimension of counts: a narrower one says nothing of the next whole number."""
SHARE = 1e-3
"""Least standard deviation of a dimension of real numbers, in that of all shown samples."""
LARGEST_GROWTH = math.log(10.0)
"""Most that the logarithm of a standard deviation changes after the last snapshot, either way."""
AT_ONCE = 4_000_000
"""Numbers that likelihoods are computed with at once."""

JUDGED = 200
"""Most samples of a time by which dampings are judged."""

Array = NDArray[np.float64]


@dataclass(frozen=True)
class TrendLaw:
    """An evolving law of one environment, from its shown samples alone.

    Attributes:
        times: of the shown snapshots [snapshot].
        means, log_deviations: of these [snapshot, dimension].
        residuals: standardised samples of all snapshots [sample, dimension].
        width: of kernels, in standard deviations.
        damping: how long a trend goes on after the last snapshot, in the time between the last two: 0 keeps the last
            law, infinity never ends.
        states: for counts, every dimension is one of 0 to states - 1; None for a real state.
    """

    times: Array
    means: Array
    log_deviations: Array
    residuals: Array
    width: float
    damping: float
    states: int | None

    @classmethod
    def fit(cls, times: Sequence[float], samples: Sequence[Samples], damping: float, states: int | None) -> TrendLaw:
        """Moments of each snapshot, and kernels as wide as the samples ask for.

        Args:
            times: of the snapshots, increasing.
            samples: of each [sample, dimension], in the data's units.
            damping: see the attribute.
            states: see the attribute.

        Raises:
            InputError: there is no sample.
        """
        if not len(samples) or any(not len(own) for own in samples):
            raise InputError("samples: found none at a time, expected one or more")
        everything = np.concatenate(samples)
        least = np.full(everything.shape[1], NARROWEST)
        if states is None:
            spread = everything.std(0)
            least = np.where(spread > 0, SHARE * spread, 1e-9)
        means = np.stack([own.mean(0) for own in samples])
        deviations = np.stack([_deviation(own, everything, least) for own in samples])
        residuals = np.concatenate(
            [(own - mean) / scale for own, mean, scale in zip(samples, means, deviations, strict=True)]
        )
        own_times = np.asarray(times, dtype=np.float64)
        laws = [cls(own_times, means, np.log(deviations), residuals, width, damping, states) for width in WIDTHS]
        return max(laws, key=lambda law: law._left_out(samples))

    def moments(self, time: float) -> tuple[Array, Array]:
        """Mean and standard deviation of each dimension at a time: between snapshots interpolated, after the last one
        along the damped trend [dimension]."""
        last = self.times[-1]
        if len(self.times) == 1 or time <= last:
            at = [
                np.array([np.interp(time, self.times, column) for column in values.T])
                for values in (self.means, self.log_deviations)
            ]
            return at[0], np.exp(at[1])
        gap = last - self.times[-2]
        reach = self._reach((time - last) / gap)
        mean = self.means[-1] + reach * (self.means[-1] - self.means[-2])
        growth = reach * (self.log_deviations[-1] - self.log_deviations[-2])
        log_deviation = self.log_deviations[-1] + growth.clip(-LARGEST_GROWTH, LARGEST_GROWTH)
        if self.states is not None:
            mean = mean.clip(0, self.states - 1)
            log_deviation = np.maximum(log_deviation, math.log(NARROWEST))
        return mean, np.exp(log_deviation)

    def sample(self, time: float, number: int, seed: int) -> Samples:
        """Draw samples at a time [number, dimension]; counts are whole numbers within their range."""
        random = np.random.default_rng(seed)
        mean, deviation = self.moments(time)
        rows = np.concatenate(
            [random.permutation(len(self.residuals)) for _ in range(-(-number // len(self.residuals)))]
        )
        noise = random.standard_normal((number, len(mean)))
        drawn = mean + deviation * (self._shrunk * self.residuals[rows[:number]] + self.width * noise)
        return drawn if self.states is None else drawn.round().clip(0, self.states - 1)

    def log_prob(self, values: Samples, time: float) -> Array:
        """Log density of values [sample, dimension] at a time, of counts the log probability [sample]."""
        mean, deviation = self.moments(time)
        size = max(1, AT_ONCE // self.residuals.size)
        parts = [values[first : first + size] for first in range(0, len(values), size)]
        return np.concatenate([_logmeanexp(self._kernels(part, mean, deviation)) for part in parts])

    @property
    def _shrunk(self) -> float:
        """What residuals are multiplied with, so that kernels do not widen the law."""
        return math.sqrt(1.0 - self.width**2)

    def _reach(self, ahead: float) -> float:
        """How far the trend has gone, in what it went between the last two snapshots, so many of their gaps ahead."""
        if self.damping == 0:
            return 0.0
        return ahead if math.isinf(self.damping) else self.damping * -math.expm1(-ahead / self.damping)

    def _kernels(self, values: Samples, mean: Array, deviation: Array) -> Array:
        """Log density of values under the kernel of each residual [value, residual]."""
        centres = mean + deviation * self._shrunk * self.residuals  # [residual, dimension]
        scale = self.width * deviation
        if self.states is None:
            off = (values[:, None] - centres) / scale
            return (-0.5 * np.square(off) - np.log(scale) - 0.5 * math.log(2 * math.pi)).sum(-1)
        # What lies beyond either end counts as the end itself, as samples do.
        low = np.where(values <= 0, -np.inf, values - 0.5)[:, None]
        high = np.where(values >= self.states - 1, np.inf, values + 0.5)[:, None]
        above, below = (high - centres) / scale, (low - centres) / scale
        # In the upper tail the complements differ where the probabilities round to 1.
        cell = np.where(below > 0, ndtr(-below) - ndtr(-above), ndtr(above) - ndtr(below))
        return np.log(np.maximum(cell, np.finfo(float).tiny)).sum(-1)

    def _left_out(self, samples: Sequence[Samples]) -> float:
        """Log-likelihood of the shown samples, each under the kernels of the others, its own snapshot's moments."""
        total, first = 0.0, 0
        for own, mean, log_deviation in zip(samples, self.means, self.log_deviations, strict=True):
            kernels = self._kernels(own, mean, np.exp(log_deviation))
            if len(self.residuals) > 1:
                kernels[np.arange(len(own)), first + np.arange(len(own))] = -np.inf
            total += float(_logmeanexp(kernels).sum())
            first += len(own)
        return total


def _deviation(samples: Samples, everything: Samples, least: Array) -> Array:
    """Standard deviation of each dimension of a snapshot; of a single sample, that of all snapshots together."""
    found = samples.std(0, ddof=1) if len(samples) > 1 else everything.std(0)
    return np.maximum(found, least)


def _logmeanexp(values: Array) -> Array:
    """Logarithm of the mean of exponentials along the last axis."""
    top = values.max(-1, keepdims=True)
    return np.asarray(top[..., 0] + np.log(np.exp(values - top).mean(-1)), dtype=np.float64)


def choose_damping(
    dampings: Sequence[float], tests: Sequence[TestEnvironment], case: Case, states: int | None, seed: int
) -> float:
    """How long trends go on, as visible environments say that are shown as little.

    Args:
        dampings: candidates.
        tests: the visible environments.
        case: what is shown of them.
        states: for counts, every dimension is one of 0 to states - 1; None for a real state.
        seed: of the draws.

    Returns:
        the candidate with the least W1 at later times, in the median over environments.
    """
    errors = []
    for damping in dampings:
        laws = [TrendLaw.fit(*shown, damping, states) for shown in zip(case.times, case.samples, strict=True)]
        errors.append(np.median([_distance(law, test, seed) for law, test in zip(laws, tests, strict=True)]))
    return float(dampings[int(np.argmin(errors))])


def _distance(law: TrendLaw, test: TestEnvironment, seed: int) -> float:
    """Mean W1 at the scored times, of few samples."""
    found = []
    for position, time in zip(test.positions, test.times, strict=True):
        truth = test.truth(position)[:JUDGED]
        drawn = law.sample(time, len(truth), derive_seed(seed, "damping", test.id, position))
        found.append(wasserstein(drawn, truth))
    return float(np.mean(found))
