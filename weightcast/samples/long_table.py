"""One CSV table of the samples of many environments: a row for each sample, with its environment and its time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weightcast.core.config.settings import Settings
from weightcast.core.errors import InputError
from weightcast.samples import checks
from weightcast.samples.cells import Separator, read_cells, recognised_separator
from weightcast.samples.record import TimedSamples
from weightcast.samples.rows import group_rows
from weightcast.samples.table import FIRST_LINE, read_numbers, read_times
from weightcast.samples.time_column import choose_time_column


class LongTableSettings(Settings):
    time_column: str | None = None
    """Name of the column of times; None: the one whose name says so."""
    separator: Separator | None = None
    """Between cells: comma, semicolon or tab; None: what splits the first lines evenly."""
    time_labels: dict[str, float] | None = None
    """The time of each label in the column of times, where labels do not say it."""
    environment_column: str = "environment"
    """Name of the column of ids, which are those of the table of environments."""


def read_long_table(path: Path, settings: Mapping[str, Any], dimensions: Sequence[str]) -> dict[str, TimedSamples]:
    """Read a CSV table with a header. Rows may come in any order; empty lines do not count.

    Args:
        path: the file, UTF-8, separated by commas, semicolons or tabs, compressed by gzip or not.
        settings: see :class:`LongTableSettings`.
        dimensions: columns to use, in this order.

    Returns:
        the samples of each environment by id, in the order of the file; each has the times that its rows have.

    Raises:
        InputError: the file cannot be read, a column is missing, or a cell is not what its column holds; the message
            names line and column.
    """
    checks.check_file(path)
    chosen = checks.read_settings(LongTableSettings, settings, path)
    separator = chosen.separator or recognised_separator(path)
    header, rows = read_cells(path, separator)
    time_column = choose_time_column(path, [name for name in header if name], chosen.time_column)
    for name in (chosen.environment_column, *dimensions):
        if name not in header or name == time_column:
            known = [column for column in header if column and column != time_column]
            raise InputError(f"{path}: found no column {name!r}, expected one of {checks.listed(known)}")
    ids = _ids(path, chosen.environment_column, separator, rows.index)
    times, _ = read_times(path, time_column, rows[header.index(time_column)], chosen.time_labels)
    values = np.stack([read_numbers(path, name, rows[header.index(name)]) for name in dimensions], axis=1)
    found = {}
    for id in dict.fromkeys(ids):
        own = ids == id
        own_times, samples = group_rows(times[own], values[own])
        found[str(id)] = TimedSamples(own_times, samples, tuple(dimensions), False, chosen.model_dump())
    return found


def _ids(path: Path, column: str, separator: Separator, lines: pd.Index) -> NDArray[np.str_]:
    """The column of ids as text, so that ``007`` keeps its zeros: [row]."""
    header, rows = read_cells(path, separator, as_text=True)
    ids = rows[header.index(column)].loc[lines].str.strip()
    empty = np.flatnonzero((ids == "").to_numpy())
    if empty.size:
        line = int(ids.index[empty[0]]) + FIRST_LINE
        raise InputError(f"{path}: line {line}, column {column}: found no value, expected the id of an environment")
    return ids.to_numpy()
