"""The section of a report that asks whether generated weights are new, or copies of the experts."""

from __future__ import annotations

import math
from dataclasses import dataclass

from weightcast.core.methods import method
from weightcast.core.report.number_formats import MISSING, number, p_value, ratio
from weightcast.core.report.summary_tables import Cell, Row
from weightcast.environments.novelty_verdict import Judgement, Pairs, Standing, judge
from weightcast.environments.report.inputs import StudyResults

_COLUMNS = [
    ("RMSE", "median error at the trained horizon"),
    ("Weights", "median distance in weights to the nearest expert, and in how many spreads of one environment's"),
    ("p, weights", "of the paired test against the distance of experts of one environment from each other"),
    ("Behaviour", "median mean square of what one step differs by from the most alike expert's, over the true step's"),
    ("p, behaviour", "of the paired test against what experts of one environment differ by from each other"),
]
_REFERENCES = {
    "nearest": ("Nearest", "median error of the expert that is nearest in weights", "the nearest expert"),
    "alike": ("Most alike", "median error of the expert that behaves most alike", "the most alike expert"),
    "average": ("Average", "median error of the average of all experts", "the average of all experts"),
    "interpolation": ("Between two", "median error of a point between experts of two others", "a point between two"),
    "noise": ("With noise", "median error of the nearest expert with noise", "the nearest one with noise"),
}
"""Heading, meaning and words of each reference."""
_STANDINGS: dict[Standing, str] = {
    "memorised": "memorised",
    "new": "new",
    "undecided": "neither clearly new nor clearly memorised",
}


@dataclass(frozen=True)
class NoveltyTable:
    """The methods, the lowest error first; columns are (heading, what it means)."""

    columns: list[tuple[str, str]]
    rows: list[Row]


@dataclass(frozen=True)
class Novelty:
    """The section.

    Attributes:
        where: environments that are spoken of.
        verdicts: (headline, paragraph) of each arm of the generator.
        table: all methods whose weights were compared.
        equations: whether the context's predictors are equations, which no expert can be compared with.
    """

    where: str
    verdicts: list[tuple[str, str]]
    table: NoveltyTable
    equations: bool = False


def novelty_section(results: StudyResults) -> Novelty | None:
    """The section; None where nothing was compared."""
    if results.novelty is None or results.novelty.empty:
        return None
    judged = judge(results.novelty)
    shown = [name for name in _REFERENCES if any(name in judgement.references for judgement in judged)]
    columns = [*_COLUMNS, *(_REFERENCES[name][:2] for name in shown)]
    by_error = sorted(judged, key=lambda judgement: judgement.pairs["nearest", "rmse"].value)
    return Novelty(
        where="unseen" if judged[0].unseen else "visible",
        verdicts=[_verdict(judgement) for judgement in judged if method(judgement.method).family == "generator"],
        table=NoveltyTable(columns, [_row(judgement, shown) for judgement in by_error]),
        equations=results.observed is not None and bool(results.observed.attrs.get("equations")),
    )


def _verdict(judgement: Judgement) -> tuple[str, str]:
    pairs, label = judgement.pairs, method(judgement.method).label
    weights, behaviour = pairs["nearest", "weights"], pairs["alike", "behaviour"]
    parts = [
        f"On the {'unseen' if judgement.unseen else 'visible'} environments its weights are {_place(weights)} the "
        f"nearest expert ({number(weights.value)}) {_than(weights)} experts of one environment are from each other "
        f"({number(weights.yardstick)}): {_counted(weights)}.",
        f"In what it does in one step it is {_place(behaviour)} the most alike expert ({number(behaviour.value)}) "
        f"{_than(behaviour)} they are from each other ({number(behaviour.yardstick)}): {_counted(behaviour)}.",
    ]
    near = [name for name in ("average", "interpolation") if _is_near(judgement, name)]
    if near:
        named = [f"{_REFERENCES[name][2]} ({number(pairs[name, 'weights'].value)})" for name in near]
        parts.append(f"Its weights are nearer than that to {_joined(named)}.")
    errors = [f"{number(pairs[name, 'rmse'].yardstick)} of {_REFERENCES[name][2]}" for name in judgement.references]
    left = [_REFERENCES[name][2] for name in judgement.not_beaten]
    standing = "significantly below all of these" if not left else f"not significantly below that of {_joined(left)}"
    own = number(pairs["nearest", "rmse"].value)
    parts.append(f"Its error is {own}, beside {_joined(errors)}: {standing}.")
    headline = _STANDINGS[judgement.standing]
    if judgement.standing == "new":
        headline += f", {'but no' if left else 'and'} better than what can be had from experts"
    return f"{label}: {headline}", " ".join(parts)


def _is_near(judgement: Judgement, reference: str) -> bool:
    """Whether weights are nearer to a reference than experts of one environment are to each other."""
    return reference in judgement.references and judgement.pairs[reference, "weights"].side == "below"


def _place(pairs: Pairs) -> str:
    return {"above": "farther from", "below": "nearer to", "level": "about as far from"}[pairs.side]


def _than(pairs: Pairs) -> str:
    return "as" if pairs.side == "level" else "than"


def _counted(pairs: Pairs) -> str:
    below = pairs.side == "below"
    counted = f"{'nearer' if below else 'farther'} in {pairs.below if below else pairs.above} of {pairs.count}"
    return counted if math.isnan(pairs.p) else f"{counted}, p {p_value(pairs.p)}"


def _joined(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}"


def _row(judgement: Judgement, shown: list[str]) -> Row:
    pairs = judgement.pairs
    weights, behaviour, own = pairs["nearest", "weights"], pairs["alike", "behaviour"], pairs["nearest", "rmse"]
    cells = [_number(own.value)]
    for measured in (weights, behaviour):
        times = ratio(measured.value, measured.yardstick)
        note = "" if math.isnan(times) else f"\N{MULTIPLICATION SIGN} {number(times)}"
        p = MISSING if math.isnan(measured.p) else p_value(measured.p).removeprefix("= ")
        cells += [Cell(number(measured.value), measured.value, note), Cell(p, measured.p)]
    for name in shown:
        there = name in judgement.references
        cells.append(_number(pairs[name, "rmse"].yardstick if there else math.nan))
    known = method(judgement.method)
    marks = [judgement.standing] + (["reference"] if known.family == "reference" else [])
    return Row(known, marks, cells)


def _number(value: float) -> Cell:
    return Cell(number(value), value)
