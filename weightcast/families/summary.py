"""Errors of a study of environments across time, summarised: over times, then over environments and seeds."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from weightcast.core.methods import printing_order
from weightcast.core.significance import Interval, bootstrap_median, compare_methods, split_order
from weightcast.core.tables import SUMMARY_COLUMNS

METRICS = (
    "wasserstein",
    "nll",
    "mean_error",
    "tail_error",
    "relative_mass_error",
    "mean_coverage_90",
    "tail_coverage_90",
    "mass_coverage_90",
    "mean_band_width",
)
"""Metrics in the order of printing; lower is better, but for coverages, which are to be 0.9."""
COVERAGES = ("mean_coverage_90", "tail_coverage_90", "mass_coverage_90")


def bootstrap_share(values: np.ndarray, *, draws: int = 2000, level: float = 0.95, seed: int = 0) -> Interval:
    """Mean over environments and seeds, with its percentile bootstrap interval over both.

    A median of shares would say nothing of the environments that are held least.

    Args:
        values: shape (environments, seeds).
        draws: number of bootstrap draws.
        level: nominal coverage of the interval.
        seed: of the resampling.
    """
    environments, seeds = values.shape
    random = np.random.default_rng(seed)
    of_environment = random.integers(environments, size=(draws, environments, 1))
    of_seed = random.integers(seeds, size=(draws, 1, seeds))
    found = values[of_environment, of_seed].mean(axis=(1, 2))
    low, high = np.quantile(found, [(1 - level) / 2, (1 + level) / 2])
    return Interval(float(values.mean()), float(low), float(high))


def summarise_environments(metrics: pd.DataFrame, method_costs: pd.DataFrame, draws: int = 2000) -> pd.DataFrame:
    """Reduce metrics.csv of a study of environments across time to summary.csv.

    Args:
        metrics: columns study, method, split, environment, seed, horizon, metric, value.
        method_costs: columns method, parameters, train_seconds, adapt_seconds.
        draws: of the bootstrap.

    Returns:
        Columns ``SUMMARY_COLUMNS``, a row for each method, split and metric; ``n`` counts environments. Values are
        means over an environment's scored times; of these the median over environments, for coverages the mean.

    Raises:
        InputError: a method is unknown, or its rows are incomplete.
    """
    keys = ["study", "method", "split", "environment", "seed", "metric"]
    over_times = metrics.groupby(keys, sort=False)["value"].mean().reset_index()
    rows: list[dict[str, Any]] = []
    for (split, metric), group in over_times.groupby(["split", "metric"]):
        bootstrap = bootstrap_share if metric in COVERAGES else bootstrap_median
        rows += [{"split": split, "metric": metric, **row} for row in compare_methods(group, metric, draws, bootstrap)]
    rows.sort(key=lambda row: (split_order(row["split"]), METRICS.index(row["metric"]), printing_order(row["method"])))
    summary = pd.DataFrame(rows).merge(method_costs, on="method", how="left", validate="many_to_one")
    return summary[list(SUMMARY_COLUMNS)]
