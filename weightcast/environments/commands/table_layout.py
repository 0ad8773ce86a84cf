"""How a long table is meant: which column says the place, which the time, and which quantities are forecast."""

from __future__ import annotations

import argparse
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from weightcast.core.categories import is_label
from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.core.place_names import place_id
from weightcast.environments.commands.known_places import NO_PARAMETERS, columns_of_places
from weightcast.environments.config.data import TAKEN, Known
from weightcast.records.cell_numbers import is_missing, is_number
from weightcast.records.cells import Cells
from weightcast.records.files import NETCDF, suffix_of, table_files
from weightcast.records.place_texts import constant_texts
from weightcast.records.read import read_cells
from weightcast.records.rows import split_unit, time_columns
from weightcast.records.settings import RecordSettings
from weightcast.records.station_layout import StationLayout, is_one_place
from weightcast.records.station_netcdf import numbers_of_places, open_stations, text_variables

WIDE_CHANNEL = "value"
LOOKED_AT = 2000
"""Rows by which it is told whether a column holds numbers."""
NOT_A_SIDE = "value"
"""Behind the names of columns that are called as dimensions are: x, of what somebody measures."""
NO_MARK = "none"
"""What is given for marks of missing values where there are none, and numbers that look like one are numbers."""


@dataclass(frozen=True)
class TableLayout:
    """A table as it is to be read.

    Attributes:
        paths: its files.
        settings: how they are read, without the parts.
        channels: names of what is forecast.
        inputs: names of what is known beside it, and until when.
        unused: columns of numbers that are not used.
        categories: columns of text that are asked for as parameters.
        texts: further ones that may say a word of each place, where nothing is asked for.
    """

    paths: tuple[Path, ...]
    settings: RecordSettings
    channels: tuple[str, ...]
    inputs: dict[str, Known]
    unused: tuple[str, ...]
    categories: tuple[str, ...] = ()
    texts: tuple[str, ...] = ()

    @property
    def columns(self) -> dict[str, str]:
        """Channels, by their own names and by those of their columns."""
        own = self.settings.columns or self.channels
        pairs = dict(zip(own, self.channels, strict=False))  # behind the channels are columns of inputs
        return (
            pairs
            | {split_unit(column)[0]: channel for column, channel in pairs.items()}
            | {channel: channel for channel in self.channels}
        )

    @property
    def read(self) -> tuple[str, ...]:
        """Names of all quantities that are read."""
        return (*self.channels, *self.inputs)


def table_layout(arguments: argparse.Namespace) -> TableLayout:
    """What options say, and for the rest what the first file looks like.

    Raises:
        InputError: the file cannot be read, a column is missing, or it cannot be told what is meant.
    """
    paths = tuple(table_files(arguments.data))
    marks = arguments.missing
    settings = RecordSettings(
        environment=arguments.environment,
        time=arguments.time or [],
        separator=arguments.separator,
        decimal=arguments.decimal,
        encoding=arguments.encoding,
        dates=arguments.dates,
        begins=arguments.begins,
        every=arguments.every,
        missing=None if marks is None else [mark for mark in marks if mark != NO_MARK],
        left_out=[place_id(name) or name for name in arguments.leave_out or []],
    )
    if suffix_of(paths[0]) in NETCDF:
        _refuse_begins(paths, settings)
        return _of_stations(paths, settings, arguments)
    cells = read_cells(paths[0], settings)
    if not settings.time:
        settings = settings.model_copy(update={"time": time_columns(cells)})
    given = [state for state in arguments.state or () if cells.header and _is_column(cells, state)]
    if settings.environment is None and (not arguments.state or (len(paths) == 1 and not given)):
        return _wide(paths, cells, settings, arguments)
    _refuse_begins(paths, settings)
    if not settings.time:
        raise InputError(
            f"{paths[0]}: found no column of times by its name among {listed(cells.header or ())}, expected --time to "
            "name it"
        )
    if settings.environment is None:
        if len(paths) == 1:
            raise InputError(
                f"{paths[0]}: found the columns {listed(given)} and no --environment, expected it to name the column "
                f"that says which place a row is of: one of {listed(_text_columns(cells) or cells.header or ())}"
            )
        settings = settings.model_copy(update={"layout": "file-each"})
    else:
        cells.position(settings.environment, "--environment")
    _refuse_quantities_in_rows(cells, settings, arguments.state or ())
    numeric = [cells.header[position] for position in _numeric_columns(cells)] if cells.header else []
    inputs = given_inputs(arguments)
    parameters = _of_records(arguments)
    taken = {settings.environment, *settings.time, *parameters}
    free = [name for name in numeric if name not in taken]
    if not arguments.state:
        raise InputError(f"{paths[0]}: found no --state, expected what is forecast: some of {listed(free)}")
    columns = [_column_of(cells, state, "--state") for state in arguments.state]
    of_inputs = {_column_of(cells, name, "--inputs"): known for name, known in inputs.items()}
    for name in (*columns, *of_inputs):
        if name in taken:
            option = "--state" if name in columns else "--inputs"
            raise InputError(f"{paths[0]}: column {name}: found it as {option} beside another use, expected one use")
    unused = [name for name in free if name not in (*columns, *of_inputs)]
    of_text = [name for name in _text_columns(cells) if name not in (settings.environment, *settings.time)]
    labels = [name for name in parameters if name in of_text or is_label(name)]
    texts = [] if arguments.parameters else constant_texts(cells, settings, _own(arguments, of_text))
    return _with_columns(paths, settings, arguments, columns, of_inputs, unused, labels, texts)


