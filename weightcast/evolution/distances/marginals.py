"""Distances that look at each dimension's marginal distribution alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from scipy.optimize import linear_sum_assignment
from scipy.spatial.distance import cdist
from scipy.special import xlogy

from weightcast.core.errors import InputError
from weightcast.evolution.distances.moments import Array, checked_pair, checked_samples

_TAIL = 0.005
"""Share of the pooled samples on either side that a histogram's range leaves to its first and last bin."""


def marginal_frequencies(counts: ArrayLike, states: int) -> Array:
    """Relative frequency of each count in each dimension.

    Args:
        counts: [sample, species], whole numbers from 0 to states - 1 (as integers or as floats).
        states: number of states of each species.

    Returns:
        [species, state]; each row has a sum of 1.

    Raises:
        InputError: a bad shape, NaN or infinity, or a number that is no such count. Forecasts that leave the range of
            states have to be clipped, or the range widened, by the caller: both change the result.
    """
    samples = checked_samples(counts, "counts")
    if (samples != np.floor(samples)).any():
        first = samples[samples != np.floor(samples)][0]
        raise InputError(f"counts: found {first:g}, expected whole numbers")
    if samples.min() < 0 or samples.max() >= states:
        raise InputError(
            f"counts: found values from {samples.min():g} to {samples.max():g}, expected them in 0..{states - 1}"
        )
    return np.stack([np.bincount(column, minlength=states) for column in samples.astype(np.int64).T]) / len(samples)


def jensen_shannon(x: ArrayLike, y: ArrayLike, states: int | None = None, bins: int = 50) -> float:
    """Jensen-Shannon divergence of the marginals (Lin, IEEE Transactions on Information Theory 37, 1991).

    With natural logarithms, mean over dimensions: from 0 to log 2 (disjoint). It is the divergence, *not* its square
    root, which is a metric and what ``scipy.spatial.distance.jensenshannon`` returns. Two sets of samples of one
    distribution have a mean of about (k - 1) (1/n + 1/m) / 8, with k occupied states or bins a dimension.

    Args:
        x: [n, dimension].
        y: [m, dimension]; n and m may differ.
        states: for counts, the number of states; None for continuous data, of which a histogram is taken: ``bins``
            equal bins between the 0.5 % and 99.5 % quantiles of both sets pooled, in each dimension; what lies beyond
            counts to the first or last bin. The histogram depends on both sets, so values for different forecasts
            do not rest on quite the same bins.
        bins: of the histogram; unused for counts.

    Returns:
        The mean divergence, in nats.

    Raises:
        InputError: bad or different shapes, NaN or infinity, numbers that are not counts (if ``states`` is given), or
            no bins.
    """
    x, y = checked_pair(x, y)
    if states is None:
        if bins < 1:
            raise InputError(f"bins: found {bins}, expected at least 1")
        x, y = _binned(x, y, bins)
    first, second = (marginal_frequencies(samples, bins if states is None else states) for samples in (x, y))
    middle = (first + second) / 2
    # p log(p / middle) with 0 log 0 = 0; where middle is 0, so are both p
    divisor = np.where(middle > 0, middle, 1.0)
    divergence = (xlogy(first, first / divisor) + xlogy(second, second / divisor)).sum(axis=1) / 2
    return float(np.maximum(divergence, 0.0).mean())  # rounding may leave -1e-17


def paper_w(x: ArrayLike, y: ArrayLike, states: int) -> float:
    """The figure called W in the WeightFlow paper (arXiv 2508.00451), as its code computes it; for comparison only.

    The frequencies of each species are a point in R^states, so a set of samples becomes d points for d species. The
    value is the exact 1-Wasserstein distance (Euclidean, equal weights) between the two sets of d points.

    It is *not* a distance between the two distributions: it knows marginals only; the points carry no label, so
    species can be swapped for free; and counts carry no distance, so being off by one is as bad as being off by fifty.

    Args:
        x: counts [n, species].
        y: counts [m, species]; n and m may differ.
        states: number of states of each species.

    Returns:
        From 0 to sqrt(2), without units. The paper prints it in units of 0.1.

    Raises:
        InputError: bad or different shapes, NaN or infinity, numbers that are not counts.
    """
    x, y = checked_pair(x, y)
    cost = cdist(marginal_frequencies(x, states), marginal_frequencies(y, states))
    # Between equally many equally heavy points, the best plan is a one-to-one assignment (Birkhoff).
    return float(cost[linear_sum_assignment(cost)].mean())


def _binned(x: Array, y: Array, bins: int) -> tuple[Array, Array]:
    """Bin of every number [sample, dimension], in 0..bins - 1, with bins that both sets share."""
    pooled = np.concatenate([x, y])
    low, high = np.quantile(pooled, [_TAIL, 1 - _TAIL], axis=0)
    # Where nearly all samples are equal, only the full range can tell the others apart.
    narrow = high <= low
    low, high = np.where(narrow, pooled.min(axis=0), low), np.where(narrow, pooled.max(axis=0), high)
    width = np.where(high > low, high - low, 1.0) / bins
    first, second = (np.clip(np.floor((samples - low) / width), 0, bins - 1) for samples in (x, y))
    return first, second
