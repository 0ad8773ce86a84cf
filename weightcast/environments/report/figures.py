"""The figures of a report, each with the words that stand for it and below it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product

import pandas as pd
from matplotlib.figure import Figure

from weightcast.core.methods import SKILL_FLOOR, method
from weightcast.core.plots.costs import plot_costs
from weightcast.core.plots.export import render
from weightcast.core.plots.summary import plot_summary
from weightcast.core.plots.training_curves import plot_training_curves
from weightcast.core.report.parts import ReportFigure
from weightcast.core.report.verdict import best_of_family
from weightcast.core.significance import best_arm, error_by_horizon, split_order
from weightcast.environments.plots.attention import plot_attention
from weightcast.environments.plots.horizon import plot_horizon
from weightcast.environments.plots.plane import plot_plane
from weightcast.environments.plots.rollouts import plot_rollouts
from weightcast.environments.plots.weight_map import plot_weight_map
from weightcast.environments.report.inputs import StudyResults


@dataclass(frozen=True)
class Protagonists:
    """The methods that figures single out.

    Attributes:
        arm: the generator's arm with the lowest error on visible environments, or None.
        reference: the strongest One-per-Env in the first unseen split, or None.
        baselines: the best baseline of each split, without repetition.
    """

    arm: str | None
    reference: str | None
    baselines: list[str]


def choose_protagonists(summary: pd.DataFrame) -> Protagonists:
    """Pick the methods to single out, from a summary as `weightcast.core.significance.summarise` makes it."""
    rmse = summary[summary["metric"] == "rmse"]
    splits = sorted(rmse["split"].unique(), key=split_order)
    unseen = [split for split in splits if split != "visible"] or splits
    by_split = {split: rmse[rmse["split"] == split] for split in unseen}
    baselines = [best_of_family(rows, "baseline") for rows in by_split.values()]
    return Protagonists(
        arm=best_arm(summary),
        reference=best_of_family(by_split[unseen[0]], "reference"),
        baselines=list(dict.fromkeys(name for name in baselines if name is not None)),
    )


def draw_summary(results: StudyResults) -> ReportFigure:
    """Dots and intervals of all methods in all splits."""
    return _drawn(
        "summary",
        plot_summary(results.summary),
        "Dot plot of every method's median RMSE with its interval, a panel for each split. The tables below hold the "
        "same numbers.",
        f"Median RMSE over environments at the trained horizon ({results.trained_horizon} frames) with its 95 % "
        "bootstrap interval. Grey ground: no better than the best forecast without a network.",
    )


def draw_horizon(results: StudyResults, protagonists: Protagonists) -> ReportFigure:
    """Error of all methods against the forecast's length."""
    arm, reference = protagonists.arm, protagonists.reference
    featured = _present(results, arm, reference, *protagonists.baselines, "erm", *SKILL_FLOOR)
    named = ", ".join(method(name).label for name in featured)
    return _drawn(
        "error_against_horizon",
        plot_horizon(error_by_horizon(results.metrics, draws=results.bootstrap), featured, results.trained_horizon),
        f"Lines of median RMSE against forecast horizon, a panel for each split. In colour: {named}.",
        "Median RMSE over frames 1 to the horizon; bands are 95 % bootstrap intervals. Networks were trained within "
        f"{results.trained_horizon} frames (dashed line): what lies to the right of it was never trained for.",
    )


def draw_plane(results: StudyResults, errors: pd.DataFrame, protagonists: Protagonists) -> ReportFigure:
    """Error over the environments' parameters, for a few methods; errors at the trained horizon by environment."""
    methods = _present(results, "erm", *protagonists.baselines[:1], protagonists.arm, protagonists.reference)
    shown, hidden = results.parameters[:2], results.parameters[2:]
    over, beside = f"over {' and '.join(shown)}", "by parameters"
    if not shown:
        over, beside = "one beside the other", "by role and in the table's order: no parameters are known"
    caption = f"RMSE over {results.trained_horizon} frames in each environment, averaged over seeds, {beside}."
    if hidden:
        caption += (
            f" The environments have {len(results.parameters)} parameters; shown are {' and '.join(shown)}, and dots "
            f"that differ in {', '.join(hidden)} alone lie on each other."
        )
    return _drawn(
        "error_over_environments",
        plot_plane(errors, results.environments, results.parameters, methods),
        f"RMSE in every environment, {over}: {', '.join(method(name).label for name in methods)}.",
        caption,
    )


