"""How many times one method's error another's is, in environments that nobody trained on, with an interval."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd

from weightcast.core.report.number_formats import interval, number
from weightcast.core.significance import Interval, value_grid


def environment_ratio(
    metrics: pd.DataFrame, first: str, second: str, split: str, metric: str = "wasserstein", draws: int = 2000
) -> Interval | None:
    """Ratio of two methods' errors: medians over environments of means over seeds and times, as summary.csv has them.

    Environments are paired, and seeds where both methods have the same. Each draw of the percentile bootstrap resamples
    both, seeds once for all environments (:mod:`weightcast.core.significance`).

    Args:
        metrics: metrics.csv.
        first: a method.
        second: another.
        split: in which they are compared.
        metric: of which lower is better.
        draws: of the bootstrap.

    Returns:
        The ratio and the ends of its 95 % interval, which are NaN of one environment and one seed; None where a method
        has no such errors, or they cannot be divided.
    """
    chosen = metrics[(metrics["split"] == split) & (metrics["metric"] == metric)]
    keys = ["method", "environment", "seed"]
    over_times = chosen[chosen["method"].isin([first, second])].groupby(keys, sort=False)["value"].mean().reset_index()
    if set(over_times["method"]) != {first, second}:
        return None
    grids = [value_grid(over_times[over_times["method"] == name], metric) for name in (first, second)]
    shared = grids[0].index.intersection(grids[1].index)
    upper, lower = (grid.loc[shared].to_numpy() for grid in grids)  # [environment, seed]
    if not len(shared) or not np.isfinite(upper).all() or not np.isfinite(lower).all():
        return None
    found = np.median(upper.mean(1)), np.median(lower.mean(1))
    if found[1] <= 0:
        return None
    if upper.size == lower.size == 1:
        return Interval(float(found[0] / found[1]), math.nan, math.nan)
    random = np.random.default_rng(0)
    environments = random.integers(len(shared), size=(draws, len(shared), 1))
    seeds = random.integers(upper.shape[1], size=(draws, 1, upper.shape[1]))
    paired = list(grids[0].columns) == list(grids[1].columns)
    other = seeds if paired else random.integers(lower.shape[1], size=(draws, 1, lower.shape[1]))
    above = np.median(upper[environments, seeds].mean(axis=2), axis=1)
    below = np.median(lower[environments, other].mean(axis=2), axis=1)
    low, high = np.quantile(above / np.maximum(below, np.finfo(float).tiny), [0.025, 0.975])
    return Interval(float(found[0] / found[1]), float(low), float(high))


def ratio_words(ratio: Interval) -> str:
    """The ratio with its interval, where it has one."""
    ends = "" if math.isnan(ratio.low) else f" {interval(ratio.low, ratio.high)}"
    return f"{number(ratio.median)}{ends}"
