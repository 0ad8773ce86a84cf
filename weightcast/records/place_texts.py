"""What a long table says of its places in words: columns of text that never change in a place."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from weightcast.core.place_names import place_id
from weightcast.records.cell_numbers import is_missing
from weightcast.records.cells import Cells, shown
from weightcast.records.files import NETCDF, stem_of, suffix_of
from weightcast.records.read import read_cells
from weightcast.records.settings import RecordSettings
from weightcast.records.station_netcdf import read_station_texts


@dataclass(frozen=True)
class PlaceTexts:
    """Text of places.

    Attributes:
        values: the text of each place by its id, by column.
        changing: of a column that is not one text in each place, why not.
    """

    values: dict[str, dict[str, str]] = field(default_factory=dict)
    changing: dict[str, str] = field(default_factory=dict)


def read_place_texts(paths: Sequence[Path], settings: RecordSettings, columns: Sequence[str]) -> PlaceTexts:
    """Read columns of text of all files of a table.

    Cells that stand for a missing value do not count, where another row of the place has one.

    Args:
        paths: of a tidy table, of files of a place each, or NetCDF with stations.
        settings: how it is read.
        columns: names of the columns, or of variables.

    Raises:
        InputError: a file cannot be read, or has no such column.
    """
    if suffix_of(paths[0]) in NETCDF:
        return _of_stations(paths, settings, columns)
    found, changing = {column: dict[str, str]() for column in columns}, dict[str, str]()
    where: dict[str, str] = {}
    marks = frozenset(mark.lower() for mark in settings.missing or ())
    for path in paths:
        cells = read_cells(path, settings)
        ids = _ids(cells, settings)
        for row, id in enumerate(ids):
            if id not in settings.left_out:
                where.setdefault(id, f"{cells.file}: row {cells.numbers[row]}")
        for column in columns:
            own = found[column]
            for row, (id, text) in enumerate(
                zip(ids, cells.column(cells.position(column, "--parameters")), strict=True)
            ):
                if id in settings.left_out or is_missing(text, marks):
                    continue
                if own.setdefault(id, text) != text:
                    changing.setdefault(
                        column,
                        f"{cells.where(row, column)}: found {shown(text)} of {id}, expected {shown(own[id])} as in its "
                        "rows before: a parameter never changes in a place",
                    )
    return _whole(found, changing, where)


def _of_stations(paths: Sequence[Path], settings: RecordSettings, columns: Sequence[str]) -> PlaceTexts:
    """The same of NetCDF with stations; the files of a place must agree, as far as they say anything."""
    found, changing = {column: dict[str, str]() for column in columns}, dict[str, str]()
    where: dict[str, str] = {}
    for path in paths:
        names, texts = read_station_texts(path, settings, columns)
        for place, id in enumerate(map(place_id, names)):
            where.setdefault(id, str(path))
            for column in columns:
                text = texts[column][place]
                if text and found[column].setdefault(id, text) != text:
                    changing.setdefault(
                        column,
                        f"{path}: {column}: found {shown(text)} of {id}, expected {shown(found[column][id])} as in the "
                        "files before: a parameter never changes in a place",
                    )
    return _whole(found, changing, where)


def _whole(found: Mapping[str, dict[str, str]], changing: dict[str, str], where: Mapping[str, str]) -> PlaceTexts:
    """Columns that have a text in each place, and of the others why not."""
    for column, own in found.items():
        for id, row in where.items():
            if not own.get(id):
                changing.setdefault(column, f"{row}, column {column}: found no text of {id} in any row, expected one")
    return PlaceTexts({column: own for column, own in found.items() if column not in changing}, changing)


def _ids(cells: Cells, settings: RecordSettings) -> list[str]:
    """The id of the place of each row."""
    if settings.environment is None:
        return [place_id(stem_of(cells.file))] * len(cells.rows)
    names = cells.column(cells.position(settings.environment, "--environment"))
    ids = {name: place_id(name) for name in dict.fromkeys(names)}
    return [ids[name] for name in names]


def constant_texts(cells: Cells, settings: RecordSettings, columns: Sequence[str]) -> list[str]:
    """Columns that may be one text in each place, as far as these cells show: the others change in a place."""
    ids, kept = _ids(cells, settings), []
    for column in columns:
        own: dict[str, str] = {}
        texts = cells.column(cells.position(column, "--parameters"))
        if all(is_missing(text, ()) or own.setdefault(id, text) == text for id, text in zip(ids, texts, strict=True)):
            kept.append(column)
    return kept
