"""One table of many environments: a row for each sample, with its environment and its time."""

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
from weightcast.samples.cells import Separator, read_cells, recognised_separator
from weightcast.samples.environment_labels import ids_of_labels
from weightcast.samples.masses import masses_of_rows
from weightcast.samples.metadata_columns import how_to_use, metadata_of_environments
from weightcast.samples.record import TimedSamples
from weightcast.samples.rows import group_rows
from weightcast.samples.table import (
    FIRST_LINE,
    fulfilling_rows,
    in_order_of_trajectories,
    numeric_columns,
    read_mass_column,
    read_numbers,
    read_times,
)
from weightcast.samples.time_column import choose_time_column


class LongTableSettings(Settings):
    time_column: str | None = None
    """Name of the column of times; None: the one whose name says so."""
    separator: Separator | None = None
    """Between cells: comma, semicolon or tab; None: what splits the first lines evenly."""
    trajectory_column: str | None = None
    """Column of the numbers of trajectories, each of which stands once at every time of its environment; whole
    trajectories are then held out. None: every row is a sample of its own."""
    condition: dict[str, str | float] | None = None
    """Only rows in which each of these columns has this value."""
    time_labels: dict[str, float] | None = None
    """The time of each label in the column of times, where labels do not say it."""
    mass_column: str | None = None
    """Column of the size of each environment's population, the same in all its rows of a time (``data.mass:
    column``)."""
    environment_column: str = "environment"
    """Name of the column of ids, which are those of the table of environments."""


def read_long_table(
    path: Path, settings: Mapping[str, Any], dimensions: Sequence[str] | None
) -> dict[str, TimedSamples]:
    """Read a CSV table with a header. Rows may come in any order; empty lines do not count.

    Args:
        path: the file, UTF-8, separated by commas, semicolons or tabs, compressed by gzip or not.
        settings: see :class:`LongTableSettings`.
        dimensions: columns to use, in this order; None: every column of numbers that is not recognised as a label, an
            index, a total or a number of an environment (:mod:`weightcast.samples.metadata_columns`).

    Returns:
        the samples of each environment by id, in the order of the file; each has the times that its rows have, and all
        have the notes of the table.

    Raises:
        InputError: the file cannot be read, a column is missing, or a cell is not what its column holds; the message
            names line and column.
    """
    checks.check_file(path)
    chosen = checks.read_settings(LongTableSettings, settings, path)
    separator = chosen.separator or recognised_separator(path)
    header, rows = read_cells(path, separator)
    rows = fulfilling_rows(path, header, rows, chosen.condition or {})
    time_column = choose_time_column(path, [name for name in header if name], chosen.time_column)
    for name in (chosen.environment_column, *(dimensions or ())):
        if name not in header or name == time_column:
            known = [column for column in header if column and column != time_column]
            raise InputError(f"{path}: found no column {name!r}, expected one of {listed(known)}")
    labels = column_as_text(path, chosen.environment_column, separator, rows.index)
    place = f"column {chosen.environment_column}"
    of_label, said = ids_of_labels(path, place, labels)
    ids = np.array([of_label[label] for label in labels])
    times, notes = read_times(path, time_column, rows[header.index(time_column)], chosen.time_labels)
    notes = [*said, *notes]
    trajectory_column = chosen.trajectory_column
    masses = None
    if chosen.mass_column is not None:
        masses = read_mass_column(path, header, rows, chosen.mass_column, time_column)
    if dimensions is None:
        others = {time_column, chosen.environment_column, *(chosen.condition or {})}
        others |= {chosen.mass_column} if chosen.mass_column else set()
        names, text = numeric_columns(path, header, rows, others)
        numbers = {name: read_numbers(path, name, rows[header.index(name)]) for name in names}
        metadata, trajectories = metadata_of_environments(numbers, times, ids)
        trajectory_column = trajectory_column or trajectories
        if len(metadata) == len(numbers):
            left = ", ".join(f"{name} ({why})" for name, why in metadata.items())
            raise InputError(
                f"{path}: found no column of numbers besides {', '.join(sorted(others))} that is measured (left out: "
                f"{left}), expected one or more, or their names by --dimensions (data.dimensions)"
            )
        notes += text
        notes += [f"column {name} is not used: {why} ({how_to_use(name, why)})" for name, why in metadata.items()]
        dimensions = [name for name in numbers if name not in metadata]
    values = np.stack([read_numbers(path, name, rows[header.index(name)]) for name in dimensions], axis=1)
    used = chosen.model_dump(exclude_none=True) | {"time_column": time_column}
    if separator != "comma":
        used["separator"] = separator
    if trajectory_column is not None:
        used["trajectory_column"] = trajectory_column
    found = {}
    for id in dict.fromkeys(ids):
        own = ids == id
        own_times, own_values = times[own], values[own]
        own_masses = None
        if masses is not None and chosen.mass_column is not None:
            own_masses = masses_of_rows(f"{path}: {id}", chosen.mass_column, own_times, masses[own])
        if trajectory_column is not None:
            own_times, own_values = in_order_of_trajectories(
                path, header, rows[own], trajectory_column, own_times, own_values
            )
        own_times, samples = group_rows(own_times, own_values)
        found[str(id)] = TimedSamples(
            own_times,
            samples,
            tuple(dimensions),
            trajectory_column is not None,
            used,
            notes=tuple(notes),
            masses=own_masses,
        )
    return found


def column_as_text(path: Path, column: str, separator: Separator, lines: pd.Index) -> NDArray[np.str_]:
    """A column of labels as text, so that ``007`` keeps its zeros: [row].

    Raises:
        InputError: a cell is empty; the message names its line.
    """
    header, rows = read_cells(path, separator, as_text=True)
    labels = rows[header.index(column)].loc[lines].str.strip()
    empty = np.flatnonzero((labels == "").to_numpy())
    if empty.size:
        line = int(labels.index[empty[0]]) + FIRST_LINE
        raise InputError(f"{path}: line {line}, column {column}: found no value, expected the id of an environment")
    return labels.to_numpy()
