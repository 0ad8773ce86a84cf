"""Rows of a table: a place, a time, a value for each channel. Tidy and wide tables, and files of a place each."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.records.cell_numbers import Decimal, is_missing, is_number, numbers_of, recognised_decimal
from weightcast.records.cell_times import (
    PARTS,
    STEP_NAMES,
    TIME_NAMES,
    Times,
    dated_steps,
    look_like_dates,
    times_of,
    times_of_parts,
)
from weightcast.records.cells import Cells
from weightcast.records.files import stem_of
from weightcast.records.settings import RecordSettings

LOOKED_AT = 100
"""Cells of a column by which it is told whether it holds dates."""
_UNIT = re.compile(r"(.+?)\s*[\[(]\s*([^\])]*?)\s*[\])]")


@dataclass(frozen=True, eq=False)
class Rows:
    """All rows of a table, from whatever format.

    Attributes:
        names: of the places, as they stand in the table.
        places: int64 [row]; number of the row's place.
        times: of each row.
        values: float64 [row, channel]; NaN where a value is missing.
        parameters: float64 [row, parameter]; of those that the settings name, in their order.
        units: unit of a channel, by name, where the table says it.
        where: says where a row stands, for messages.
        notes: what was recognised and is not plain.
    """

    names: tuple[str, ...]
    places: NDArray[np.int64]
    times: Times
    values: NDArray[np.float64]
    parameters: NDArray[np.float64]
    units: dict[str, str]
    where: Callable[[int], str]
    notes: tuple[str, ...] = ()


def split_unit(column: str) -> tuple[str, str]:
    """The name of a quantity, and its unit, of a column as ``T (degC)`` or ``T [degC]``; no unit is empty text."""
    found = _UNIT.fullmatch(column)
    return (found[1], found[2]) if found is not None else (column, "")


def find_column(cells: Cells, channel: str, option: str) -> int:
    """The column of a quantity: of that very name, or of that name and a unit.

    Raises:
        InputError: there is none, or there are several.
    """
    header = cells.header or ()
    if channel not in header:
        alike = [name for name in header if split_unit(name)[0] == channel]
        if len(alike) > 1:
            raise InputError(f"{cells.file}: found the columns {listed(alike)} for {channel!r}, expected one")
        if alike:
            return header.index(alike[0])
    return cells.position(channel, option)


def rows_of(tables: Sequence[Cells], settings: RecordSettings, channels: Sequence[str]) -> Rows:
    """Rows of the files of a table.

    Args:
        tables: cells of each file.
        settings: how they are read.
        channels: names of the quantities that are forecast; of a wide table one, which its header does not have.

    Raises:
        InputError: a column is missing or a cell cannot be used; the message names file, row and column.
    """
    if settings.layout == "wide":
        if len(tables) != 1:
            raise InputError(f"{tables[1].file}: found {len(tables)} wide tables, expected one")
        return _wide(tables[0], settings, channels)
    if settings.layout == "tidy" and settings.environment is None:
        raise InputError(f"{tables[0].file}: found no column of places, expected data.settings.environment to name it")
    return together([_tidy(cells, settings, channels) for cells in tables], [str(cells.file) for cells in tables])


def together(parts: Sequence[Rows], files: Sequence[str]) -> Rows:
    """Rows of several files, one after the other; places are the same where their names are.

    Args:
        parts: of each file.
        files: their names, for messages.

    Raises:
        InputError: times are of different kinds, or a quantity has different units.
    """
    if len(parts) == 1:
        return parts[0]
    dates = [part.times.dates for part in parts]
    for part, own in zip(parts, dates, strict=True):
        if own != dates[0]:
            raise InputError(f"{part.where(0)}: found times of another kind than in {files[0]}, expected the same")
    names = tuple(dict.fromkeys(name for part in parts for name in part.names))
    number = {name: position for position, name in enumerate(names)}
    begins = np.cumsum([0, *(len(part.places) for part in parts)])

    def where(row: int) -> str:
        part = int(np.searchsorted(begins, row, side="right")) - 1
        return parts[part].where(row - int(begins[part]))

    units: dict[str, str] = {}
    for part in parts:
        for channel, unit in part.units.items():
            if units.setdefault(channel, unit) != unit:
                raise InputError(
                    f"{part.where(0)}: found {channel} in {unit!r}, expected {units[channel]!r} as in {files[0]}"
                )
    return Rows(
        names,
        np.concatenate([np.array([number[name] for name in part.names])[part.places] for part in parts]),
        Times(np.concatenate([part.times.values for part in parts]), dates[0]),
        np.concatenate([part.values for part in parts]),
        np.concatenate([part.parameters for part in parts]),
        units,
        where,
        tuple(dict.fromkeys(note for part in parts for note in (*part.notes, *part.times.notes))),
    )


def _tidy(cells: Cells, settings: RecordSettings, channels: Sequence[str]) -> Rows:
    """Of one file, whose rows are a place at a time each."""
    count = len(cells.rows)
    names: tuple[str, ...]
    if settings.environment is None:
        places, names = np.zeros(count, np.int64), (stem_of(cells.file),)
    else:
        position = cells.position(settings.environment, "--environment")
        of_rows = cells.column(position)
        if "" in of_rows:
            raise InputError(
                f"{cells.where(of_rows.index(''), settings.environment)}: found no place, expected one in every row"
            )
        names = tuple(dict.fromkeys(of_rows))
        number = {name: place for place, name in enumerate(names)}
        places = np.array([number[name] for name in of_rows])
    columns = settings.columns or list(channels)
    positions = [find_column(cells, column, "--state") for column in columns]
    header = cells.header or ()
    read = _number_reader(
        cells, [*positions, *(cells.position(name, "--parameters") for name in settings.parameters.values())], settings
    )
    values = np.stack([read(position) for position in positions], axis=1)
    parameters = [read(header.index(column)) for column in settings.parameters.values()]
    units = {
        channel: unit
        for channel, position in zip(channels, positions, strict=True)
        if (unit := split_unit(header[position])[1])
    }
    return Rows(
        names,
        places,
        row_times(cells, settings),
        values,
        np.stack(parameters, axis=1) if parameters else np.empty((count, 0)),
        units,
        lambda row: f"{cells.file}: row {cells.numbers[row]}",
        cells.notes,
    )


def _wide(cells: Cells, settings: RecordSettings, channels: Sequence[str]) -> Rows:
    """Of a table with a column for each place, of one quantity."""
    if len(channels) != 1:
        raise InputError(f"{cells.file}: found a column a place, expected one channel, not {listed(channels)}")
    count = len(cells.rows)
    header = cells.header or tuple(f"place-{number}" for number in range(cells.width))
    times = row_times(cells, settings) if settings.time else dated_steps(count, settings, str(cells.file))
    candidates = [position for position, name in enumerate(header) if name not in settings.time]
    marks = _marks(settings)
    chosen = [
        position for position in candidates if header[position] and _numeric(cells, position, settings.decimal, marks)
    ]
    notes = list(cells.notes)
    if unused := [header[position] or f"number {position + 1}" for position in candidates if position not in chosen]:
        notes.append(f"columns that hold no numbers are no places: {listed(unused)}")
    if not chosen:
        raise InputError(
            f"{cells.file}: found no column of numbers, expected one for each place, or --environment COLUMN"
        )
    if cells.header is None:
        notes.append(f"{cells.file}: no header: places are called place-0, place-1, ..., by their columns")
    if not settings.time:
        from_date = "" if settings.begins is None else f", a {settings.every} each from {settings.begins} on"
        notes.append(f"{cells.file}: no column of times: rows are taken as even steps, in their order{from_date}")
    read = _number_reader(cells, chosen, settings)
    values = np.stack([read(position) for position in chosen], axis=1)  # [time, place]
    width = len(chosen)
    return Rows(
        tuple(header[position] for position in chosen),
        np.tile(np.arange(width), count),
        Times(np.repeat(times.values, width), times.dates, times.notes),
        values.reshape(-1, 1),
        np.empty((count * width, 0)),
        {},
        lambda row: f"{cells.file}: row {cells.numbers[row // width]}, column {header[chosen[row % width]]}",
        (*notes, *times.notes),
    )


def time_columns(cells: Cells) -> list[str]:
    """The columns that hold times by their names: one of whole times, or year with month, day, hour; else none."""
    header = cells.header or ()
    lower = [name.lower() for name in header]
    for names in (TIME_NAMES, STEP_NAMES):
        if found := [header[lower.index(name)] for name in names if name in lower]:
            return found[:1]
    if "year" in lower:
        return [header[lower.index(name)] for name in PARTS if name in lower]
    if found := [name for name in header if name.lower() in ("week", "day", "month", "hour")]:
        return found[:1]
    # Of another language, or of one's own: the one column that holds dates.
    dated = [name for position, name in enumerate(header) if look_like_dates(cells.column(position)[:LOOKED_AT])]
    return dated if len(dated) == 1 else []


def row_times(cells: Cells, settings: RecordSettings) -> Times:
    """The times of all rows, from the columns that the settings name.

    Raises:
        InputError: there are none, or a cell is no time.
    """
    if not settings.time:
        raise InputError(f"{cells.file}: found no column of times, expected data.settings.time to name it (--time)")
    positions = [cells.position(name, "--time") for name in settings.time]
    if len(positions) == 1:
        (name,) = settings.time
        return times_of(cells.column(positions[0]), settings.dates, lambda row: cells.where(row, name))
    named = {part: name for name in settings.time for part in PARTS if name.lower() in (part, f"{part}s")}
    if "year" not in named or len(named) != len(settings.time):
        raise InputError(
            f"{cells.file}: found {listed(settings.time)} as columns of times, expected one, or several called "
            f"{listed(PARTS)}, year among them"
        )
    columns = {part: cells.column(cells.position(name, "--time")) for part, name in named.items()}
    return times_of_parts(columns, lambda row, part: cells.where(row, named[part]))


def _number_reader(
    cells: Cells, positions: Sequence[int], settings: RecordSettings
) -> Callable[[int], NDArray[np.float64]]:
    """Reads columns of numbers, all with the same mark of decimals."""
    columns = {position: cells.column(position) for position in positions}
    names = {position: cells.header[position] if cells.header else f"number {position + 1}" for position in positions}
    order = list(positions)
    decimal = settings.decimal or recognised_decimal(
        [columns[position] for position in order], lambda column, row: cells.where(row, names[order[column]])
    )
    marks = _marks(settings)
    return lambda position: numbers_of(columns[position], decimal, marks, lambda row: cells.where(row, names[position]))


def _marks(settings: RecordSettings) -> frozenset[str]:
    return frozenset(mark.lower() for mark in settings.missing or ())


def _numeric(cells: Cells, position: int, decimal: Decimal | None, marks: frozenset[str]) -> bool:
    """Whether a column is meant as numbers: more than half of its cells that are not missing are."""
    there = [cell for cell in cells.column(position) if not is_missing(cell, marks)]
    return bool(there) and sum(is_number(cell, decimal) for cell in there) > 0.5 * len(there)
