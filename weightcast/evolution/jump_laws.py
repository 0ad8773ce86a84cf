"""How counts jump between the ends of a pair: how fast, and with how much chance of their own.

Of the steps between two ends a binomial share has been taken on the way, if each comes at a time of its own. That is
the whole truth from a point: then all of the variance is made on the way. Between two snapshots that both have a
spread, optimal transport pairs high with high, and so more of the spread is passed on than by a process that forgets;
the chance of the steps comes on top, and what lies between is too wide (in a pure death process by a sixth, halfway).

So the chance is reduced to what makes the variance right. Let p be the part of a count that is still there at the
second snapshot: the ratio of the means where they fall (deaths, each by itself), 1 where they rise (arrivals, whatever
is there). The covariance of the two snapshots is then p Var(first), and at the share q of the steps the variance is

    (1 - q)^2 Var(first) + q^2 Var(second) + 2 q (1 - q) p Var(first) + q (1 - q) E|steps|.

The pairs' own covariance is larger; what it has too much is taken from the last term, as far as there is something.

Deaths also come faster at first, as all that relaxes does. The pace of an interval is the exponential one that the
means of neighbouring snapshots follow.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightcast.evolution.displacement import Coupling

FASTEST = 3.0
"""Most of an interval's pace: its beginning is at most exp(3) times as fast as its end."""
SURE = 2.0
"""Standard errors by which means must differ to say anything of a pace."""
HALVINGS = 60


@dataclass(frozen=True)
class JumpLaw:
    """The jumps of one interval.

    Attributes:
        pace: how fast they slow down, per interval [dimension]; 0: even, below 0 they grow faster.
        chance: part of the binomial variance that is theirs, 0 to 1 [dimension].
        steps: of each pair [pair, dimension], whole numbers from 0.
        mass: of each pair [pair], with a sum of 1.
    """

    pace: NDArray[np.float64]
    chance: NDArray[np.float64]
    steps: NDArray[np.float64]
    mass: NDArray[np.float64]

    def share(self, time: float) -> NDArray[np.float64]:
        """The share of the steps that has been taken after this part of the interval's time, 0 to 1 [dimension]."""
        return _share(self.pace, time)

    def free(self, time: float) -> NDArray[np.float64]:
        """The probability that the steps of a pair are binomial rather than as even as whole steps can be.

        Such that the variance that they add to the pairs' is the interval's part of the binomial one: [dimension].
        """
        share = self.share(time)
        binomial = share * (1 - share) * (self.mass @ self.steps)
        rest = (self.steps * share) % 1.0
        even = self.mass @ (rest * (1 - rest))
        room = binomial - even
        wanted = self.chance * binomial - even
        return np.clip(np.divide(wanted, room, out=np.ones_like(room), where=room > 1e-12), 0.0, 1.0)


def jump_laws(
    times: NDArray[np.float64], samples: Sequence[NDArray[np.float64]], couplings: Sequence[Coupling]
) -> list[JumpLaw]:
    """The jumps of every interval.

    Args:
        times: of the snapshots [snapshot], increasing.
        samples: of each [sample, dimension], whole numbers.
        couplings: of neighbouring snapshots [interval].
    """
    paces = interval_paces(times, samples)
    found = []
    for pace, coupling in zip(paces, couplings, strict=True):
        steps = np.abs(coupling.end - coupling.start)
        found.append(JumpLaw(pace, _chance(coupling, steps), steps, coupling.mass))
    return found


def interval_paces(times: NDArray[np.float64], samples: Sequence[NDArray[np.float64]]) -> list[NDArray[np.float64]]:
    """The exponential pace of each interval that the means of three snapshots in a row follow: [dimension].

    An interval has one of itself and the next, one of the last and itself, and takes their mean. Where a mean turns, or
    hardly moves, nothing is said, and the pace is even.
    """
    means = np.array([part.mean(0) for part in samples])
    errors = np.array([part.var(0) / len(part) for part in samples])
    moves, sure = np.diff(means, axis=0), SURE * np.sqrt(errors[1:] + errors[:-1])
    lengths = np.diff(times)
    of_interval: list[list[NDArray[np.float64]]] = [[] for _ in lengths]
    for first in range(len(lengths) - 1):
        second = first + 1
        known = (np.abs(moves[first]) > sure[first]) & (np.abs(moves[second]) > sure[second])
        known &= moves[first] * moves[second] > 0
        ratio = np.where(known, np.divide(moves[second], moves[first], where=known, out=np.ones_like(moves[first])), 1)
        rate = np.array([_rate(float(one), lengths[first], lengths[second]) for one in ratio])
        for place in (first, second):
            of_interval[place].append(np.where(known, rate * lengths[place], np.nan))
    zeros = np.zeros(means.shape[1])
    found = []
    for paces in of_interval:
        stacked = np.array(paces or [np.full_like(zeros, np.nan)])
        there = np.isfinite(stacked)
        mean = np.where(there, stacked, 0.0).sum(0) / np.maximum(there.sum(0), 1)
        found.append(np.clip(mean, -FASTEST, FASTEST))
    return found


def _chance(coupling: Coupling, steps: NDArray[np.float64]) -> NDArray[np.float64]:
    """The part of the binomial variance that is left, 0 to 1 [dimension]."""
    mass = coupling.mass[:, None]
    before, after = (mass * coupling.start).sum(0), (mass * coupling.end).sum(0)
    start, end = coupling.start - before, coupling.end - after
    variance, covariance = (mass * start**2).sum(0), (mass * start * end).sum(0)
    stays = np.minimum(1.0, np.divide(after, before, out=np.ones_like(after), where=before > 0))
    moved = (mass * steps).sum(0)
    excess = np.divide(2 * (covariance - stays * variance), moved, out=np.zeros_like(moved), where=moved > 0)
    return np.clip(1 - excess, 0.0, 1.0)


def _share(pace: NDArray[np.float64], time: float) -> NDArray[np.float64]:
    """The part of an exponential approach that lies behind after this part of its time."""
    even = np.abs(pace) < 1e-6
    safe = np.where(even, 1.0, pace)
    return np.where(even, time, np.expm1(-safe * time) / np.expm1(-safe))


def _rate(ratio: float, first: float, second: float) -> float:
    """The rate k at which moves over two intervals in a row are in this ratio, second to first, by halving.

    The move over an interval is proportional to the integral of exp(-k t) over it, so that the ratio falls with k.
    """
    bound = 2 * FASTEST / min(first, second)
    low, high = -bound, bound

    def of(rate: float) -> float:
        if abs(rate) * (first + second) < 1e-9:
            return second / first
        return math.exp(-rate * first) * math.expm1(-rate * second) / math.expm1(-rate * first)

    for _ in range(HALVINGS):
        middle = 0.5 * (low + high)
        low, high = (middle, high) if of(middle) > ratio else (low, middle)
    return 0.5 * (low + high)