def draw_rollouts(results: StudyResults, protagonists: Protagonists) -> Iterator[ReportFigure]:
    """A figure for each environment in rollouts.nc: of the first channel, or of every one of a state without a grid.

    A study without a generator shows a baseline.
    """
    rollouts = results.rollouts
    if rollouts is None:
        return
    names = [str(name) for name in rollouts["method"].values if name != "truth"]
    arms = [name for name in names if method(name).family == "generator"]
    arms = arms or [name for name in names if method(name).family == "baseline"]
    references = [name for name in names if method(name).family == "reference"]
    if not arms:
        return
    arm = protagonists.arm if protagonists.arm in arms else arms[0]
    reference = protagonists.reference if protagonists.reference in references else next(iter(references), None)
    gridless = rollouts.sizes["y"] == rollouts.sizes["x"] == 1
    channels = [str(name) for name in rollouts.data_vars][: None if gridless else 1]
    environments = results.environments.set_index("id")
    beside = f" beside {method(reference).label}" if reference is not None else ""
    drawn = f"{{}}: truth, {method(arm).label}{beside}, and absolute differences."
    for identifier, channel in product(rollouts["environment"].values, channels):
        place = ", ".join(f"{name} = {environments.loc[identifier, name]:g}" for name in results.parameters)
        role = str(environments.loc[identifier, "role"])
        described = "; ".join(part for part in (role, place) if part)
        fields = rollouts[channel].sel(environment=identifier)
        yield _drawn(
            f"rollout_{identifier}" + (f"_{channel}" if gridless else ""),
            plot_rollouts(fields, arm, reference, str(rollouts[channel].attrs.get("units", ""))),
            drawn.format(f"Lines of {channel} over time" if gridless else f"Maps of {channel} at several frames"),
            f"{channel} in environment {identifier} ({described}): {method(arm).label}{beside}. "
            + (
                "Above the values, below how far each forecast is off."
                if gridless
                else "Forecasts share the truth's colours; differences share a scale of their own."
            ),
        )


def draw_weight_map(results: StudyResults) -> ReportFigure | None:
    """Principal components of the zoo's weights and latents, or None where they were not computed."""
    if results.weight_map is None:
        return None
    alt, meaning = f"coloured by {', '.join(results.parameters)}", "Colours in order mean"
    if not results.parameters:
        alt = "lines between the experts of an environment"
        meaning = "Short lines between an environment's experts mean"
    return _drawn(
        "weight_map",
        plot_weight_map(results.weight_map, results.environments, results.parameters),
        f"Scatter plots of the first two principal components, {alt}.",
        "Each dot is an expert of the zoo: its weights, or the weight VAE's latents of how they deviate from what they "
        f"are modelled relative to, on their first two principal components. {meaning} that the environment can be "
        "read off.",
    )


def draw_trainings(results: StudyResults) -> ReportFigure | None:
    """Training and validation errors against the step, or None where no training is known."""
    if results.curves is None or results.curves.empty:
        return None
    return _drawn(
        "trainings",
        plot_training_curves(results.curves),
        "Small multiples of training and validation errors against the step, a panel for each stage of the training.",
        "A line a training: its loss over the steps and, where there is one, its error on validation trajectories of "
        "visible environments, which need not be in the loss's units. Of experts trained together it is the median.",
    )


def draw_costs(results: StudyResults) -> ReportFigure | None:
    """Seconds of training against error, or None where no method's cost is known."""
    if not (results.summary["train_seconds"] > 0).any():
        return None
    return _drawn(
        "costs",
        plot_costs(results.summary),
        "Scatter plot of median RMSE against seconds of training. The tables hold the same numbers.",
        "Seconds of training count all that a method builds on (base, zoo, weight VAE). Lower left is better. Methods "
        "that diverge, or whose error is far beyond all others, are left out.",
    )


def _present(results: StudyResults, *names: str | None) -> list[str]:
    """Those of the names that were evaluated, in their order, each once."""
    evaluated = set(results.metrics["method"])
    return list(dict.fromkeys(name for name in names if name is not None and name in evaluated))


def _drawn(name: str, figure: Figure, alt: str, caption: str) -> ReportFigure:
    return ReportFigure(name, alt, caption, render(figure))


def draw_attention(attention: pd.DataFrame) -> ReportFigure:
    """Where the arms' encoders look."""
    last = attention[attention["block"] == attention["block"].max()]
    own = last[last["layer"] == last["attended"]]
    times = float((own["share"] / own["even"]).median())
    return ReportFigure(
        "attention",
        "Attention of the encoders between the layers of the predictor, a panel for each block.",
        "Where the weight VAE's encoder looks, over the experts of the zoo and over heads: of what the nodes of a "
        "row's layer are told, so many per cent come from a column's layer. Red is more than if all nodes were looked "
        "at alike, blue less (a white cell is even). In the last block layers look at themselves "
        f"{times:.2g} times as much as that (median). report/attention_nodes.csv has the same for each node.",
        render(plot_attention(attention)),
    )
