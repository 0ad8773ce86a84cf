"""Rare events: how probable a forecast takes it to be that a threshold is exceeded."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from weightcast.core.errors import InputError
from weightcast.evolution.distances.moments import Array, checked_pair, checked_samples


def tail_probability(x: ArrayLike, thresholds: ArrayLike) -> Array:
    """Share of the samples that exceed a threshold, in each dimension alone.

    Args:
        x: [sample, dimension].
        thresholds: [dimension], in the state's units; a sample exceeds it if it is strictly above.

    Returns:
        [dimension].

    Raises:
        InputError: a bad shape, NaN or infinity.
    """
    samples = checked_samples(x, "x")
    limits = np.asarray(thresholds, dtype=np.float64)
    if limits.shape != samples.shape[1:]:
        raise InputError(f"thresholds: shape: found {limits.shape}, expected {samples.shape[1:]}, one a dimension")
    if np.isnan(limits).any():
        raise InputError("thresholds: found NaN, expected numbers")
    return np.asarray((samples > limits).mean(axis=0), dtype=np.float64)


def tail_error(x: ArrayLike, y: ArrayLike, level: float = 0.95) -> float:
    """Absolute error of the probability of exceeding the truth's upper quantile, mean over dimensions.

    The quantile is the smallest of the truth's samples that a share ``level`` of them does not exceed; it is not
    interpolated, so for counts it is a count.

    Args:
        x: forecast [n, dimension].
        y: truth [m, dimension].
        level: of the quantile; the truth exceeds it with a probability of at most 1 - level.

    Returns:
        From 0 to 1; a forecast that never comes near the threshold gets at most 1 - level.

    Raises:
        InputError: bad or different shapes, NaN or infinity, a level not between 0 and 1.
    """
    x, y = checked_pair(x, y)
    if not 0 < level < 1:
        raise InputError(f"level: found {level:g}, expected a number between 0 and 1")
    thresholds = np.quantile(y, level, axis=0, method="inverted_cdf")
    return float(np.abs(tail_probability(x, thresholds) - tail_probability(y, thresholds)).mean())
