"""The tables of a study of environments across time: a table a split, a row a method."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from weightcast.core.methods import method
from weightcast.core.plots.style import split_label
from weightcast.core.report.number_formats import MISSING, count, interval, number, seconds
from weightcast.core.report.summary_tables import Cell, Row
from weightcast.core.significance import best_method, split_order

_METRICS = (
    ("wasserstein", "W", "exact 1-Wasserstein distance between samples, in the state's units"),
    ("nll", "NLL", "negative log-likelihood of held-out samples, in nats"),
    ("mean_error", "Mean", "relative error of the mean, average over dimensions"),
    ("tail_error", "Tail", "absolute error of the probability of exceeding the truth's 95 % quantile"),
    ("relative_mass_error", "Mass", "relative error of the size of the population, in that at the first time shown"),
    ("mean_coverage_90", "Mean held", "share of true means that 90 % bands hold; 0.9 is right"),
    ("tail_coverage_90", "Tail held", "share of true tail probabilities that 90 % bands hold; 0.9 is right"),
    ("mass_coverage_90", "Mass held", "share of true sizes of the population that 90 % bands hold; 0.9 is right"),
    ("mean_band_width", "Band", "width of the bands on means, over the standard deviation of all visible samples"),
)


@dataclass(frozen=True)
class FamilyTable:
    """A row a method; columns are (heading, what it means)."""

    title: str
    environments: int
    columns: list[tuple[str, str]]
    rows: list[Row]


def family_tables(summary: pd.DataFrame) -> list[FamilyTable]:
    """A table a split, best method first."""
    splits = sorted(summary["split"].unique(), key=split_order)
    return [_table(summary[summary["split"] == split], split) for split in splits]


def _table(rows: pd.DataFrame, split: str) -> FamilyTable:
    metrics = [entry for entry in _METRICS if entry[0] in set(rows["metric"])]
    distances = rows[rows["metric"] == "wasserstein"]
    medians = dict(zip(distances["method"], distances["median"], strict=True))
    best = best_method({name: each for name, each in medians.items() if method(name).family == "baseline"}, "rmse")
    columns = [(heading, meaning) for _, heading, meaning in metrics]
    columns += [
        ("Parameters", "numbers that must be kept to use the method"),
        ("Train, s", "seconds of training, with all that the method builds on"),
        ("Adapt, s", "seconds per new environment"),
    ]
    printed = []
    for name in distances.sort_values("median", kind="stable")["method"]:
        known = method(name)
        marks = ["best baseline"] if name == best else []
        marks += ["reference"] if known.family == "reference" else []
        printed.append(Row(known, marks, _cells(rows[rows["method"] == name].set_index("metric"), metrics)))
    return FamilyTable(split_label(split), int(distances["n"].max()), columns, printed)


def _cells(of_method: pd.DataFrame, metrics: list[tuple[str, str, str]]) -> list[Cell]:
    cells = []
    for metric, _, _ in metrics:
        if metric in of_method.index:
            row = of_method.loc[metric]
            cells.append(Cell(number(row["median"]), float(row["median"]), interval(row["ci_low"], row["ci_high"])))
        else:
            cells.append(Cell(MISSING, math.nan))
    first = of_method.iloc[0]
    return [
        *cells,
        Cell(count(first["parameters"]), float(first["parameters"])),
        Cell(seconds(first["train_seconds"]), float(first["train_seconds"])),
        Cell(seconds(first["adapt_seconds"]), float(first["adapt_seconds"])),
    ]
