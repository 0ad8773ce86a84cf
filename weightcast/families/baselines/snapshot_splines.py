"""Smooth curves through samples of an environment's snapshots, which are coupled by optimal transport.

Each snapshot is coupled with the next one by the exact optimal plan (squared Euclidean cost), a chain of partners is
drawn through all of them, and a natural cubic spline goes through each chain.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline
from scipy.spatial.distance import cdist
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.evolution.distances.wasserstein import optimal_plan
from weightcast.families.snapshots import FamilySnapshots, Samples

Array = NDArray[np.float64]


@dataclass(frozen=True)
class SnapshotSplines:
    """Curves of several environments, padded to the most snapshots and curves of any.

    Attributes:
        places: of the environments among those that were asked for [environment]; those with one snapshot have none.
        knots: times of the snapshots [environment, snapshot]; infinite where there is padding.
        intervals: between the snapshots of each [environment].
        curves: of each [environment].
        coefficients: of the cubic in the time since an interval's begin, highest power first
            [environment, interval, curve, 4, dimension].
    """

    places: Tensor
    knots: Tensor
    intervals: Tensor
    curves: Tensor
    coefficients: Tensor

    @classmethod
    def of(
        cls,
        snapshots: FamilySnapshots,
        ids: Sequence[str],
        curves: int,
        scaled: tuple[Array, Array],
        span: tuple[float, float],
        seed: int,
    ) -> SnapshotSplines:
        """Couple the observed training samples.

        Args:
            snapshots: of the study.
            ids: of the environments.
            curves: most samples of a snapshot that are coupled, and curves of an environment.
            scaled: mean and standard deviation [dimension] that places are given in.
            span: times that become 0 and 1.
            seed: of the draws.

        Raises:
            InputError: no environment has two snapshots.
        """
        found: list[tuple[int, Array, Array]] = []
        for place, id in enumerate(ids):
            one = snapshots.environments[id]
            positions = np.flatnonzero(one.observed)
            if len(positions) < 2:
                continue
            random = np.random.default_rng(derive_seed(seed, "splines", id))
            values = [(one.train[position] - scaled[0]) / scaled[1] for position in positions]
            times = (one.times[positions] - span[0]) / (span[1] - span[0])
            spline = CubicSpline(times, chained(values, curves, random), axis=1, bc_type="natural")
            found.append((place, times, np.moveaxis(spline.c, 0, 2)))  # [interval, curve, 4, dimension]
        if not found:
            raise InputError(
                "flow matching: found one snapshot of each visible environment, expected two or more of one"
            )
        intervals = [len(times) - 1 for _, times, _ in found]
        numbers = [own.shape[1] for _, _, own in found]
        knots = torch.full((len(found), max(intervals) + 1), torch.inf)
        coefficients = torch.zeros(len(found), max(intervals), max(numbers), *found[0][2].shape[2:])
        for row, (_, times, own) in enumerate(found):
            knots[row, : len(times)] = torch.from_numpy(times)
            coefficients[row, : own.shape[0], : own.shape[1]] = torch.from_numpy(own)
        places = torch.tensor([place for place, _, _ in found])
        return cls(places, knots, torch.tensor(intervals), torch.tensor(numbers), coefficients)

    def draw(self, batch: int, draws: Draws) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """Points on curves at random: every environment as often as another, every interval of it as well.

        Returns:
            environments, by their place among those that were asked for [batch]; times, 0 to 1 [batch]; places and
            velocities [batch, dimension].
        """
        row = draws.integers(len(self.places), batch)
        interval = (draws.uniform(batch) * self.intervals[row]).long().minimum(self.intervals[row] - 1)
        curve = (draws.uniform(batch) * self.curves[row]).long().minimum(self.curves[row] - 1)
        begin, end = self.knots[row, interval], self.knots[row, interval + 1]
        since = draws.uniform(batch) * (end - begin)
        cubic, square, linear, constant = self.coefficients[row, interval, curve].unbind(1)
        time = since[:, None]
        place = ((cubic * time + square) * time + linear) * time + constant
        velocity = (3 * cubic * time + 2 * square) * time + linear
        return self.places[row], begin + since, place, velocity


def chained(samples: Sequence[Samples], most: int, random: np.random.Generator) -> Array:
    """Chains of partners through all snapshots.

    Args:
        samples: of each snapshot [sample, dimension].
        most: samples of a snapshot that are coupled, and chains.
        random: source of the draws.

    Returns:
        [chain, snapshot, dimension], as many as the largest snapshot has samples that are coupled.
    """
    chosen = [values[random.permutation(len(values))[:most]] for values in samples]
    count = max(len(values) for values in chosen)
    rows = np.arange(count) % len(chosen[0])
    chain = [chosen[0][rows]]
    for before, after in pairwise(chosen):
        masses = [np.full(len(values), 1 / len(values)) for values in (before, after)]
        plan = optimal_plan(masses[0], masses[1], cdist(before, after, "sqeuclidean"))[rows]
        shares = (plan / plan.sum(1, keepdims=True)).cumsum(1)
        rows = (shares < random.random(count)[:, None]).sum(1).clip(max=len(after) - 1)
        chain.append(after[rows])
    return np.stack(chain, axis=1)
