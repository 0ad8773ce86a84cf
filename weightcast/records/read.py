"""Tables of every format, read to records."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from weightcast.core.errors import InputError
from weightcast.records.cells import Cells
from weightcast.records.doubtful_values import check_extremes, check_usual_marks
from weightcast.records.files import JSON, JSON_LINES, NETCDF, suffix_of, table_files
from weightcast.records.json_file import read_json_table
from weightcast.records.parquet_file import read_parquet_table
from weightcast.records.record import Records, arrange
from weightcast.records.rows import Rows, rows_of, together
from weightcast.records.settings import RecordSettings
from weightcast.records.station_netcdf import read_stations
from weightcast.records.text import read_text_table


def read_records(files: Sequence[str | Path], settings: RecordSettings, channels: Sequence[str]) -> Records:
    """Read a table, from one file or several, and put it in order.

    Args:
        files: tables, or folders of such.
        settings: how they are read.
        channels: quantities, in order.

    Raises:
        InputError: anything that cannot be used; the message names file, row and column.
    """
    return records_of(read_rows(table_files(files), settings, channels), settings, channels)


def records_of(rows: Rows, settings: RecordSettings, channels: Sequence[str]) -> Records:
    """Put rows that have been read in order.

    Raises:
        InputError: anything that cannot be used; the message names file, row and column.
    """
    if settings.missing is None:
        check_extremes(rows, tuple(channels))
    elif settings.missing:  # others than the named ones may be there; none at all, and all numbers are numbers
        check_usual_marks(rows, tuple(channels), settings.missing)
    return arrange(rows, settings, tuple(channels))


def read_rows(paths: Sequence[Path], settings: RecordSettings, channels: Sequence[str]) -> Rows:
    """The same, before rows are put in order."""
    kinds = {suffix_of(path) in NETCDF for path in paths}
    if kinds == {True}:
        parts = [read_stations(path, settings, channels) for path in paths]
        return _marked(together(parts, list(map(str, paths))), settings)
    if True in kinds:
        raise InputError(f"{paths[0]}: found NetCDF beside other tables, expected files of one kind")
    return rows_of([read_cells(path, settings) for path in paths], settings, channels)


def read_cells(path: Path, settings: RecordSettings) -> Cells:
    """The cells of one file that is no NetCDF."""
    suffix = suffix_of(path)
    if suffix in JSON:
        return read_json_table(path, lines=suffix in JSON_LINES)
    if suffix == ".parquet":
        return read_parquet_table(path)
    return read_text_table(path, settings)


def _marked(rows: Rows, settings: RecordSettings) -> Rows:
    """Numbers that the settings call marks of missing values are missing also where they are no text."""
    for mark in settings.missing or ():
        try:
            rows.values[rows.values == float(mark)] = np.nan
        except ValueError:
            continue
    return rows
