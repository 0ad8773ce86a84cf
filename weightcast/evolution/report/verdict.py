"""What the numbers of a study across time say, in plain words: also when that is not what one hoped for."""

from __future__ import annotations

import math
from typing import Literal

import pandas as pd

from weightcast.core.methods import FLOW_PREFIX, method
from weightcast.core.report.number_formats import interval, number
from weightcast.core.report.verdict import Verdict
from weightcast.core.significance import Interval, best_method
from weightcast.evolution.config.flow import FlowArm
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.report.comparison import (
    DISPLACEMENT,
    EXACT,
    FLOOR,
    METRIC_LABELS,
    PERSISTENCE,
    Protagonists,
    choose_protagonists,
    error_ratio,
    interpolated_anchors,
)
from weightcast.evolution.report.kept import KeptPaths, kept_sentences

WHERE = {
    "observed": "at observed times",
    "unobserved": "at unobserved times",
    "held_out": "at left-out snapshots",
    "forecast": "after the last snapshot that was seen",
}
"""A split as the end of a sentence."""

Standing = Literal["diverged", "beats", "equal", "loses", "lower", "higher", "alone"]
_HEADLINES: dict[Standing, str] = {
    "diverged": "The flow diverges",
    "beats": "The flow beats interpolation of its own anchors",
    "equal": "The flow equals interpolation of its own anchors, within the interval,",
    "loses": "The flow loses to interpolation of its own anchors",
    "lower": "The flow has a lower error than interpolation of its own anchors, without an interval to tell by,",
    "higher": "The flow has a higher error than interpolation of its own anchors, without an interval to tell by,",
    "alone": "The flow has no interpolation of its own anchors to be compared with",
}
_JUDGEMENTS: dict[Standing, str] = {
    "beats": "beyond the interval, so evolving the weights pays",
    "equal": "within the interval, so the two are equal and the flow gains nothing over interpolation",
    "loses": "beyond the interval, so interpolation is better",
    "lower": "but one time and one seed give no interval",
    "higher": "but one time and one seed give no interval",
}

PUBLISHED_STEPS = 10_000
"""Steps of the flow's training in WeightFlow's code: 100 epochs of 100 steps."""


def give_time_verdict(
    summary: pd.DataFrame,
    metrics: pd.DataFrame,
    study: TimeStudy,
    dimensions: int,
    draws: int,
    kept: KeptPaths | None = None,
) -> Verdict:
    """Judge the flow's chosen arm, by the headline metric, at unobserved times (where there are none: at left-out
    snapshots, else at observed times).

    Args:
        summary: summary.csv.
        metrics: metrics.csv.
        study: the configuration.
        dimensions: of the state.
        draws: of the bootstrap.
        kept: whether flows are differential equations or the splines they began from.
    """
    chosen = choose_protagonists(summary, study, dimensions)
    if chosen.flow is None:
        return Verdict("No flow was evaluated", "This study compares baselines alone.")
    medians = _medians(summary, chosen.metric, chosen.split)
    if chosen.flow not in medians:
        return Verdict("The flow was not evaluated where it matters", f"It has no errors {_where(chosen.split)}.")
    compared = None
    if chosen.interpolation is not None:
        compared = error_ratio(metrics, chosen.flow, chosen.interpolation, chosen.split, chosen.metric, draws)
    standing = _standing(medians[chosen.flow], compared, chosen.interpolation is not None)
    sentences = [_reach(summary, metrics, chosen, medians, draws)]
    sentences += kept_sentences(kept or {})
    sentences += _against_interpolation(chosen, medians, standing, compared)
    sentences += _against_baseline(chosen, medians)
    sentences += _against_displacement(chosen, medians)
    sentences.append(_published(study, chosen, medians))
    sentences += _other_arms(chosen, medians)
    sentences += _further_metrics(summary, chosen)
    sentences += _left_out(summary, metrics, chosen, draws)
    sentences += _forecast(summary, metrics, chosen, draws)
    return Verdict(_headline(standing, chosen, medians), " ".join(sentences))


def published_words(arm: FlowArm) -> str | None:
    """How an arm resembles what was published, or None where it does not."""
    if arm.start != "rest":
        return None
    if arm.objective == "anchors" and arm.anchors == "aligned":
        return "from rest, towards aligned anchors by squared distance, as in WeightFlow's code"
    if arm.objective == "likelihood" and not arm.bridged:
        return "from rest, by the likelihood of the snapshots alone and the path's energy, as in WeightFlow's paper"
    return None


