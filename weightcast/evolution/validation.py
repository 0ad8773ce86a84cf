"""Training samples set aside: they choose when a training stops, and whether a flow or its spline is kept.

They are part of what training may see; the samples that the evaluation compares with choose nothing.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from weightcast.core.seeds import derive_seed

ENOUGH = 300
"""Samples of a snapshot from which on its likelihood counts in full beside the penalty of the path, which was settled
with about as many. Fewer count by their number, as in a posterior: a snapshot of few leans on its neighbours."""
DRAWN = 512
"""Validation samples that are drawn at each anchor, once for a whole training."""


def set_aside(
    samples: Sequence[NDArray[np.float64]], share: float, seed: int
) -> tuple[list[NDArray[np.float64]], list[NDArray[np.float64]]]:
    """Samples of each snapshot to train on, and to validate by.

    Which rows are set aside depends on the seed and the number of a snapshot's samples: where row k is the same
    trajectory at every time, whole trajectories are.

    Args:
        samples: of each snapshot [sample, dimension].
        share: of each that is set aside, rounded; at least one sample unless it is 0.
        seed: of the study.
    """
    kept, aside = [], []
    for part in samples:
        count = max(1, round(share * len(part))) if share > 0 else 0
        chosen = np.zeros(len(part), bool)
        random = np.random.default_rng(derive_seed(seed, "validation", len(part)))
        chosen[random.permutation(len(part))[:count]] = True
        kept.append(part[~chosen])
        aside.append(part[chosen])
    return kept, aside


def credence(
    times: NDArray[np.float64], sizes: Sequence[int], anchor_times: NDArray[np.float64]
) -> NDArray[np.float64]:
    """How much the likelihood at each anchor counts [anchor], above 0 to 1; between snapshots by their numbers.

    Args:
        times: of the snapshots [snapshot].
        sizes: their numbers of samples.
        anchor_times: [anchor].
    """
    return np.interp(anchor_times, times, np.minimum(1.0, np.array(sizes, dtype=np.float64) / ENOUGH))
