"""Samples of a new environment by displacement: those of visible environments, moved along the axis of environments.

At a time, samples of the visible environments are coupled by optimal transport with those of the one that weighs most,
and each sample is the weighted mean of its partners in all of them: the barycentre along generalised geodesics (L.
Ambrosio, N. Gigli and G. Savaré, Gradient Flows, 2nd edition, Birkhäuser 2008, section 9.2). Of two environments, and
in one dimension of any number, that is the Wasserstein barycentre itself (M. Agueh and G. Carlier, SIAM J. Math. Anal.
43 (2011) 904). Between an environment's snapshots its samples are displaced along time in the same way.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from weightcast.core.seeds import derive_seed
from weightcast.evolution.displacement import DisplacementInterpolation, stochastic_rounding
from weightcast.evolution.distances.wasserstein import optimal_plan
from weightcast.families.snapshots import FamilySnapshots, Samples

LEAST = 1e-3
"""Weights below it count for nothing: an environment more is a coupling more."""


class EnvironmentDisplacement:
    """Samples of environments between visible ones; couplings are computed when they are asked for, and kept."""

    def __init__(self, snapshots: FamilySnapshots, ids: Sequence[str], samples: int, seed: int) -> None:
        """Keep the observed training samples.

        Args:
            snapshots: of the study.
            ids: of the visible environments.
            samples: most of an environment at a time that are coupled, drawn at random of larger numbers.
            seed: of all draws.
        """
        self._environments = [snapshots.environments[id] for id in ids]
        self._ids, self._most, self._seed = ids, samples, seed
        self._rounded = snapshots.states is not None
        self._paths: dict[int, DisplacementInterpolation] = {}
        self._samples: dict[tuple[int, float], Samples] = {}
        self._partners: dict[tuple[int, int, float], NDArray[np.float64]] = {}

    def sample(self, weights: NDArray[np.float64], time: float, count: int, seed: int) -> Samples:
        """Samples of the environment that is so much of each visible one.

        Counts are rounded up or down at random such that their mean is kept, once at the end.

        Args:
            weights: of the visible environments [environment], at least 0, with a sum of 1.
            time: in the data's unit. Before the first snapshot of an environment and after its last one, that one's
                samples are kept.
            count: of samples.
            seed: of what is drawn.

        Returns:
            [count, dimension].
        """
        used = [int(place) for place in np.flatnonzero(weights > LEAST)]
        shares = weights[used] / weights[used].sum()
        pivot = used[int(shares.argmax())]
        random = np.random.default_rng(seed)
        own = self._at(pivot, time)
        # Every sample as often as every other, or once more: fewer accidents than by independent draws.
        rows = np.concatenate([random.permutation(len(own)) for _ in range(-(-count // len(own)))])[:count]
        moved = np.zeros((count, own.shape[1]))
        for place, share in zip(used, shares, strict=True):
            moved += share * (own[rows] if place == pivot else self._partner(pivot, place, time, rows, random))
        return stochastic_rounding(moved, random) if self._rounded else moved

    def _partner(
        self, pivot: int, place: int, time: float, rows: NDArray[np.intp], random: np.random.Generator
    ) -> Samples:
        """Partners of some samples of the pivot in another environment, drawn by the coupling."""
        key = (pivot, place, time)
        own, other = self._at(pivot, time), self._at(place, time)
        if key not in self._partners:
            masses = [np.full(len(values), 1 / len(values)) for values in (own, other)]
            plan = optimal_plan(masses[0], masses[1], cdist(own, other, "sqeuclidean"))
            self._partners[key] = (plan / plan.sum(1, keepdims=True)).cumsum(1)
        reached = self._partners[key][rows] < random.random(len(rows))[:, None]
        return other[reached.sum(1).clip(max=len(other) - 1)]

    def _at(self, place: int, time: float) -> Samples:
        """Samples of a visible environment at a time, at most as many as are coupled."""
        if (place, time) not in self._samples:
            self._samples[place, time] = self._displaced(place, time)
        return self._samples[place, time]

    def _displaced(self, place: int, time: float) -> Samples:
        one = self._environments[place]
        positions = np.flatnonzero(one.observed)
        times = one.times[positions]
        random = np.random.default_rng(derive_seed(self._seed, "displaced", self._ids[place], repr(time)))
        near = one.position(float(np.clip(time, times[0], times[-1])))
        if near is not None and one.observed[near]:
            values = one.train[near]
            return values[np.sort(random.permutation(len(values))[: self._most])]
        if place not in self._paths:
            observed = [one.train[position] for position in positions]
            self._paths[place] = DisplacementInterpolation(times, observed, limit=self._most, seed=self._seed)
        interval = int(np.searchsorted(times, time)) - 1
        start, end, mass = self._paths[place].coupling(interval)
        # Evenly along the sum of the masses: of a coupling of equal numbers, every pair once.
        number = min(self._most, max(len(one.train[positions[interval]]), len(one.train[positions[interval + 1]])))
        pairs = np.searchsorted(mass.cumsum(), (np.arange(number) + random.random()) / number).clip(max=len(mass) - 1)
        share = (time - times[interval]) / (times[interval + 1] - times[interval])
        return np.asarray(start[pairs] + share * (end[pairs] - start[pairs]))