def _standing(error: float, compared: Interval | None, has_rival: bool) -> Standing:
    if not math.isfinite(error):
        return "diverged"
    if not has_rival or compared is None:
        return "alone"
    if math.isnan(compared.low):
        return "lower" if compared.median < 1 else "higher"
    if compared.high < 1:
        return "beats"
    return "loses" if compared.low > 1 else "equal"


def _headline(standing: Standing, chosen: Protagonists, medians: dict[str, float]) -> str:
    headline = f"{_HEADLINES[standing]} {_where(chosen.split)}"
    rivals = [medians[name] for name in (chosen.flow, chosen.interpolation) if name is not None]
    if DISPLACEMENT in medians and medians[DISPLACEMENT] < min(rivals):
        headline += "; displacement interpolation, which has no model, comes closer still"
    return headline


def _reach(
    summary: pd.DataFrame, metrics: pd.DataFrame, chosen: Protagonists, medians: dict[str, float], draws: int
) -> str:
    """How close the flow comes to the truth, and how close one could come at all."""
    assert chosen.flow is not None
    row = _row(summary, chosen.flow, chosen.metric, chosen.split)
    choice = ""
    if chosen.deciding_split != chosen.split:
        choice = f", chosen by its error {_where(chosen.deciding_split)}"
    sentence = (
        f"Weights evolved by the flow (arm {chosen.flow.removeprefix(FLOW_PREFIX)}{choice}) reach a mean "
        f"{METRIC_LABELS[chosen.metric]} to held-out samples of {number(row['median'])} "
        f"{interval(row['ci_low'], row['ci_high'])} {_where(chosen.split)}"
    )
    if FLOOR not in medians:
        return f"{sentence}."
    found = error_ratio(metrics, chosen.flow, FLOOR, chosen.split, chosen.metric, draws)
    factor = ""
    if found is not None:
        ends = "" if math.isnan(found.low) else f" {interval(found.low, found.high)}"
        factor = f", {number(found.median)} times the sampling floor{ends}"
    return (
        f"{sentence}{factor}: {number(medians[FLOOR])} is what independent samples of the truth itself reach, as many "
        "as were drawn of each density."
    )


def _against_interpolation(
    chosen: Protagonists, medians: dict[str, float], standing: Standing, compared: Interval | None
) -> list[str]:
    """The question of the study: is evolving weights worth more than interpolating them?"""
    if chosen.interpolation is None:
        return ["No interpolation of the anchors that it starts from was evaluated."]
    name = chosen.interpolation
    sentence = f"The best interpolation of the same anchors is {method(name).label} with {number(medians[name])}"
    if compared is None or standing not in _JUDGEMENTS:
        return [f"{sentence}."]
    ends = "" if math.isnan(compared.low) else f" {interval(compared.low, compared.high)} over times and seeds"
    return [f"{sentence}: the flow has {number(compared.median)} times its error{ends}, {_JUDGEMENTS[standing]}."]


def _against_baseline(chosen: Protagonists, medians: dict[str, float]) -> list[str]:
    """The best baseline, where it is none of those that have a sentence of their own."""
    name = chosen.baseline
    if name is None or name in (chosen.interpolation, DISPLACEMENT):
        return []
    return [f"The best of all baselines is {method(name).label} with {number(medians[name])}."]


def _against_displacement(chosen: Protagonists, medians: dict[str, float]) -> list[str]:
    if DISPLACEMENT not in medians or chosen.flow is None:
        return []
    relation = "lower" if medians[DISPLACEMENT] < medians[chosen.flow] else "no lower"
    return [
        f"Displacement interpolation, which moves samples between the snapshots and has no model and no density, "
        f"reaches {number(medians[DISPLACEMENT])}: {relation} than the flow."
    ]


def _published(study: TimeStudy, chosen: Protagonists, medians: dict[str, float]) -> str:
    """What the arms reach that are trained as published."""
    parts = []
    for arm, settings in study.flow.arms.items():
        words, name = published_words(settings), f"{FLOW_PREFIX}{arm}"
        if words is not None and name in medians:
            own = study.flow.of_arm(arm)
            trainings = {"anchors": own.anchor_training.steps, "likelihood": own.likelihood_training.steps}
            steps = sum(count for stage, count in trainings.items() if settings.objective in (stage, "both"))
            parts.append(
                f"{number(medians[name])} (arm {arm}: {words}; {steps:,} steps, published {PUBLISHED_STEPS:,})"
            )
    if not parts:
        return "No arm of this study is trained as WeightFlow was published."
    return f"Trained as published, the flow reaches {' and '.join(parts)}."


