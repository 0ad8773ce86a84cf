"""The symbolic explanation in a report: equations beside the true ones, counts of errors, coefficients in a figure."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from weightcast.core.methods import method
from weightcast.core.plots.export import render
from weightcast.core.plots.style import method_colour, split_label
from weightcast.core.report.number_formats import MISSING, count, number
from weightcast.core.report.parts import ReportFigure
from weightcast.core.report.summary_tables import Cell, Row
from weightcast.core.significance import split_order
from weightcast.environments.explain.comparison import accuracy, median_coefficients
from weightcast.environments.explain.term_names import CONSTANT, printed_term
from weightcast.environments.plots.coefficients import ROW, plot_coefficients
from weightcast.environments.report.inputs import StudyResults

SHOWN = 2
"""Environments of each unseen split whose equations are printed."""
FAITHFUL = 0.1
"""Equations that leave more of a step than this are marked: they are not what the predictor does."""
_COLUMNS = [
    ("Largest error", "of a true term's coefficient, relative, over all predictors; a missing term counts as 100 %"),
    ("Median error", "of the true terms' coefficients, relative, over all predictors"),
    ("False terms", "terms that the true equations do not have, over all predictors"),
    ("Missing terms", "terms of the true equations that were not found, over all predictors"),
    ("Residual", "median part of the predictor's step that an equation leaves, root mean square"),
    ("Largest residual", "the same of the equation that leaves most"),
    ("Predictors", "one for each environment, seed and sample"),
]


@dataclass(frozen=True)
class EquationRow:
    """An equation of one environment in print."""

    environment: str
    split: str
    parameters: str
    distilled: str
    truth: str
    residual: str
    faithful: bool


@dataclass(frozen=True)
class AccuracyTable:
    """The methods of one split; columns are (heading, what it means)."""

    title: str
    columns: list[tuple[str, str]]
    rows: list[Row]


@dataclass(frozen=True)
class Explanation:
    """What the section shows: equations of one method, and how all distilled methods compare with the truth."""

    method: str
    equations: list[EquationRow]
    tables: list[AccuracyTable]
    figure: ReportFigure


def explain(results: StudyResults, arm: str | None) -> Explanation | None:
    """Lay out explanation.csv, or None where it was not computed.

    Args:
        results: of the study.
        arm: the method to single out; if it was not distilled, the first generator in the table, else the first method.
    """
    explanation = results.explanation
    if explanation is None:
        return None
    distilled = [str(name) for name in explanation["method"].unique()]
    generators = [name for name in distilled if method(name).family == "generator"]
    shown = next(name for name in (str(arm), *generators, *distilled) if name in distilled)
    coefficients = median_coefficients(explanation[explanation["method"] == shown])
    return Explanation(
        method=method(shown).label,
        equations=_equation_rows(coefficients, results),
        tables=_accuracy_tables(explanation),
        figure=_draw(shown, coefficients, results),
    )


def _draw(shown: str, coefficients: pd.DataFrame, results: StudyResults) -> ReportFigure:
    figure = plot_coefficients(coefficients, results.environments, results.parameters, method_colour(shown))
    against, ground = "the parameter that the coefficient should follow", "; grey ground is the range of the visible "
    ground += "environments"
    if not results.parameters:
        against, ground = f"the {ROW}: no parameters are known", ""
    return ReportFigure(
        "coefficients",
        f"Coefficients of the equations distilled from {method(shown).label} against "
        f"{', '.join(results.parameters) or ROW}. The tables below hold equations of a few environments.",
        f"Coefficients of the equations distilled from {method(shown).label}, a panel a term, against {against}. "
        f"Markers are medians over seeds and samples, bars standard deviations{ground}. A term that was not found lies "
        "at 0.",
        render(figure),
    )


def _equation_rows(coefficients: pd.DataFrame, results: StudyResults) -> list[EquationRow]:
    """The equations of a few unseen environments, evenly spread over the table; of visible ones if none is unseen."""
    environments = results.environments[results.environments["id"].isin(coefficients["environment"])]
    unseen = environments[environments["role"] != "visible"]
    rows = []
    for _, of_role in (environments if unseen.empty else unseen).groupby("role", sort=False):
        for _, environment in of_role.iloc[:: max(1, len(of_role) // SHOWN)].head(SHOWN).iterrows():
            here = coefficients[coefficients["environment"] == environment["id"]]
            for equation, terms in here.groupby("equation", sort=False):
                residual = float(terms["residual"].iloc[0])
                known = terms[terms["truth"].notna()]
                rows.append(
                    EquationRow(
                        environment=str(environment["id"]),
                        split=split_label(str(environment["role"])),
                        parameters=", ".join(f"{name} = {environment[name]:g}" for name in results.parameters)
                        or MISSING,
                        distilled=_equation(str(equation), terms, "coefficient"),
                        truth=MISSING if known.empty else _equation(str(equation), known, "truth"),
                        residual=_percent(residual),
                        faithful=residual <= FAITHFUL,
                    )
                )
    return rows


def _equation(name: str, terms: pd.DataFrame, column: str) -> str:
    """An equation in print, each coefficient with its spread where one is known."""
    printed = f"d{name}/dt ="
    present = terms[terms[column] != 0]
    for position, (_, row) in enumerate(present.iterrows()):
        value, spread = float(row[column]), float(row["spread"]) if column == "coefficient" else math.nan
        sign = "\N{MINUS SIGN}" if value < 0 else "+" if position else ""
        size = number(abs(value)) if math.isnan(spread) else f"({number(abs(value))} ± {spread:.1g})"
        factors = "" if row["term"] == CONSTANT else f" {printed_term(str(row['term']))}"
        printed += f" {sign}{' ' if sign and position else ''}{size}{factors}"
    return printed if len(present) else f"{printed} 0"


def _accuracy_tables(explanation: pd.DataFrame) -> list[AccuracyTable]:
    """A table a split, unseen ones first, the best method first."""
    compared = accuracy(explanation)
    splits = sorted(compared["split"].unique(), key=lambda split: (split == "visible", split_order(split)))
    tables = []
    for split in splits:
        rows = compared[compared["split"] == split].sort_values(["largest_error", "largest_residual"], kind="stable")
        printed = [Row(method(str(row["method"])), [], _cells(row)) for _, row in rows.iterrows()]
        tables.append(AccuracyTable(split_label(str(split)), _COLUMNS, printed))
    return tables


def _cells(row: pd.Series) -> list[Cell]:
    cells = [Cell(_percent(row[name]), float(row[name])) for name in ("largest_error", "median_error")]
    cells += [Cell(count(row[name]), float(row[name])) for name in ("false_terms", "missing_terms")]
    cells += [Cell(_percent(row[name]), float(row[name])) for name in ("median_residual", "largest_residual")]
    return [*cells, Cell(count(row["predictors"]), float(row["predictors"]))]


def _percent(value: float) -> str:
    return number(value) if not math.isfinite(value) else f"{number(100 * value)} %"
