"""How single errors become statements: medians over environments, their intervals, and paired tests.

The unit of replication is the environment: an error is first averaged over what was repeated inside one environment,
and the median over environments is what a method is judged by.

Interval. Seeds and environments are *crossed*, not nested: one trained seed of a method serves all environments. So
each bootstrap draw resamples environments and, once for all of them, seeds (the pigeonhole bootstrap: Owen, "The
pigeonhole bootstrap", Annals of Applied Statistics 1(2), 2007). The ends are percentiles of the draws' medians, taken
at order statistics and never interpolated, so that infinite errors stay infinite instead of becoming NaN.

Test. Two-sided Wilcoxon signed-rank test over environments, on errors averaged over seeds, against the best baseline
of the same split and metric. Two things to keep in mind when reading its p: it is not corrected for the number of
methods compared (no Holm or Bonferroni), and the best baseline is picked on the very environments of the test, which
favours the baseline.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from scipy.stats import wilcoxon

from weightcast.core.errors import InputError
from weightcast.core.methods import method, printing_order
from weightcast.core.tables import SUMMARY_COLUMNS

SPLITS = (
    "visible",
    "interpolation",
    "extrapolation",
    "observed",
    "unobserved",
    "held_out",
    "forecast",
    "previous",
    "source",
)
"""Splits in the order of printing: across environments, then across time."""
METRICS = (
    *("rmse", "rmse_physical", "nmse", "ssim", "crps", "rmse_mean", "spread_skill", "coverage_50", "coverage_90"),
    *("own_outputs", "own_weights"),
)
"""Metrics in the order of printing."""
HIGHER_IS_BETTER = frozenset({"ssim"})
NOMINAL = {
    **{"spread_skill": 1.0, "coverage_50": 0.5, "coverage_90": 0.9},
    **dict.fromkeys(("mean_coverage_90", "tail_coverage_90"), 0.9),
}
"""Metrics that are neither to be high nor low, with what they should be: what counts is how far they are from it."""
FEWEST_PAIRS = 6
"""With fewer pairs the two-sided signed-rank test cannot reach p = 0.05, so none is reported."""


class Interval(NamedTuple):
    """A median over environments and the ends of its bootstrap interval."""

    median: float
    low: float
    high: float


def bootstrap_median(values: np.ndarray, *, draws: int = 2000, level: float = 0.95, seed: int = 0) -> Interval:
    """Median over environments of the mean over seeds, with its percentile bootstrap interval.

    Args:
        values: errors, shape (environments, seeds); infinities are allowed, NaN is not.
        draws: number of bootstrap draws.
        level: nominal coverage of the interval.
        seed: of the resampling; the same values give the same interval, whatever else a study contains.
    """
    environments, seeds = values.shape
    random = np.random.default_rng(seed)
    drawn_environments = random.integers(environments, size=(draws, environments, 1))
    drawn_seeds = random.integers(seeds, size=(draws, 1, seeds))
    # (draws, environments, seeds) -> mean over seeds -> median over environments -> (draws,)
    medians = np.sort(np.median(values[drawn_environments, drawn_seeds].mean(axis=2), axis=1))
    tail = (1 - level) / 2 * (draws - 1)
    return Interval(
        median=float(np.median(values.mean(axis=1))),
        low=float(medians[int(np.floor(tail))]),
        high=float(medians[int(np.ceil(draws - 1 - tail))]),
    )


def paired_p(first: np.ndarray, second: np.ndarray) -> float:
    """Two-sided p of the Wilcoxon signed-rank test between two methods' errors in the same environments.

    Exact for up to 50 pairs without ties and zeros, as in ``scipy.stats.wilcoxon``. Two infinite errors are a tie; one
    is a difference larger than all finite ones.

    Args:
        first: shape (environments,).
        second: shape (environments,), the same environments in the same order.

    Returns:
        p, or NaN with fewer than six pairs.
    """
    if first.shape != second.shape:
        raise ValueError(f"paired test: shapes {first.shape} and {second.shape} differ")
    if len(first) < FEWEST_PAIRS:
        return float("nan")
    tied = first == second  # also where both are infinite, whose difference would be NaN
    with np.errstate(invalid="ignore"):
        difference = np.where(tied, 0.0, first - second)
    if tied.all():
        return 1.0
    return float(wilcoxon(difference, alternative="two-sided").pvalue)


class PairedRatio(NamedTuple):
    """How two methods' errors compare in the same environments.

    Attributes:
        ratio: geometric mean over environments of the first one's errors over the second one's.
        low: end of its 95 % percentile bootstrap interval, of resampled environments.
        high: the other end.
        p: of the paired test; NaN with fewer than six pairs.
        n: environments.
    """

    ratio: float
    low: float
    high: float
    p: float
    n: int


MOST_RATIO = 1e6
"""That an infinite error, or none at all, counts as in a ratio."""


def paired_ratio(first: np.ndarray, second: np.ndarray, *, draws: int = 2000, seed: int = 0) -> PairedRatio:
    """Compare two methods' errors.

    Args:
        first: shape (environments,); infinities are allowed, NaN is not.
        second: the same environments in the same order.
        draws: of the bootstrap.
        seed: of the resampling.

    Raises:
        ValueError: there are no environments.
    """
    if not len(first):
        raise ValueError("found no environments, expected one or more")
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios = np.where(first == second, 1.0, first / second)
    logarithms = np.log(np.clip(ratios, 1 / MOST_RATIO, MOST_RATIO))
    drawn = np.random.default_rng(seed).integers(len(first), size=(draws, len(first)))
    low, high = np.quantile(logarithms[drawn].mean(axis=1), [0.025, 0.975])
    ratio = float(np.exp(logarithms.mean()))
    return PairedRatio(ratio, float(np.exp(low)), float(np.exp(high)), paired_p(first, second), len(first))


def value_grid(rows: pd.DataFrame, metric: str) -> pd.DataFrame:
    """One method's values in one split, at one horizon, as a table (environments, seeds), both sorted.

    A forecast that broke down, infinite or NaN in metrics.csv, becomes the worst value of its metric: infinity, or
    minus infinity where higher is better.

    Raises:
        InputError: a value occurs twice, or an environment lacks a seed that others have.
    """
    name = rows["method"].iloc[0]
    if rows.duplicated(["environment", "seed"]).any():
        twice = rows[rows.duplicated(["environment", "seed"])].iloc[0]
        raise InputError(
            f"metrics: {name}, {metric}: environment '{twice['environment']}', seed {twice['seed']} occurs twice, "
            "expected one row"
        )
    grid = rows.pivot(index="environment", columns="seed", values="value")
    if len(rows) < grid.size:
        present = set(zip(rows["environment"], rows["seed"], strict=True))
        environment, seed = next(pair for pair in product(grid.index, grid.columns) if pair not in present)
        raise InputError(f"metrics: {name}, {metric}: environment '{environment}' lacks seed {seed}, which others have")
    worst = -np.inf if metric in HIGHER_IS_BETTER else np.inf
    return grid.where(np.isfinite(grid), worst)


def best_method(medians: Mapping[str, float], metric: str) -> str | None:
    """The method with the best median: the lowest, the highest where higher is better, or the one nearest to what it
    should be; None of no methods."""
    return min(medians, key=lambda name: (_badness(medians[name], metric), name), default=None)


def summarise(
    metrics: pd.DataFrame, method_costs: pd.DataFrame, trained_horizon: int, draws: int = 2000
) -> pd.DataFrame:
    """Reduce metrics.csv to summary.csv.

    Args:
        metrics: columns study, method, split, environment, seed, horizon, metric, value.
        method_costs: columns method, parameters, train_seconds, adapt_seconds (seconds per new environment), a row a
            method; a method without a row gets NaN.
        trained_horizon: frames; metrics are reported there under their own name and, where metrics.csv has it, at
            twice this horizon under ``<metric>_2x``.
        draws: of the bootstrap.

    Returns:
        Columns ``SUMMARY_COLUMNS``, a row for each method, split and metric. The best baseline itself has no p.

    Raises:
        InputError: the trained horizon is not in metrics.csv, a method is unknown, or its rows are incomplete.
    """
    found = sorted(int(horizon) for horizon in metrics["horizon"].unique())
    if trained_horizon not in found:
        raise InputError(f"metrics: horizon: found {found}, expected the trained horizon {trained_horizon} among them")
    if method_costs["method"].duplicated().any():
        twice = method_costs["method"][method_costs["method"].duplicated()].iloc[0]
        raise InputError(f"method costs: '{twice}' occurs twice, expected one row a method")

    rows: list[dict[str, Any]] = []
    for horizon, suffix in ((trained_horizon, ""), (2 * trained_horizon, "_2x")):
        at_horizon = metrics[metrics["horizon"] == horizon]
        for (split, metric), group in at_horizon.groupby(["split", "metric"]):
            name = f"{metric}{suffix}"
            rows += [{"split": split, "metric": name, **row} for row in compare_methods(group, metric, draws)]
    rows.sort(key=lambda row: (split_order(row["split"]), _metric_order(row["metric"]), printing_order(row["method"])))
    summary = pd.DataFrame(rows).merge(method_costs, on="method", how="left", validate="many_to_one")
    return summary[list(SUMMARY_COLUMNS)]


def error_by_horizon(metrics: pd.DataFrame, metric: str = "rmse", draws: int = 2000) -> pd.DataFrame:
    """Median over environments and its interval at every horizon.

    Args:
        metrics: as for ``summarise``.
        metric: which of its metrics.
        draws: of the bootstrap.

    Returns:
        Columns method, split, horizon (frames), median, ci_low, ci_high; sorted by method, split and horizon.
    """
    rows = []
    of_metric = metrics[metrics["metric"] == metric]
    for (name, split, horizon), group in of_metric.groupby(["method", "split", "horizon"]):
        interval = bootstrap_median(value_grid(group, metric).to_numpy(), draws=draws)
        rows.append((name, split, int(horizon), *interval))
    return pd.DataFrame(rows, columns=["method", "split", "horizon", "median", "ci_low", "ci_high"])


def environment_errors(metrics: pd.DataFrame, horizon: int, metric: str = "rmse") -> pd.DataFrame:
    """Each method's error in each environment, averaged over seeds.

    Args:
        metrics: as for ``summarise``.
        horizon: frames.
        metric: which of its metrics.

    Returns:
        Columns method, split, environment, value.
    """
    rows = []
    chosen = metrics[(metrics["metric"] == metric) & (metrics["horizon"] == horizon)]
    for (name, split), group in chosen.groupby(["method", "split"]):
        values = value_grid(group, metric).mean(axis=1)
        rows += [(name, split, environment, value) for environment, value in values.items()]
    return pd.DataFrame(rows, columns=["method", "split", "environment", "value"])


def best_arm(summary: pd.DataFrame) -> str | None:
    """The generator's arm that a report speaks of: the lowest median RMSE on the *visible* environments.

    Unseen environments have no say in the choice, so that their errors stay an honest test of it. Only where a study
    has no visible rows does the first of its splits decide.

    Args:
        summary: as returned by ``summarise``.

    Returns:
        The method's name, ``generator-<arm>``, or None where no generator was evaluated.
    """
    rmse = summary[summary["metric"] == "rmse"]
    generators = rmse[[method(name).family == "generator" for name in rmse["method"]]]
    if generators.empty:
        return None
    deciding = generators[generators["split"] == min(generators["split"], key=split_order)]
    return best_method(dict(zip(deciding["method"], deciding["median"], strict=True)), "rmse")


def _badness(value: Any, metric: str) -> Any:
    """Numbers of which the lowest is the best."""
    if metric in NOMINAL:
        return abs(value - NOMINAL[metric])
    return -value if metric in HIGHER_IS_BETTER else value


def split_order(split: str) -> tuple[int, str]:
    """Sort key: splits as listed in ``SPLITS``, then others by name."""
    return (SPLITS.index(split) if split in SPLITS else len(SPLITS)), split


def _metric_order(metric: str) -> tuple[int, str]:
    """Sort key: metrics as listed in ``METRICS``, each followed by its value at twice the horizon, then others."""
    name = metric.removesuffix("_2x")
    return (METRICS.index(name) if name in METRICS else len(METRICS)), metric


def compare_methods(
    rows: pd.DataFrame, metric: str, draws: int, bootstrap: Callable[..., Interval] = bootstrap_median
) -> list[dict[str, Any]]:
    """The methods of one split, metric and horizon: a row of the summary for each, as far as errors go.

    Args:
        rows: of metrics.csv.
        metric: of these rows.
        draws: of the bootstrap.
        bootstrap: values (environments, seeds) -> a method's value and interval.
    """
    grids = {str(name): value_grid(group, metric) for name, group in rows.groupby("method")}
    intervals = {name: bootstrap(grid.to_numpy(), draws=draws) for name, grid in grids.items()}
    baselines = {name: intervals[name].median for name in grids if method(name).family == "baseline"}
    best = best_method(baselines, metric)
    compared = []
    for name, grid in grids.items():
        p = float("nan")
        if best is not None and name != best:
            mine, theirs = grid.mean(axis=1).align(grids[best].mean(axis=1), join="inner")
            p = paired_p(_badness(mine, metric).to_numpy(), _badness(theirs, metric).to_numpy())
        median, low, high = intervals[name]
        compared.append(
            {
                "method": name,
                "median": median,
                "ci_low": low,
                "ci_high": high,
                "n": len(grid),
                "p_vs_best_baseline": p,
            }
        )
    return compared
