"""Samples in a CSV table: a row each, a column of times, the others dimensions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weightcast.core.config.settings import Settings
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.samples import checks
from weightcast.samples.cells import Separator, numbers_of, read_cells, recognised_separator
from weightcast.samples.masses import masses_of_rows
from weightcast.samples.metadata_columns import how_to_use, metadata_among, numbers_trajectories
from weightcast.samples.record import TimedSamples
from weightcast.samples.rows import group_rows
from weightcast.samples.time_column import choose_time_column
from weightcast.samples.time_labels import notes_on_labels, read_time_labels

FIRST_LINE = 2  # of the rows: the header is line 1


class TableSettings(Settings):
    time_column: str | None = None
    """Name of the column of times; None: the one whose name says so."""
    separator: Separator | None = None
    """Between cells: comma, semicolon or tab; None: what splits the first lines evenly."""
    trajectory_column: str | None = None
    """Column of the numbers of trajectories, each of which stands once at every time; whole trajectories are then held
    out. None: every row is a sample of its own."""
    condition: dict[str, str | float] | None = None
    """Only rows in which each of these columns has this value: one batch, say."""
    time_labels: dict[str, float] | None = None
    """The time of each label in the column of times, where labels do not say it."""
    mass_column: str | None = None
    """Column of the size of the population, the same in all rows of a time (``data.mass: column``)."""


def read_table(path: Path, settings: Mapping[str, Any], dimensions: Sequence[str] | None) -> TimedSamples:
    """Read a CSV table with a header. Rows may come in any order; empty lines do not count.

    Args:
        path: the file, UTF-8, separated by commas, semicolons or tabs, compressed by gzip or not.
        settings: see :class:`TableSettings`.
        dimensions: columns to use, in this order; None: every column of numbers besides the times that is not
            recognised as a label, an index or a total (:mod:`weightcast.samples.metadata_columns`).

    Raises:
        InputError: the file cannot be read, a column is missing, or a cell is not a finite number; the message names
            line and column.
    """
    chosen = checks.read_settings(TableSettings, settings, path)
    separator = chosen.separator or recognised_separator(path)
    header, rows = read_cells(path, separator)
    rows = fulfilling_rows(path, header, rows, chosen.condition or {})
    time_column = choose_time_column(path, [name for name in header if name], chosen.time_column)
    labels = rows[header.index(time_column)]
    times, said = read_times(path, time_column, labels, chosen.time_labels)
    notes = list(said)
    trajectory_column = chosen.trajectory_column
    masses = None
    if chosen.mass_column is not None:
        column = read_mass_column(path, header, rows, chosen.mass_column, time_column)
        masses = masses_of_rows(path, chosen.mass_column, times, column)
    if dimensions is None:
        names, text = numeric_columns(
            path, header, rows, {time_column, chosen.mass_column or time_column, *(chosen.condition or {})}
        )
        notes += text
        numbers = {name: read_numbers(path, name, rows[header.index(name)]) for name in names}
        metadata, trajectories = metadata_among(numbers, times)
        trajectory_column = trajectory_column or trajectories
        if len(metadata) == len(numbers):
            left = ", ".join(f"{name} ({why})" for name, why in metadata.items()) or "none"
            raise InputError(
                f"{path}: found no column of numbers besides {time_column} that is measured (left out: {left}), "
                "expected one or more, or their names by --dimensions (data.dimensions)"
            )
        notes += [f"column {name} is not used: {why} ({how_to_use(name, why)})" for name, why in metadata.items()]
        numbers = {name: values for name, values in numbers.items() if name not in metadata}
    else:
        for name in dimensions:
            if name not in header or name == time_column:
                known = listed([column for column in header if column and column != time_column])
                raise InputError(f"{path}: found no column {name!r}, expected one of {known}")
        numbers = {name: read_numbers(path, name, rows[header.index(name)]) for name in dimensions}
    values = np.stack(list(numbers.values()), axis=1)
    if trajectory_column is not None:
        times, values = in_order_of_trajectories(path, header, rows, trajectory_column, times, values)
    found, samples = group_rows(times, values)
    used: dict[str, Any] = {"time_column": time_column}
    if separator != "comma":
        used["separator"] = separator
    if trajectory_column is not None:
        used["trajectory_column"] = trajectory_column
    if chosen.condition:
        used["condition"] = chosen.condition
    if chosen.time_labels:
        used["time_labels"] = chosen.time_labels
    if chosen.mass_column:
        used["mass_column"] = chosen.mass_column
    return TimedSamples(
        found, samples, tuple(numbers), trajectory_column is not None, used, notes=tuple(notes), masses=masses
    )


def read_mass_column(
    path: Path, header: list[str], rows: pd.DataFrame, name: str, time_column: str
) -> NDArray[np.float64]:
    """Sizes of populations as a column has them [row].

    Raises:
        InputError: there is no such column, or a cell is not a number.
    """
    if name not in header or name == time_column:
        others = listed([other for other in header if other and other != time_column])
        raise InputError(f"{path}: data.settings.mass_column: found no column {name!r}, expected one of {others}")
    return read_numbers(path, name, rows[header.index(name)])


def fulfilling_rows(
    path: Path, header: list[str], rows: pd.DataFrame, condition: Mapping[str, str | float]
) -> pd.DataFrame:
    """The rows in which columns have the values wanted.

    Raises:
        InputError: there is no such column, or no such row.
    """
    for name, wanted in condition.items():
        if name not in header:
            known = listed([column for column in header if column])
            raise InputError(f"{path}: data.settings.condition: found no column {name!r}, expected one of {known}")
        column = rows[header.index(name)]
        same = column == wanted if pd.api.types.is_numeric_dtype(column) else column.astype(str) == str(wanted)
        if not same.any():
            there = listed(sorted(map(str, column.dropna().unique())))
            raise InputError(
                f"{path}: data.settings.condition: found no row with {name} {wanted}, expected one of {there}"
            )
        rows = rows[same]
    return rows


def numeric_columns(path: Path, header: list[str], rows: pd.DataFrame, others: set[str]) -> tuple[list[str], list[str]]:
    """Columns of numbers, and notes on those that are none.

    A column of numbers with a few other cells is taken for one: reading it then says which cells are wrong.
    """
    names: list[str] = []
    text: list[str] = []
    nameless = 0
    for number, name in enumerate(header):
        if not name or name.lower().startswith("unnamed:"):
            nameless += 1
        elif name not in others:
            numeric = np.isfinite(numbers_of(path, name, rows[number])).mean() > 0.5
            (names if numeric else text).append(name)
    notes = []
    if nameless:
        notes.append(f"{nameless} column{'s' * (nameless > 1)} without a name (an index?) not used")
    if text:
        notes.append(f"columns that are not numbers are not used: {listed(text)}")
    if not names:
        raise InputError(
            f"{path}: found no column of numbers besides {', '.join(sorted(others))}, expected one or more"
        )
    return names, notes


def read_numbers(path: Path, name: str, column: pd.Series) -> NDArray[np.float64]:
    """A column of finite numbers, [row].

    Raises:
        InputError: a cell is not one; the message names its line.
    """
    numbers = numbers_of(path, name, column)
    _check_cells(path, name, column, numbers)
    return numbers


def read_times(
    path: Path, name: str, column: pd.Series, given: Mapping[str, float] | None
) -> tuple[NDArray[np.float64], list[str]]:
    """A column of times, [row]: numbers, or labels that say one; and notes on what labels were taken for.

    Raises:
        InputError: a cell is not one; the message names its line.
    """
    numbers = numbers_of(path, name, column)
    notes: list[str] = []
    if given is not None or (np.isnan(numbers).any() and not column.isna().any()):
        _check_cells(path, name, column, np.where(column.isna(), np.nan, 0.0))
        labels = column.astype(str).str.strip()
        times = read_time_labels(path, f"column {name}", sorted(labels.unique()), given)
        notes = notes_on_labels(times)
        numbers = labels.map(times).to_numpy(np.float64)
    _check_cells(path, name, column, numbers)
    return numbers, notes


def in_order_of_trajectories(
    path: Path,
    header: list[str],
    rows: pd.DataFrame,
    column: str,
    times: NDArray[np.float64],
    values: NDArray[np.float64],
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Times [row] and values [row, dimension], such that the rows of each time are in the order of their trajectories.

    Raises:
        InputError: there is no such column, or a trajectory is missing at a time or stands there twice.
    """
    if column not in header:
        raise InputError(f"{path}: found no column {column!r} of trajectories, expected {listed(header)}")
    numbers = read_numbers(path, column, rows[header.index(column)])
    if not numbers_trajectories(numbers, times):
        raise InputError(
            f"{path}: column {column}: found numbers that differ between times, expected each trajectory once at every "
            "time (or data.settings.trajectory_column: null)"
        )
    order = np.lexsort((numbers, times))
    return times[order], values[order]


def _check_cells(path: Path, name: str, column: pd.Series, numbers: NDArray[np.float64]) -> None:
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if wrong.size:
        cell, line = column.iloc[wrong[0]], int(column.index[wrong[0]]) + FIRST_LINE
        found = "no value" if pd.isna(cell) else str(cell) if isinstance(cell, float) else repr(str(cell))
        raise InputError(f"{path}: line {line}, column {name}: found {found}, expected a finite number")