def _refuse_quantities_in_rows(cells: Cells, settings: RecordSettings, states: Sequence[str]) -> None:
    """Raise an `InputError` where a row is one quantity of a place at a time, and a column says which."""
    header = list(cells.header or ())
    key = [header.index(name) for name in (settings.environment, *settings.time) if name in header]
    rows = cells.rows[:LOOKED_AT]
    if len(key) < 1 + len(settings.time):
        return  # whoever reads the table says which column it lacks
    if len({tuple(row[position] for position in key) for row in rows}) == len(rows):
        return
    for name in _text_columns(cells):
        position = header.index(name)
        if position in key:
            continue
        words = list(dict.fromkeys(row[position] for row in rows))
        apart = len({tuple(row[one] for one in (*key, position)) for row in rows}) == len(rows)
        if apart and len(words) > 1 and (len(words) * 2 <= len(rows) or set(states) & set(words)):
            index = ", ".join(repr(header[one]) for one in key)
            raise InputError(
                f"{cells.file}, column {name}: found rows of one place and time that differ in it ({listed(words)}), "
                f"expected a column for each of these; pandas makes them: table.pivot(index=[{index}], "
                f"columns={name!r}, values=...).reset_index()"
            )


def _of_records(arguments: argparse.Namespace) -> list[str]:
    """Columns that are asked for as parameters and are not in a table of places, and so of the records."""
    given = arguments.parameters
    return [] if given in (None, NO_PARAMETERS) else _own(arguments, given)


def _own(arguments: argparse.Namespace, names: Sequence[str]) -> list[str]:
    """Names without those of columns of a table of places, which has them for both."""
    of_places = columns_of_places(arguments.table)
    return [name for name in names if not of_places(name)]


def given_inputs(arguments: argparse.Namespace) -> dict[str, Known]:
    """What options name as known beside the state, and until when.

    Raises:
        InputError: something is named twice, or also forecast.
    """
    found: dict[str, Known] = {}
    options: dict[str, tuple[Known, list[str] | None]] = {
        "--inputs": ("horizon", arguments.inputs),
        "--past-inputs": ("past", arguments.past_inputs),
        "--constants": ("constant", arguments.constants),
    }
    for option, (known, names) in options.items():
        for name in names or ():
            if name in found or name in (arguments.state or ()):
                raise InputError(f"{option}: found {name} beside another use, expected one use")
            found[name] = known
    return found


def _refuse_begins(paths: tuple[Path, ...], settings: RecordSettings) -> None:
    for option, value in (("--begins", settings.begins), ("--every", settings.every)):
        if value is not None:
            raise InputError(
                f"{option}: found {value}, expected none: only rows of a wide table without a column of times have "
                f"none of their own, and {paths[0]} is another"
            )


def _of_stations(paths: tuple[Path, ...], settings: RecordSettings, arguments: argparse.Namespace) -> TableLayout:
    with open_stations(paths[0]) as dataset:
        if settings.environment is None and is_one_place(dataset):
            settings = settings.model_copy(update={"layout": "file-each"})
        layout = StationLayout.of(paths[0], dataset, settings)
        there, words = layout.quantities(dataset), text_variables(dataset, layout.place)
        numbers = [name for name in numbers_of_places(dataset, layout.place) if name != layout.counts]
    inputs = given_inputs(arguments)
    columns = arguments.state or [name for name in there if name not in inputs]
    if not columns:
        raise InputError(
            f"{paths[0]}: found no variable of numbers with the dimensions ({', '.join(layout.samples)}), expected one"
        )
    settings = settings.model_copy(update={"environment": layout.place, "time": [layout.time]})
    unused = [name for name in (*there, *numbers) if name not in (*columns, *inputs)]
    labels = [name for name in _of_records(arguments) if name in words or is_label(name)]
    texts = [] if arguments.parameters else _own(arguments, words)
    return _with_columns(paths, settings, arguments, columns, inputs, unused, labels, texts)


