"""Who is compared with whom in the report of a study across time, and by how much they differ."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import get_args

import numpy as np
import pandas as pd

from weightcast.core.methods import FLOW_PREFIX, method
from weightcast.core.report.verdict import best_of_family
from weightcast.core.significance import Interval, best_method, split_order, value_grid
from weightcast.evolution.config.anchors import AnchorKind
from weightcast.evolution.config.evaluation import PathInterpolation
from weightcast.evolution.config.study import TimeStudy

FLOOR = "sampling-floor"
EXACT = "exact-law"
DISPLACEMENT = "displacement"
PERSISTENCE = "last-snapshot"
JUDGED_SPLITS = ("unobserved", "held_out", "observed")
"""The first of these that was evaluated is what the verdict speaks of."""
METRIC_LABELS = {
    "wasserstein": "W (1-Wasserstein distance)",
    "sliced_wasserstein": "sliced W (sliced 1-Wasserstein distance)",
}
MANY_DIMENSIONS = 5
"""Beyond so many dimensions the exact distance is mostly sampling noise: the sliced one leads."""


@dataclass(frozen=True)
class Protagonists:
    """The methods that the verdict and the figures single out, by their names in metrics.csv.

    Attributes:
        metric: the headline metric.
        split: that the verdict speaks of.
        deciding_split: that the arm was chosen by.
        flow: the chosen arm of the flow, or None.
        interpolation: the best interpolation, in ``split``, of the anchors that this arm starts from, or None.
        baseline: the best baseline of all in ``split``, or None.
    """

    metric: str
    split: str
    deciding_split: str
    flow: str | None
    interpolation: str | None
    baseline: str | None


def headline_metric(summary: pd.DataFrame, dimensions: int) -> str:
    """W, or sliced W where there are many dimensions; whatever of the two there is."""
    preferred = ["wasserstein", "sliced_wasserstein"]
    if dimensions > MANY_DIMENSIONS:
        preferred.reverse()
    return next((metric for metric in preferred if metric in set(summary["metric"])), "wasserstein")


def choose_protagonists(summary: pd.DataFrame, study: TimeStudy, dimensions: int) -> Protagonists:
    """Pick the methods to single out.

    The arm is chosen at the observed times, if those were evaluated, so that its error at unobserved ones stays an
    honest test. The interpolation is the best one at the very times of the test, which favours it.

    Args:
        summary: summary.csv.
        study: whose arms say which anchors they start from.
        dimensions: of the state.
    """
    metric = headline_metric(summary, dimensions)
    rows = summary[summary["metric"] == metric]
    evaluated = set(rows["split"])
    split = next((name for name in JUDGED_SPLITS if name in evaluated), min(evaluated, key=split_order, default=""))
    flows = rows[[method(name).family == "generator" for name in rows["method"]]]
    deciding = min(flows["split"], key=split_order, default=split)
    of_deciding = flows[flows["split"] == deciding]
    flow = best_method(dict(zip(of_deciding["method"], of_deciding["median"], strict=True)), metric)
    judged = rows[rows["split"] == split]
    medians = dict(zip(judged["method"], judged["median"], strict=True))
    arm = study.flow.arms.get(flow.removeprefix(FLOW_PREFIX)) if flow is not None else None
    same = {n: m for n, m in medians.items() if arm is not None and interpolated_anchors(n) == arm.anchors}
    return Protagonists(metric, split, deciding, flow, best_method(same, metric), best_of_family(judged, "baseline"))


def interpolated_anchors(name: str) -> str | None:
    """The kind of anchors that a method ``<curve>-<kind>`` interpolates, or None of any other method."""
    curve, _, kind = name.partition("-")
    return kind if curve in get_args(PathInterpolation) and kind in get_args(AnchorKind) else None


def error_ratio(
    metrics: pd.DataFrame, first: str, second: str, split: str, metric: str, draws: int = 2000
) -> Interval | None:
    """How many times the second method's error the first one's is: medians over seeds of means over times.

    Times are paired; seeds are, too, where both methods have the same. Each draw of the percentile bootstrap resamples
    times and seeds.

    Args:
        metrics: metrics.csv.
        first: a method.
        second: another.
        split: in which they are compared, at the times that both have.
        metric: of which lower is better.
        draws: of the bootstrap.

    Returns:
        The ratio and the ends of its 95 % interval, which are NaN where there is but one time and one seed; None where
        the errors cannot be divided.
    """
    chosen = metrics[(metrics["split"] == split) & (metrics["metric"] == metric)]
    grids = [value_grid(chosen[chosen["method"] == name], metric) for name in (first, second)]
    times = grids[0].index.intersection(grids[1].index)
    upper, lower = (grid.loc[times].to_numpy() for grid in grids)  # [time, seed]
    if not len(times) or not np.isfinite(upper).all() or not np.isfinite(lower).all():
        return None
    found = np.median(upper.mean(0)), np.median(lower.mean(0))
    if found[1] <= 0:
        return None
    if len(times) == 1 and upper.shape[1] == lower.shape[1] == 1:
        return Interval(float(found[0] / found[1]), math.nan, math.nan)
    random = np.random.default_rng(0)
    drawn_times = random.integers(len(times), size=(draws, len(times), 1))
    same_seeds = list(grids[0].columns) == list(grids[1].columns)
    seeds = random.integers(upper.shape[1], size=(draws, 1, upper.shape[1]))
    other = seeds if same_seeds else random.integers(lower.shape[1], size=(draws, 1, lower.shape[1]))
    above = np.median(upper[drawn_times, seeds].mean(axis=1), axis=1)
    below = np.median(lower[drawn_times, other].mean(axis=1), axis=1)
    low, high = np.quantile(above / np.maximum(below, np.finfo(float).tiny), [0.025, 0.975])
    return Interval(float(found[0] / found[1]), float(low), float(high))
