"""Displacement interpolation: samples between two snapshots, moved in straight lines along the optimal coupling.

McCann, "A convexity principle for interacting gases", Advances in Mathematics 128, 1997. It learns nothing and has no
dynamics, so a model of the evolving distribution has to beat it at unobserved times.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.spatial import cKDTree
from scipy.spatial.distance import cdist

from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.evolution.distances.moments import Array, checked_samples
from weightcast.evolution.distances.wasserstein import optimal_plan


class Coupling(NamedTuple):
    """Pairs of samples of two snapshots, and how much mass moves between them.

    Attributes:
        start: [pair, dimension], in the state's units.
        end: [pair, dimension].
        mass: [pair], with a sum of 1.
    """

    start: Array
    end: Array
    mass: Array


def checked_snapshots(times: ArrayLike, samples: Sequence[ArrayLike]) -> tuple[Array, list[Array]]:
    """Snapshots of a distribution as floats: times [snapshot] and samples [sample, dimension] of each.

    Raises:
        InputError: fewer than two times, times that do not increase, not one set of samples for each time, or sets that
            are not of the same dimension.
    """
    instants = np.asarray(times, dtype=np.float64)
    if instants.ndim != 1 or len(instants) < 2 or not np.isfinite(instants).all() or (np.diff(instants) <= 0).any():
        raise InputError(f"times: found {instants.tolist()}, expected two or more finite times that increase")
    if len(samples) != len(instants):
        raise InputError(f"samples: found {len(samples)} sets, expected {len(instants)}, one for each time")
    sets = [checked_samples(array, f"samples at time {time:g}") for time, array in zip(instants, samples, strict=True)]
    for time, array in zip(instants, sets, strict=True):
        if array.shape[1] != sets[0].shape[1]:
            raise InputError(
                f"samples at time {time:g}: dimensions: found {array.shape[1]}, expected {sets[0].shape[1]} as before"
            )
    return instants, sets


def check_request(time: float, n: int, times: Array) -> None:
    """Refuse to sample outside of the observed times, or fewer than one sample.

    Raises:
        InputError: in these cases.
    """
    if not times[0] <= time <= times[-1]:
        raise InputError(f"time: found {time:g}, expected one between the snapshots at {times[0]:g} and {times[-1]:g}")
    if n < 1:
        raise InputError(f"samples: found a request for {n}, expected at least 1")


def stochastic_rounding(values: Array, random: np.random.Generator) -> Array:
    """Each number rounded down or up to a whole one, up with the probability of its fraction: the mean is kept."""
    below = np.floor(values)
    return below + (random.random(values.shape) < values - below)


class DisplacementInterpolation:
    """Samples at any time between the first and the last snapshot.

    The coupling of two neighbouring snapshots is the exact optimal one for the squared Euclidean cost, in the units
    that the samples have; it is computed when an interval is first asked for, and kept.

    Attributes:
        times: [snapshot], in units of time.
        samples: of each snapshot [sample, dimension], in the state's units; their numbers may differ.
    """

    def __init__(
        self,
        times: ArrayLike,
        samples: Sequence[ArrayLike],
        *,
        limit: int = 1000,
        rounded: bool = False,
        seed: int = 0,
    ) -> None:
        """Keep the snapshots.

        Args:
            times: [snapshot], increasing.
            samples: for each time [sample, dimension].
            limit: most samples of a snapshot that are coupled, drawn at random from larger ones. The coupling takes
                time in about the third power of it, and memory in the second.
            rounded: for counts: round every number up or down at random such that the mean is kept. This adds a
                variance of up to 1/4 between the snapshots.
            seed: of the draw of at most ``limit`` samples.

        Raises:
            InputError: as `checked_snapshots`, or a limit below 1.
        """
        self.times, self.samples = checked_snapshots(times, samples)
        if limit < 1:
            raise InputError(f"limit: found {limit}, expected at least 1")
        self._limit = limit
        self._rounded = rounded
        self._seed = seed
        self._couplings: dict[int, Coupling] = {}

    def sample(self, time: float, n: int, seed: int) -> Array:
        """Draw independent samples at a time; at a snapshot's own time they are drawn from all of its samples.

        Args:
            time: within the range of the snapshots.
            n: number of samples.
            seed: of the draw; the same seed gives the same samples.

        Returns:
            [n, dimension], in the state's units.

        Raises:
            InputError: a time out of range, or n below 1.
            RuntimeError: the coupling did not converge.
        """
        check_request(time, n, self.times)
        random = np.random.default_rng(seed)
        interval = int(np.searchsorted(self.times, time, side="right")) - 1
        if time == self.times[interval]:
            drawn = random.choice(self.samples[interval], size=n)
        else:
            coupling = self.coupling(interval)
            pairs = random.choice(len(coupling.mass), size=n, p=coupling.mass)
            share = (time - self.times[interval]) / (self.times[interval + 1] - self.times[interval])
            start, end = coupling.start[pairs], coupling.end[pairs]
            drawn = start + share * (end - start)  # in this form, a count that stays is not moved by rounding errors
        return stochastic_rounding(drawn, random) if self._rounded else drawn

    def carry(self, samples: Array, interval: int, seed: int) -> Array:
        """Samples at a snapshot, moved to the next one: each as the nearest coupled sample is moved.

        Args:
            samples: [sample, dimension], in the state's units.
            interval: index of the first of the two snapshots.
            seed: of the draws among what one sample is coupled with.

        Returns:
            [sample, dimension].
        """
        coupling, random = self.coupling(interval), np.random.default_rng(seed)
        starts, own = np.unique(coupling.start, axis=0, return_inverse=True)
        nearest = cKDTree(starts).query(samples)[1]
        moved = np.empty_like(samples)
        for place, start in enumerate(nearest):
            pairs = np.flatnonzero(own.ravel() == start)
            pair = random.choice(pairs, p=coupling.mass[pairs] / coupling.mass[pairs].sum())
            moved[place] = samples[place] + (coupling.end[pair] - coupling.start[pair])
        return moved

    def coupling(self, interval: int) -> Coupling:
        """The optimal coupling of a snapshot and the next one.

        Args:
            interval: index of the first of the two.

        Raises:
            RuntimeError: the solver did not converge.
        """
        if interval not in self._couplings:
            start, end = self.samples[interval], self.samples[interval + 1]
            start, end = start[self._chosen(interval)], end[self._chosen(interval + 1)]
            weights = [np.full(len(array), 1 / len(array)) for array in (start, end)]
            plan = optimal_plan(weights[0], weights[1], cdist(start, end, "sqeuclidean"))
            first, second = np.nonzero(plan)
            mass = plan[first, second]
            self._couplings[interval] = Coupling(start[first], end[second], mass / mass.sum())
        return self._couplings[interval]

    def _chosen(self, snapshot: int) -> NDArray[np.intp]:
        """Which samples of a snapshot are coupled: the same ones in both of its intervals."""
        available = len(self.samples[snapshot])
        if available <= self._limit:
            return np.arange(available)
        random = np.random.default_rng(derive_seed(self._seed, "displacement", repr(float(self.times[snapshot]))))
        return random.choice(available, size=self._limit, replace=False)
