"""The summary as tables for print: one a split, a row a method, best first."""

from __future__ import annotations

import math
from dataclasses import dataclass

import pandas as pd

from weightcast.core.methods import Method, method
from weightcast.core.plots.style import split_label
from weightcast.core.report.number_formats import MISSING, count, interval, number, p_value, seconds
from weightcast.core.report.verdict import best_of_family
from weightcast.core.significance import best_arm, split_order

_METRICS = (
    ("rmse", "RMSE", "median root mean square error over the field's standard deviation, with its 95 % interval"),
    ("rmse_2x", "RMSE, 2\N{MULTIPLICATION SIGN}", "the same at twice the trained horizon"),
    ("rmse_physical", "RMSE, physical", "in the units of the data"),
    ("nmse", "NMSE", "mean square error over the mean square of the truth"),
    ("ssim", "SSIM", "structural similarity at the horizon: 1 is perfect"),
    ("own_outputs", "Outputs", "what one step differs by from the environment's own expert's, over what that step is"),
    ("own_weights", "Weights", "distance in weights from the environment's own expert, by the spread of each layer"),
)


@dataclass(frozen=True)
class Cell:
    """A number in print and for sorting; NaN sorts last."""

    text: str
    value: float
    note: str = ""

    @property
    def sort_key(self) -> str:
        """The value as an attribute that a script can compare; empty where there is none."""
        return "" if math.isnan(self.value) else repr(self.value)


@dataclass(frozen=True)
class Row:
    """A method in a split: marks of distinction, and cells in the order of the columns."""

    method: Method
    marks: list[str]
    cells: list[Cell]


@dataclass(frozen=True)
class SplitTable:
    """The methods of one split; columns are (heading, what it means)."""

    split: str
    title: str
    environments: int
    columns: list[tuple[str, str]]
    rows: list[Row]


def summary_tables(summary: pd.DataFrame) -> list[SplitTable]:
    """Lay out a summary as `weightcast.core.significance.summarise` makes it; unseen splits first."""
    arm = best_arm(summary)
    splits = sorted(summary["split"].unique(), key=lambda split: (split == "visible", split_order(split)))
    return [_table(summary[summary["split"] == split], split, arm) for split in splits]


def _table(rows: pd.DataFrame, split: str, arm: str | None) -> SplitTable:
    metrics = [entry for entry in _METRICS if entry[0] in set(rows["metric"])]
    rmse = rows[rows["metric"] == "rmse"]
    best = best_of_family(rmse, "baseline")
    columns = [(heading, meaning) for _, heading, meaning in metrics]
    columns[1:1] = [("p", "of the paired test against the best baseline of this split, by RMSE")]
    columns += [
        ("Parameters", "numbers that must be kept to use the method"),
        ("Train, s", "seconds of training, with all that the method builds on"),
        ("Adapt, s", "seconds per new environment"),
    ]
    printed = []
    for name in rmse.sort_values("median", kind="stable")["method"]:
        of_method = rows[rows["method"] == name].set_index("metric")
        known = method(name)
        marks = ["best baseline"] if name == best else []
        marks += ["reference"] if known.family == "reference" else []
        marks += ["chosen arm"] if name == arm else []
        printed.append(Row(known, marks, _cells(of_method, metrics)))
    return SplitTable(split, split_label(split), int(rmse["n"].max()), columns, printed)


def _cells(of_method: pd.DataFrame, metrics: list[tuple[str, str, str]]) -> list[Cell]:
    """Cells of one method; ``of_method`` is indexed by metric."""
    cells = []
    for metric, _, _ in metrics:
        median = float(of_method["median"].get(metric, math.nan))
        ends = interval(of_method.loc[metric, "ci_low"], of_method.loc[metric, "ci_high"]) if metric == "rmse" else ""
        cells.append(Cell(number(median), median, ends))
    first = of_method.iloc[0]
    p = float(of_method.loc["rmse", "p_vs_best_baseline"])
    cells[1:1] = [Cell(MISSING if math.isnan(p) else p_value(p).removeprefix("= "), p)]
    cells += [
        Cell(count(first["parameters"]), float(first["parameters"])),
        Cell(seconds(first["train_seconds"]), float(first["train_seconds"])),
        Cell(seconds(first["adapt_seconds"]), float(first["adapt_seconds"])),
    ]
    return cells
