"""Samples in a CSV table: a row each, a column of times, the others dimensions."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weightcast.core.config.settings import Settings
from weightcast.core.errors import InputError
from weightcast.samples import checks
from weightcast.samples.record import TimedSamples
from weightcast.samples.rows import group_rows
from weightcast.samples.time_column import choose_time_column, times_of_labels

FIRST_LINE = 2  # of the rows: the header is line 1


class TableSettings(Settings):
    time_column: str | None = None
    """Name of the column of times; None: the one whose name says so."""


def read_table(path: Path, settings: Mapping[str, Any], dimensions: Sequence[str] | None) -> TimedSamples:
    """Read a CSV table with a header. Rows may come in any order; empty lines do not count.

    Args:
        path: the file, UTF-8, separated by commas.
        settings: see :class:`TableSettings`.
        dimensions: columns to use, in this order; None: every column of numbers besides the times.

    Raises:
        InputError: the file cannot be read, a column is missing, or a cell is not a finite number; the message names
            line and column.
    """
    chosen = checks.read_settings(TableSettings, settings, path)
    header, rows = read_cells(path)
    time_column = choose_time_column(path, [name for name in header if name], chosen.time_column)
    times = read_times(path, time_column, rows[header.index(time_column)])
    if dimensions is None:
        names, notes = _numeric_columns(header, rows, time_column)
        if not names:
            raise InputError(f"{path}: found no column of numbers besides {time_column}, expected one or more")
    else:
        names, notes = list(dimensions), []
        for name in names:
            if name not in header or name == time_column:
                known = [column for column in header if column and column != time_column]
                raise InputError(f"{path}: found no column {name!r}, expected one of {checks.listed(known)}")
    values = np.stack([read_numbers(path, name, rows[header.index(name)]) for name in names], axis=1)
    found, samples = group_rows(times, values)
    return TimedSamples(found, samples, tuple(names), False, {"time_column": time_column}, notes=tuple(notes))


def read_cells(path: Path) -> tuple[list[str], pd.DataFrame]:
    """The header, and a column of cells for each of its names, by number; the index counts lines from the second."""
    expected = "a CSV table with a header, separated by commas"
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("error", pd.errors.ParserWarning)  # given where cells beyond the header are dropped
            first = pd.read_csv(
                path, header=None, nrows=1, dtype=str, keep_default_na=False, encoding="utf-8-sig", index_col=False
            )
            rows = pd.read_csv(
                path,
                header=None,
                skiprows=1,
                names=range(first.shape[1]),
                index_col=False,
                skip_blank_lines=False,  # so that rows keep count of lines
                low_memory=False,
                encoding="utf-8-sig",
            )
    except UnicodeDecodeError:
        raise InputError(f"{path}: found bytes that are not UTF-8, expected {expected}") from None
    except pd.errors.ParserWarning:
        raise InputError(f"{path}: found rows with more cells than the header, expected {expected}") from None
    except (OSError, ValueError) as error:  # what pandas raises for broken CSV is a ValueError
        raise checks.unreadable(path, error, expected) from None
    header = [str(name).strip() for name in first.iloc[0]]
    for position, name in enumerate(header):
        if name and name in header[:position]:
            raise InputError(f"{path}: line 1: found column {name!r} twice, expected every column once")
    rows = rows.dropna(how="all")
    if rows.empty:
        raise InputError(f"{path}: found no row under the header, expected a row for each sample")
    return header, rows


def _numeric_columns(header: list[str], rows: pd.DataFrame, time_column: str) -> tuple[list[str], list[str]]:
    """Columns that are dimensions, and notes on those that are not.

    A column of numbers with a few other cells is taken for a dimension: reading it then says which cells are wrong.
    """
    names: list[str] = []
    text: list[str] = []
    nameless = 0
    for number, name in enumerate(header):
        if not name or name.lower().startswith("unnamed:"):
            nameless += 1
        elif name != time_column:
            numeric = np.isfinite(_coerced(rows[number])).mean() > 0.5
            (names if numeric else text).append(name)
    notes = []
    if nameless:
        notes.append(f"{nameless} column{'s' * (nameless > 1)} without a name (an index?) not used")
    if text:
        notes.append(f"columns that are not numbers are not used: {checks.listed(text)}")
    return names, notes


def _coerced(column: pd.Series) -> NDArray[np.float64]:
    """Cells as numbers, NaN where they are none; True and False are none."""
    if pd.api.types.is_bool_dtype(column):
        return np.full(len(column), np.nan)
    return pd.to_numeric(column, errors="coerce").to_numpy(np.float64)


def read_numbers(path: Path, name: str, column: pd.Series) -> NDArray[np.float64]:
    """A column of finite numbers, [row].

    Raises:
        InputError: a cell is not one; the message names its line.
    """
    numbers = _coerced(column)
    _check_cells(path, name, column, numbers)
    return numbers


def read_times(path: Path, name: str, column: pd.Series) -> NDArray[np.float64]:
    """A column of times, [row]: numbers, or labels that each hold one.

    Raises:
        InputError: a cell is not one; the message names its line.
    """
    numbers = _coerced(column)
    if np.isnan(numbers).any() and not column.isna().any():
        labels = column.astype(str)
        times = times_of_labels(labels.unique())
        if times is not None:
            numbers = labels.map(times).to_numpy(np.float64)
    _check_cells(path, name, column, numbers)
    return numbers


def _check_cells(path: Path, name: str, column: pd.Series, numbers: NDArray[np.float64]) -> None:
    wrong = np.flatnonzero(~np.isfinite(numbers))
    if wrong.size:
        cell, line = column.iloc[wrong[0]], int(column.index[wrong[0]]) + FIRST_LINE
        found = "no value" if pd.isna(cell) else str(cell) if isinstance(cell, float) else repr(str(cell))
        raise InputError(f"{path}: line {line}, column {name}: found {found}, expected a finite number")
