"""The cycle of records whose times nobody has dated: found by the autocorrelation of several places together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

FEWEST_CYCLES = 3
"""That a record must hold for one to be found."""
SHORTEST = 4
CLEAR = 0.3
"""Correlation of a record with itself a cycle later from which on it is one."""
RISE = 0.15
"""By so much it is greater than at some lag before it: what merely persists has no cycle."""


def find_cycle(values: NDArray[np.float64]) -> int | None:
    """The steps after which records come again.

    The autocorrelation is the mean over places and channels of each record's own; a cycle is the first lag at which it
    is clearly positive, the greatest within a quarter of that lag on either side, and clearly above what it was before.

    Args:
        values: [place, step, channel]; NaN where a value is missing.

    Returns:
        so many steps, or None where no cycle is clear.
    """
    steps = values.shape[1]
    correlations = autocorrelation(values, steps // FEWEST_CYCLES)
    if len(correlations) <= SHORTEST:
        return None
    for lag in range(SHORTEST, len(correlations)):
        reach = max(1, lag // 4)
        around = correlations[lag - reach : lag + reach + 1]
        before = correlations[1:lag].min()
        if correlations[lag] >= CLEAR and correlations[lag] >= around.max() and correlations[lag] - before >= RISE:
            return lag
    return None


def autocorrelation(values: NDArray[np.float64], longest: int) -> NDArray[np.float64]:
    """Mean autocorrelation of records at the lags 0, 1, ..., the longest: over pairs of steps that both have values, of
    records that change at all.

    Args:
        values: [place, step, channel].
        longest: lag.
    """
    records = values.swapaxes(1, 2).reshape(-1, values.shape[1])
    seen = ~np.isnan(records)
    counts = np.maximum(seen.sum(1, keepdims=True), 1)
    anomaly = np.where(seen, records - np.where(seen, records, 0.0).sum(1, keepdims=True) / counts, 0.0)
    variance = (anomaly**2).sum(1) / counts[:, 0]
    changing = variance > 0
    anomaly, seen, variance = anomaly[changing], seen[changing], variance[changing]
    found = []
    for lag in range(longest + 1):
        pairs = (seen[:, lag:] & seen[:, : seen.shape[1] - lag]).sum(1)
        products = (anomaly[:, lag:] * anomaly[:, : anomaly.shape[1] - lag]).sum(1)
        known = pairs > 0
        found.append(float((products[known] / pairs[known] / variance[known]).mean()) if known.any() else 0.0)
    return np.array(found)
