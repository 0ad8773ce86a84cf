"""summary.csv of a study across time: what the errors at all times say together.

The value of a seed is the mean over the times of a split, as the sources of the field score; a method's value is the
median of that over seeds. Its interval resamples times and seeds, which are crossed: every seed is scored at every
time. The test is the paired one of :mod:`weightcast.core.significance`, with times for environments; neighbouring times
are not independent, so its p is small too easily.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from weightcast.core.methods import printing_order
from weightcast.core.significance import Interval, compare_methods, split_order
from weightcast.core.tables import SUMMARY_COLUMNS

METRICS = (
    "wasserstein",
    "relative_mass_error",
    "sliced_wasserstein",
    "mmd",
    "jsd",
    "paper_w",
    "nll",
    "train_nll",
    "mean_error",
    "variance_error",
    "third_moment_error",
    "fourth_moment_error",
    "tail_error",
)
"""Metrics in the order of printing; lower is better for all."""


def bootstrap_mean(values: np.ndarray, *, draws: int = 2000, level: float = 0.95, seed: int = 0) -> Interval:
    """Median over seeds of the mean over times, with its percentile bootstrap interval over both.

    Args:
        values: errors, shape (times, seeds); infinities are allowed, NaN is not.
        draws: number of bootstrap draws.
        level: nominal coverage.
        seed: of the resampling.
    """
    times, seeds = values.shape
    random = np.random.default_rng(seed)
    drawn_times = random.integers(times, size=(draws, times, 1))
    drawn_seeds = random.integers(seeds, size=(draws, 1, seeds))
    found = np.sort(np.median(values[drawn_times, drawn_seeds].mean(axis=1), axis=1))
    tail = (1 - level) / 2 * (draws - 1)
    return Interval(
        median=float(np.median(values.mean(axis=0))),
        low=float(found[int(np.floor(tail))]),
        high=float(found[int(np.ceil(draws - 1 - tail))]),
    )


def summary_over_times(metrics: pd.DataFrame, method_costs: pd.DataFrame, draws: int = 2000) -> pd.DataFrame:
    """Reduce metrics.csv of a study across time to summary.csv.

    Args:
        metrics: columns study, method, split, environment, seed, horizon, metric, value.
        method_costs: columns method, parameters, train_seconds, adapt_seconds.
        draws: of the bootstrap.

    Returns:
        Columns ``SUMMARY_COLUMNS``, a row for each method, split and metric; ``n`` counts times.

    Raises:
        InputError: a method is unknown, or its rows are incomplete.
    """
    rows: list[dict[str, Any]] = []
    for (split, metric), group in metrics.groupby(["split", "metric"]):
        compared = compare_methods(group, metric, draws, bootstrap_mean)
        rows += [{"split": split, "metric": metric, **row} for row in compared]
    rows.sort(key=lambda row: (split_order(row["split"]), METRICS.index(row["metric"]), printing_order(row["method"])))
    summary = pd.DataFrame(rows).merge(method_costs, on="method", how="left", validate="many_to_one")
    return summary[list(SUMMARY_COLUMNS)]
