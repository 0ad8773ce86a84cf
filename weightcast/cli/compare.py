"""``weightcast compare``: methods of several finished studies side by side."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from fnmatch import fnmatchcase
from pathlib import Path

import pandas as pd

from weightcast.core.errors import InputError
from weightcast.core.report.number_formats import MISSING, interval, number
from weightcast.core.tables import read_summary

SUMMARY = "summary.csv"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("results", nargs="+", type=Path, metavar="DIR", help="results/<study>, finished")
    parser.add_argument("--split", help="of the environments or times; default: every one")
    parser.add_argument("--metrics", type=_names, metavar="A,B", help="default: all")
    parser.add_argument(
        "--methods", type=_names, metavar="A,B", help="patterns as generator-* or flow-*; default: all methods"
    )
    parser.add_argument("--csv", action="store_true", help="the rows as they stand in summary.csv, with their study")


def run(arguments: argparse.Namespace) -> None:
    rows = gather(arguments.results, arguments.split, arguments.metrics, arguments.methods)
    print(rows.to_csv(index=False) if arguments.csv else as_markdown(rows), end="")


def gather(
    folders: Sequence[Path],
    split: str | None = None,
    metrics: Sequence[str] | None = None,
    methods: Sequence[str] | None = None,
) -> pd.DataFrame:
    """Rows of the summaries of several studies, as they stand there, with a column ``study`` in front.

    Args:
        folders: with summary.csv, of one study each.
        split: None for all.
        metrics: None for all.
        methods: patterns of names; None for all.

    Raises:
        InputError: a summary is missing or broken, or a name that is asked for is in none of them.
    """
    tables = []
    for folder in folders:
        table = read_summary(folder / SUMMARY)
        table.insert(0, "study", folder.resolve().name)
        tables.append(table)
    rows = pd.concat(tables, ignore_index=True)
    if split is not None:
        rows = _chosen(rows, "split", [split])
    if metrics is not None:
        rows = _chosen(rows, "metric", metrics)
    if methods is not None:
        rows = _chosen(rows, "method", methods)
    return rows


def as_markdown(rows: pd.DataFrame) -> str:
    """A table for each split: a row for each method of each study, a column for each metric, median and interval."""
    parts = []
    for split, part in rows.groupby("split", sort=False):
        metrics = list(dict.fromkeys(part["metric"]))
        lines = [
            f"{split}\n",
            f"| study | method | {' | '.join(metrics)} |",
            f"|---|---|{'---|' * len(metrics)}",
        ]
        for (study, method), own in part.groupby(["study", "method"], sort=False):
            found = own.set_index("metric")
            cells = [
                f"{number(found.at[name, 'median'])} {interval(found.at[name, 'ci_low'], found.at[name, 'ci_high'])}"
                if name in found.index
                else MISSING
                for name in metrics
            ]
            lines.append(f"| {study} | {method} | {' | '.join(cells)} |")
        parts.append("\n".join(lines) + "\n")
    return "\n".join(parts)


def _chosen(rows: pd.DataFrame, column: str, patterns: Sequence[str]) -> pd.DataFrame:
    """Rows whose value fits a pattern, in the order of the patterns within a study."""
    known = list(dict.fromkeys(rows[column]))
    for pattern in patterns:
        if not any(fnmatchcase(value, pattern) for value in known):
            raise InputError(f"--{column}: found {pattern!r}, expected some of {', '.join(known)}")
    first = {
        value: min((place for place, pattern in enumerate(patterns) if fnmatchcase(value, pattern)), default=None)
        for value in known
    }
    kept = rows[rows[column].map(lambda value: first[value] is not None)]
    studies = {study: place for place, study in enumerate(dict.fromkeys(rows["study"]))}
    order = pd.DataFrame({"study": kept["study"].map(studies), "place": kept[column].map(first)})
    return kept.loc[order.sort_values(["study", "place"], kind="stable").index]


def _names(text: str) -> list[str]:
    return [name.strip() for name in text.split(",") if name.strip()]