def _other_arms(chosen: Protagonists, medians: dict[str, float]) -> list[str]:
    """Says so where another arm would have been the better choice."""
    arms = {name: median for name, median in medians.items() if method(name).family == "generator"}
    best = best_method(arms, chosen.metric)
    if best is None or best == chosen.flow:
        return []
    label = best.removeprefix(FLOW_PREFIX)
    return [f"The lowest error of any arm {_where(chosen.split)} is that of {label}, {number(arms[best])}."]


def _further_metrics(summary: pd.DataFrame, chosen: Protagonists) -> list[str]:
    """Divergence of the marginals, likelihood of held-out samples."""
    sentences = []
    for metric, words in (
        ("jsd", "The Jensen-Shannon divergence of the marginals is"),
        ("nll", "The negative log-likelihood of held-out samples is"),
    ):
        medians = _medians(summary, metric, chosen.split)
        parts = [
            f"{number(medians[name])} for {label}"
            for name, label in (
                (chosen.flow, "the flow"),
                (chosen.interpolation, "that interpolation"),
                (FLOOR, "the floor"),
                (EXACT, "the exact law"),
            )
            if name in medians
        ]
        if chosen.flow in medians and len(parts) > 1:
            sentences.append(f"{words} {', '.join(parts)}.")
    return sentences


def _left_out(summary: pd.DataFrame, metrics: pd.DataFrame, chosen: Protagonists, draws: int) -> list[str]:
    """The harder test, where it is not the one already told: a snapshot that nothing has seen."""
    medians = _medians(summary, chosen.metric, "held_out")
    if chosen.split == "held_out" or chosen.flow is None or chosen.flow not in medians:
        return []
    sentence = f"With a snapshot left out of all training, the flow reaches {number(medians[chosen.flow])} there"
    kind = interpolated_anchors(chosen.interpolation or "")
    same = {n: m for n, m in medians.items() if kind is not None and interpolated_anchors(n) == kind}
    best = best_method(same, chosen.metric)
    if best is not None:
        sentence += f"; {method(best).label}, the best interpolation of the same anchors, {number(medians[best])}"
        compared = error_ratio(metrics, chosen.flow, best, "held_out", chosen.metric, draws)
        if compared is not None and not math.isnan(compared.low):
            ends = interval(compared.low, compared.high)
            sentence += f" (the flow has {number(compared.median)} times its error {ends})"
    if DISPLACEMENT in medians:
        sentence += f"; displacement interpolation {number(medians[DISPLACEMENT])}"
    return [f"{sentence}."]


def _forecast(summary: pd.DataFrame, metrics: pd.DataFrame, chosen: Protagonists, draws: int) -> list[str]:
    """The last snapshot left out: the flow's forecast against the last snapshot before it, kept as it is."""
    medians = _medians(summary, chosen.metric, "forecast")
    forecasts = [name for name in medians if name.startswith(FLOW_PREFIX)]
    if not forecasts or PERSISTENCE not in medians:
        return []
    (name,) = forecasts[:1]
    sentence = (
        f"With the last snapshot left out of all training, the forecast of the arm {name.removeprefix(FLOW_PREFIX)} "
        f"reaches {number(medians[name])}, the last snapshot before it, kept as it is, {number(medians[PERSISTENCE])}"
    )
    compared = error_ratio(metrics, name, PERSISTENCE, "forecast", chosen.metric, draws)
    if compared is not None and not math.isnan(compared.low):
        better = "better" if compared.high < 1 else "worse" if compared.low > 1 else "equal within the interval"
        sentence += (
            f": {number(compared.median)} times its error {interval(compared.low, compared.high)}, so the forecast is "
            f"{better}"
        )
    return [f"{sentence}."]


def _medians(summary: pd.DataFrame, metric: str, split: str) -> dict[str, float]:
    rows = summary[(summary["metric"] == metric) & (summary["split"] == split)]
    return dict(zip(rows["method"], rows["median"], strict=True))


def _row(summary: pd.DataFrame, name: str, metric: str, split: str) -> pd.Series:
    chosen = (summary["method"] == name) & (summary["metric"] == metric) & (summary["split"] == split)
    return summary[chosen].iloc[0]


def _where(split: str) -> str:
    return WHERE.get(split, f"in the split {split}")
