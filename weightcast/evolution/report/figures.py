"""The figures of the report of a study across time, each with the words that stand for it and below it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from weightcast.core.methods import method
from weightcast.core.plots.costs import plot_costs
from weightcast.core.plots.export import render
from weightcast.core.plots.training_curves import plot_training_curves
from weightcast.core.report.parts import ReportFigure
from weightcast.evolution.mass import MassPath
from weightcast.evolution.plots.distributions import MOST_DIMENSIONS, Landscape, plot_joints, plot_marginals
from weightcast.evolution.plots.errors import ErrorPanel, plot_time_errors
from weightcast.evolution.plots.growth_map import GrowthAt, plot_growth_map
from weightcast.evolution.plots.mass import plot_mass
from weightcast.evolution.plots.summary import plot_time_summary
from weightcast.evolution.plots.weight_path import plot_weight_path
from weightcast.evolution.report.comparison import (
    DISPLACEMENT,
    FLOOR,
    METRIC_LABELS,
    Protagonists,
    interpolated_anchors,
)
from weightcast.evolution.report.inputs import TimeResults
from weightcast.systems.ecology import ALLELES, fitness

_SHORT = {"wasserstein": "W", "sliced_wasserstein": "sliced W"}
MAPPED = 1000
"""Points of a map of growth."""
_MOST_ARMS = 3
"""Arms of the flow whose errors are drawn against time."""


def draw_summary(results: TimeResults, chosen: Protagonists) -> ReportFigure:
    """Dots and intervals of all methods at times that were not seen (at observed times, where there are no others)."""
    summary = results.summary
    unseen = summary[summary["split"].isin(["unobserved", "held_out", "forecast"])]
    seen = summary[summary["split"] != "source"]
    shown = unseen if len(unseen) else seen if len(seen) else summary
    label = f"{_SHORT[chosen.metric]}, state's units"
    return _drawn(
        "summary",
        plot_time_summary(shown, chosen.metric, label),
        f"Dot plot of every method's mean {METRIC_LABELS[chosen.metric]} with its interval, a panel for each split. "
        "The tables below hold the same numbers.",
        f"Mean {METRIC_LABELS[chosen.metric]} over times, median over seeds, with its 95 % bootstrap interval over "
        "times and seeds. The sampling floor is what independent samples of the truth reach.",
    )


def draw_distributions(results: TimeResults) -> list[ReportFigure]:
    """Marginals, and joints where there are two dimensions; nothing without distributions.nc."""
    samples, snapshots = results.distributions, results.snapshots
    if samples is None:
        return []
    label = method(str(samples["source"].values[1])).label
    names = [str(name) for name in samples["dimension"].values]
    shown, hidden = names[:MOST_DIMENSIONS], names[MOST_DIMENSIONS:]
    if snapshots.counts:
        caption = (
            f"Probability of every count of {', '.join(shown)} over time: {results.truth_words} above, {label} below, "
            "on one scale of colours. Triangles: times that training has seen."
        )
    else:
        caption = (
            f"Quantiles (5, 25, 50, 75 and 95 %) of {', '.join(shown)} over time: {results.truth_words} in grey and "
            f"black, {label} in orange. Triangles: times that training has seen."
        )
    if hidden:
        caption += f" Not shown: {', '.join(hidden)}."
    figures = [
        _drawn(
            "marginals",
            plot_marginals(samples, snapshots.counts, results.time_label),
            f"Marginal distributions over time of {', '.join(shown)}: the truth beside {label}.",
            caption,
        )
    ]
    if len(names) > 1:
        landscape = _landscape(results)
        below = " Contours: the fitness landscape." if landscape is not None else ""
        figures.append(
            _drawn(
                "joints",
                plot_joints(samples, snapshots.counts, landscape),
                f"Joint distributions of {names[0]} and {names[1]} at a few times: the truth above {label}.",
                f"Joint distribution of {names[0]} and {names[1]}: {results.truth_words} above, {label} below. Each "
                f"time has a scale of colours of its own, that of the truth.{below}",
            )
        )
    return figures


def draw_errors(results: TimeResults, chosen: Protagonists) -> ReportFigure:
    """W and JSD against time."""
    metrics = results.metrics
    evaluated = set(metrics["method"])
    arms = sorted(name for name in evaluated if method(name).family == "generator" and name != chosen.flow)
    wanted = [chosen.flow, chosen.interpolation, chosen.baseline, DISPLACEMENT, *arms[: _MOST_ARMS - 1], FLOOR]
    featured = list(dict.fromkeys(name for name in wanted if name is not None and name in evaluated))
    panels = [
        ErrorPanel(metric, label)
        for metric, label in (
            (chosen.metric, f"{_SHORT[chosen.metric]}, state's units"),
            ("jsd", "JSD of marginals, nats"),
        )
        if metric in set(metrics["metric"])
    ]
    named = ", ".join(method(name).label for name in featured)
    lines = metrics[metrics["split"] != "source"]
    if results.snapshots.all_train:  # the lines are errors as the source scores: nothing is held out
        lines = pd.concat([metrics[metrics["split"] == "source"].assign(split="observed"), lines])
    return _drawn(
        "error_against_time",
        plot_time_errors(
            lines,
            featured,
            panels,
            results.snapshots.observed_times,
            results.time_label,
        ),
        f"Lines of error against time, a panel for each of {', '.join(p.label for p in panels)}: {named}.",
        f"Errors to {results.truth_words}. Thick lines are medians over seeds, thin ones single seeds; grey lines mark "
        "the observed times. Open markers: that snapshot was left out of all training.",
    )


def draw_mass(results: TimeResults) -> ReportFigure | None:
    """The size of the population against time, or None where the study was told none."""
    snapshots = results.snapshots
    if snapshots.masses is None:
        return None
    left_out = [snapshots.observed_positions[number] for number in results.study.evaluation.leave_out]
    return _drawn(
        "mass",
        plot_mass(snapshots.times, snapshots.masses, snapshots.observed, left_out, results.time_label),
        "Lines of the size of the population and of its growth rate against time.",
        "Size of the population in that at the first snapshot, and the growth rate of the whole, d(log m)/dt. Diamonds "
        "are the data's, through which the path goes; dashed lines are paths that did without one snapshot, open "
        "squares what they say there.",
    )


def draw_growth_map(results: TimeResults) -> ReportFigure | None:
    """Growth rate and velocity halfway between snapshots, or None where there are no couplings."""
    couplings, snapshots = results.couplings, results.snapshots
    masses = snapshots.observed_masses
    if couplings is None or masses is None:
        return None
    whole = MassPath(snapshots.observed_times, masses)
    found = []
    for first, last, pairs in zip(couplings.times, couplings.times[1:], couplings.pairs, strict=False):
        time = float(first + last) / 2
        some = pairs.fewer(MAPPED)
        points = (some.start + some.end) / 2
        rate = float(whole.rate(np.array([time]))[0])
        growth, velocity = couplings.growth(time, points, rate), couplings.velocity(time, points)
        found.append(GrowthAt(time, points, growth, velocity))
    names = list(snapshots.dimensions)
    shown = " and ".join(names[:2])
    return _drawn(
        "growth_map",
        plot_growth_map(found, names),
        f"Growth rate and velocity over {shown}, halfway between snapshots.",
        f"What unbalanced transport makes of the change between snapshots, halfway: growth rate by colour over "
        f"{shown}, arrows where it moves. Motion and growth cannot be told apart by snapshots alone: this is the "
        "cheapest of both, with anchors.bridge.relaxation as the price of growth.",
    )


def draw_weight_path(results: TimeResults) -> ReportFigure | None:
    """Principal components of anchors and paths, or None where they were not computed."""
    if results.weight_path is None:
        return None
    return _drawn(
        "weight_path",
        plot_weight_path(results.weight_path, results.snapshots.observed_times, results.time_label),
        "Two scatter plots of weights on their first two principal components, with all anchors and with the evolved "
        "paths alone, coloured by time.",
        "Weights of the first seed on the first two principal components of each panel's own points. Markers are "
        "anchors (densities fitted at snapshots), lines are what flows evolve from the first of them (open circle). "
        "Anchors that lie in order make a path that can be interpolated; those fitted alone do not.",
    )


def draw_trainings(results: TimeResults) -> ReportFigure | None:
    """Losses against the step, or None where no training is known."""
    if results.curves is None or results.curves.empty:
        return None
    return _drawn(
        "trainings",
        plot_training_curves(results.curves),
        "Small multiples of training losses against the step, a panel for each stage of the training.",
        "A line a training: its loss over the steps. Of anchors trained together it is the median; a likelihood may be "
        "below 0 for real states. Nothing is held out for validation here: held-out samples are what evaluates.",
    )


def draw_costs(results: TimeResults, chosen: Protagonists) -> ReportFigure | None:
    """Seconds of training against error, or None where no method's cost is known."""
    rows = results.summary
    rows = rows[(rows["split"] == chosen.split) & (rows["metric"] == chosen.metric)]
    rows = rows[[method(name).family != "reference" for name in rows["method"]]]
    rows = _best_curves(rows)
    if not ((rows["train_seconds"] > 0) & np.isfinite(rows["median"]) & (rows["median"] > 0)).any():
        return None
    return _drawn(
        "costs",
        plot_costs(rows, chosen.metric, f"{_SHORT[chosen.metric]}, state's units"),
        f"Scatter plot of mean {METRIC_LABELS[chosen.metric]} against seconds of training. The tables hold the same "
        "numbers.",
        "Seconds of training count all that a method builds on (the anchors of a flow). Of the curves through one kind "
        "of anchors, which cost the same, the best is shown. Lower left is better. Methods that diverge, or whose "
        "error is far beyond all others, are left out.",
    )


def _best_curves(rows: pd.DataFrame) -> pd.DataFrame:
    """Without interpolations that are not the best one through their kind of anchors."""
    kinds = rows["method"].map(interpolated_anchors)
    curves = rows[kinds.notna()]
    best = curves.loc[curves.groupby(kinds)["median"].idxmin()] if len(curves) else curves
    return pd.concat([rows[kinds.isna()], best])


def _landscape(results: TimeResults) -> Landscape | None:
    """What the ecological walk climbs; no other system has one."""
    if results.study.data.source != "ecology":
        return None
    alleles = np.arange(ALLELES, dtype=np.float64)
    return Landscape(alleles, alleles, fitness(alleles[:, None], alleles[None, :]), "fitness")


def _drawn(name: str, figure: Figure, alt: str, caption: str) -> ReportFigure:
    return ReportFigure(name, alt, caption, render(figure))