def _wide(
    paths: tuple[Path, ...], cells: Cells, settings: RecordSettings, arguments: argparse.Namespace
) -> TableLayout:
    """A column a place, if the table can be meant so."""
    if len(paths) > 1:
        raise InputError(
            f"{paths[0]}: found {len(paths)} files, expected --state to name the columns that are forecast, and "
            "--environment that of the places, unless every file is a place"
        )
    states = arguments.state or [WIDE_CHANNEL]
    if len(states) > 1:
        raise InputError(
            f"{paths[0]}: found no columns {listed(states)}, expected columns of {listed(cells.header or ())}; or, "
            "where a column is a place, one --state NAME for what they hold"
        )
    if text := [name for name in _text_columns(cells) if name not in settings.time]:
        raise InputError(
            f"{paths[0]}: found text in the column {listed(text)}, expected --environment, which names the column of "
            "places, and --state COLUMNS if a row is a place at a time; or numbers in every column but the times if a "
            "column is a place"
        )
    if asked := _of_records(arguments):
        raise InputError(
            f"--parameters: found {listed(asked)}, expected none, or columns of --table: a column is a place"
        )
    if inputs := given_inputs(arguments):
        raise InputError(f"--inputs: found {listed(list(inputs))}, expected none: a column is a place")
    if settings.time:
        _refuse_begins(paths, settings)
    settings = settings.model_copy(update={"layout": "wide"})
    channel = place_id(states[0])
    channel = f"{channel}_{NOT_A_SIDE}" if channel in TAKEN else channel
    return TableLayout(paths, settings, (channel or WIDE_CHANNEL,), {}, ())


def _with_columns(
    paths: tuple[Path, ...],
    settings: RecordSettings,
    arguments: argparse.Namespace,
    columns: Sequence[str],
    inputs: Mapping[str, Known],
    unused: Sequence[str],
    categories: Sequence[str],
    texts: Sequence[str],
) -> TableLayout:
    """Channels, inputs and parameters named after their columns, as far as these can be names."""
    read = [*columns, *inputs]
    names = _names(paths[0], read, "--inputs" if inputs else "--state")
    channels, of_inputs = names[: len(columns)], names[len(columns) :]
    asked = _of_records(arguments)
    named = zip(_names(paths[0], asked, "--parameters"), asked, strict=True)
    parameters = {name: column for name, column in named if column not in categories}
    unused = [name for name in unused if name not in asked]
    settings = settings.model_copy(update={"columns": read if read != names else None, "parameters": parameters})
    told = dict(zip(of_inputs, inputs.values(), strict=True))
    return TableLayout(paths, settings, tuple(channels), told, tuple(unused), tuple(categories), tuple(texts))


def _names(path: Path, columns: Sequence[str], option: str) -> list[str]:
    names = [place_id(split_unit(column)[0]) for column in columns]
    names = [f"{name}_{NOT_A_SIDE}" if name in TAKEN else name for name in names]
    for position, name in enumerate(names):
        if not name or name in names[:position] or name in ("id", "role"):
            raise InputError(
                f"{path}: {option}: found the column {columns[position]!r}, expected one with another name"
            )
    return names


def _is_column(cells: Cells, name: str) -> bool:
    header = cells.header or ()
    return name in header or any(split_unit(column)[0] == name for column in header)


def _column_of(cells: Cells, name: str, option: str) -> str:
    """The column of that name, or of that name and a unit."""
    header = cells.header or ()
    alike = [column for column in header if split_unit(column)[0] == name]
    if name in header or not alike:
        return header[cells.position(name, option)]
    if len(alike) > 1:
        raise InputError(f"{cells.file}: found the columns {listed(alike)} for {name!r}, expected {option} to name one")
    return alike[0]


def _numeric_columns(cells: Cells) -> list[int]:
    """Columns of which more than half of the cells that are not empty are numbers."""
    return [position for position in range(cells.width) if _share_of_numbers(cells, position) > 0.5]


def _text_columns(cells: Cells) -> list[str]:
    """Columns with a name in which hardly anything is a number; empty ones do not count."""
    header = cells.header or ()
    return [name for position, name in enumerate(header) if name and 0 <= _share_of_numbers(cells, position) <= 0.5]


def _share_of_numbers(cells: Cells, position: int) -> float:
    """Of the cells of a column that are not empty; -1 where all are."""
    there = [row[position] for row in cells.rows[:LOOKED_AT] if not is_missing(row[position], ())]
    return sum(map(is_number, there)) / len(there) if there else -1.0
