"""The stage ``couple_snapshots``: what moves, grows and dies between the snapshots, by optimal transport.

It is unbalanced where masses are told, and balanced, so that nothing grows or dies, where they are not.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.evolution.bridge import UnbalancedPlan, unbalanced_plan
from weightcast.evolution.couplings import Couplings, Pairs
from weightcast.evolution.displacement import DisplacementInterpolation
from weightcast.evolution.jobs import CoupleSnapshots
from weightcast.samples.snapshots import Snapshots

if TYPE_CHECKING:
    from weightcast.core.run import Run

MOST_PAIRS = 8000
"""Pairs of an interval that are kept."""


@stage("couple_snapshots")
def couple_snapshots(run: Run, settings: CoupleSnapshots, snapshots: Snapshots) -> Couplings:
    """Couple the training samples of all neighbouring snapshots, whose masses are those of the population."""
    masses, samples = snapshots.observed_masses, snapshots.observed_train
    seed = derive_seed(settings.seed, "couplings")
    if masses is None:
        pairs = balanced(snapshots.observed_times, samples, settings.bridge.pairs, seed)
    else:
        pairs = tuple(
            joined(unbalanced_plan(first, second, float(growth), settings.bridge, seed)).fewer(MOST_PAIRS)
            for first, second, growth in zip(samples, samples[1:], masses[1:] / masses[:-1], strict=False)
        )
    metadata = {
        "dimensions": list(snapshots.dimensions),
        "config_digest": settings.digest,
        "data_digest": snapshots.digest,
    }
    return Couplings(snapshots.observed_times, pairs, metadata)


def balanced(
    times: NDArray[np.float64], samples: Sequence[NDArray[np.float64]], most: int, seed: int
) -> tuple[Pairs, ...]:
    """Pairs of balanced transport, which arrive with the mass that they leave with.

    Args:
        times: of the snapshots, increasing.
        samples: of each [sample, dimension].
        most: samples of a snapshot that are coupled.
        seed: of the choice among more.
    """
    displacement = DisplacementInterpolation(times, samples, limit=most, seed=seed)
    found = [displacement.coupling(interval) for interval in range(len(times) - 1)]
    return tuple(Pairs(one.start, one.end, one.mass, one.mass).fewer(MOST_PAIRS) for one in found)


def joined(transport: UnbalancedPlan) -> Pairs:
    """Pairs whose masses at both ends are those of the samples, shared as the plan shares what it moves.

    A sample of which the plan moves nothing is joined with the nearest one at the other end that it is given to: it
    dies or is born there, as fast as that takes.
    """
    plan = with_all_samples(transport)
    leaving = plan * (transport.before / plan.sum(1))[:, None]
    arriving = plan * (transport.after / plan.sum(0))
    first, second = np.nonzero(plan)
    return Pairs(transport.start[first], transport.end[second], leaving[first, second], arriving[first, second])


def with_all_samples(transport: UnbalancedPlan) -> NDArray[np.float64]:
    """The plan [sample, sample], such that something of every sample moves.

    Samples too far from all others for the price of a death or a birth have a row or a column of zeros; they are given
    the least of what any entry moves, to the nearest sample of the other snapshot.
    """
    plan = transport.plan.copy()
    least = float(plan[plan > 0].min())
    for own, other, of_rows in ((transport.start, transport.end, True), (transport.end, transport.start, False)):
        alone = np.flatnonzero(plan.sum(1 if of_rows else 0) == 0)
        for place in alone:
            nearest = int(((other - own[place]) ** 2).sum(1).argmin())
            plan[(place, nearest) if of_rows else (nearest, place)] = least
    return plan
