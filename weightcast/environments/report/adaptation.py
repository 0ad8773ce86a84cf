"""The section of a report that stands beside the tables of CoDA and GEPS."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd
import yaml

from weightcast.core.methods import GENERATOR_PREFIX, WEIGHTS_ONLY, Method, method
from weightcast.core.report.number_formats import MISSING, number
from weightcast.core.report.summary_tables import Cell, Row
from weightcast.environments.adaptation_scores import (
    MEAN_RELATIVE,
    MEAN_SQUARED,
    RELATIVE_L2,
    RELATIVE_L2_BEYOND,
    SCORES,
)
from weightcast.environments.adaptation_table import ADAPTATION, IN_DOMAIN, adaptation_table
from weightcast.environments.report.inputs import StudyResults

_TITLES = {
    IN_DOMAIN: "In domain: the environments that were trained on",
    ADAPTATION: "Adaptation: all unseen environments together",
}
_HEADINGS = {
    MEAN_SQUARED: ("MSE", "mean square error in the data's units, channels together, over the trained frames (CoDA)"),
    MEAN_RELATIVE: ("Relative error", "mean of |error| over |truth|, over the trained frames (CoDA)"),
    RELATIVE_L2: ("Relative L2, in-t", "of a trajectory's error, over the trained frames; mean over them (GEPS)"),
    RELATIVE_L2_BEYOND: ("Relative L2, out-t", "the same over the frames beyond the trained ones (GEPS)"),
}

_TOLD = ("film", "conditioned", "film-matched", "hypernetwork", "finetune-film", "finetune-conditioned")


@dataclass(frozen=True)
class AdaptationTable:
    """The methods at one task; columns are (heading, what it means)."""

    title: str
    columns: list[tuple[str, str]]
    rows: list[Row]


def adaptation_tables(results: StudyResults) -> list[AdaptationTable]:
    """A table for each task, the best method first; none if the study was not scored so."""
    if not set(SCORES) & set(results.metrics["metric"]):
        return []
    scores = adaptation_table(results.metrics, results.trained_horizon)
    untold = untold_methods(results.config)
    return [_table(str(task), of_task, untold) for task, of_task in scores.groupby("task", sort=False)]


def untold_methods(config: str) -> set[str]:
    """Methods that a study tells something else than the parameters: those on a condition of another kind.

    Args:
        config: the resolved configuration, as text.
    """
    settings = yaml.safe_load(config)
    settings = settings if isinstance(settings, dict) else {}
    base = settings.get("base", {}).get("condition", "parameters")
    names = set() if base == "parameters" else set(_TOLD)
    for arm, chosen in settings.get("generator", {}).get("arms", {}).items():
        if chosen.get("condition", "parameters") != "parameters":
            names |= {f"{GENERATOR_PREFIX}{arm}", f"{GENERATOR_PREFIX}{arm}{WEIGHTS_ONLY}"}
    return names


def _table(task: str, scores: pd.DataFrame, untold: set[str]) -> AdaptationTable:
    shown = [score for score in SCORES if score in set(scores["score"])]
    by_score = scores[scores["score"] == MEAN_SQUARED].sort_values("mean", kind="stable")
    rows = []
    for name in by_score["method"]:
        of_method = scores[scores["method"] == name].set_index("score")
        cells = [_cell(of_method.loc[score]) if score in of_method.index else _EMPTY for score in shown]
        rows.append(Row(method(name), [] if name in untold else _marks(method(name)), cells))
    return AdaptationTable(_TITLES[task], [_HEADINGS[score] for score in shown], rows)


def _marks(known: Method) -> list[str]:
    if known.family == "reference":
        return ["reference"]
    return ["told the parameters"] if known.told_parameters else []


_EMPTY = Cell(MISSING, math.nan)


def _cell(score: pd.Series) -> Cell:
    spread = float(score["deviation"])
    return Cell(number(float(score["mean"])), float(score["mean"]), "" if math.isnan(spread) else f"± {spread:.1g}")
