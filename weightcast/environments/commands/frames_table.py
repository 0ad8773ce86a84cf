"""Tables as people keep the record of one place, a row a time: read as observed frames, and written as a forecast."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from weightcast.core.config.regrid_settings import RegridSettings
from weightcast.core.dimensions import Dimension
from weightcast.core.errors import InputError
from weightcast.core.files import written_whole
from weightcast.core.names import listed
from weightcast.environments.config.data import DataSettings
from weightcast.records.cells import Cells
from weightcast.records.files import NETCDF, SPREADSHEETS, SUFFIXES, suffix_of
from weightcast.records.read import read_cells
from weightcast.records.record import Records, arrange
from weightcast.records.rows import Rows, find_column, row_times, rows_of, split_unit, time_columns
from weightcast.records.settings import RecordSettings
from weightcast.records.step_calendar import UNITS, StepCalendar
from weightcast.trajectories.dimension_names import with_own_names
from weightcast.trajectories.stated_marks import are_marks

WRITTEN = (".csv",)
MONTHS = "months"
"""Unit of times that are months, which are not evenly long: they count from the year 0."""
_CF_UNITS = {"week": "day"}
"""Of times in NetCDF, by the unit of a calendar's step, where it is another."""
_TOLD = {"separator", "decimal", "encoding", "dates", "missing", "time", "environment"}
"""Settings of a study's table that hold of another table of its kind."""


def is_frames_table(file: Path) -> bool:
    """Whether frames lie in a table, by the file's name.

    Raises:
        InputError: it is a spreadsheet.
    """
    suffix = suffix_of(file)
    if suffix in SPREADSHEETS:
        raise InputError(f"{file}: found a spreadsheet, expected a table saved as CSV")
    return suffix in SUFFIXES and suffix not in NETCDF


@dataclass(frozen=True)
class FileReading:
    """How files of a study's kind are read.

    Attributes:
        settings: of tables, marks of decimals and of missing values, columns of times and places, where somebody says
            so.
        columns: the column of a channel or an input, where it is called otherwise.
        dimensions: of NetCDF, what files of the study call some of them, by their names here.
        land: what predictors see where a channel never has a value, by its name.
        missing: numbers that stand for missing values in files that are no tables; None: none, and such as look like
            marks are refused.
        regrid: where the points of the study's grid lie, to which fields of NetCDF on others are brought; None: these
            are refused.
    """

    settings: RecordSettings = field(default_factory=RecordSettings)
    columns: Mapping[str, str] = field(default_factory=dict)
    dimensions: Mapping[Dimension, str] = field(default_factory=dict)
    land: Mapping[str, float] = field(default_factory=dict)
    missing: Sequence[float] | None = None
    regrid: RegridSettings | None = None

    @classmethod
    def of(cls, data: DataSettings) -> FileReading:
        """As the study's own table is read; tables beside studies of other files are recognised by themselves."""
        if data.source != "table":
            return cls(dimensions=data.dimensions, land=data.land, missing=data.missing, regrid=data.regrid)
        settings = RecordSettings.model_validate(data.settings)
        # In a wide table columns are places: in another one they are quantities.
        named = None if settings.layout == "wide" else settings.columns
        columns = dict(zip(data.columns, named, strict=False)) if named else {}
        return cls(RecordSettings(**settings.model_dump(include=_TOLD)), columns)

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> FileReading:
        """As an artifact says it.

        Raises:
            ValueError: it says something else.
        """
        stored = metadata.get("table") or {}
        settings = RecordSettings.model_validate(stored.get("settings", {}))
        land = {str(name): float(value) for name, value in dict(stored.get("land", {})).items()}
        missing = None if stored.get("missing") is None else [float(mark) for mark in stored["missing"]]
        regrid = None if stored.get("regrid") is None else RegridSettings.model_validate(stored["regrid"])
        named = dict(stored.get("columns", {})), dict(stored.get("dimensions", {}))
        return cls(settings, *named, land, missing, regrid)

    def metadata(self) -> dict[str, Any]:
        """As artifacts keep it."""
        settings = self.settings.model_dump(include=_TOLD, exclude_defaults=True)
        said: dict[str, Mapping[Any, Any]] = {
            "settings": settings,
            "columns": self.columns,
            "dimensions": self.dimensions,
            "land": self.land,
        }
        marks = {} if self.missing is None else {"missing": list(self.missing)}
        regrid = {} if self.regrid is None else {"regrid": self.regrid.model_dump(mode="json")}
        return {name: dict(value) for name, value in said.items() if value} | marks | regrid

    def named(self, dataset: xr.Dataset, file: Path) -> xr.Dataset:
        """A NetCDF file with the names of dimensions of this house, and NaN for numbers that stand for missing values.
        The study's names count where the file has them, as files that were written here have not."""
        there = {name: own for name, own in self.dimensions.items() if own in dataset.dims}
        return self._without_marks(with_own_names(dataset, file, there))

    def _without_marks(self, dataset: xr.Dataset) -> xr.Dataset:
        if not self.missing:
            return dataset
        marks = self.missing

        def known(values: xr.DataArray) -> xr.DataArray:
            if values.dtype.kind not in "iuf":
                return values
            numbers = values.to_numpy()
            return values.copy(data=np.where(are_marks(numbers, marks), np.nan, numbers))

        return dataset.map(known, keep_attrs=True)


def read_frames_table(
    file: Path, names: Sequence[str], reading: FileReading, needed: Collection[str] = ()
) -> xr.Dataset:
    """Columns of a table as variables (time), evenly spaced, NaN where a value or a row is missing.

    Args:
        file: with a header, a column of times, and one place.
        names: of channels or inputs; those that the table does not have are left out.
        reading: of the study.
        needed: of the names, those that must be there.

    Returns:
        The variables; ``time`` counts from the first row, in units such as "hours since 2020-01-01T00:00:00" where
        times are dates.

    Raises:
        InputError: the file cannot be read, a column is missing, there are several places, or times are not even.
    """
    if not file.is_file():
        raise InputError(f"{file}: found no such file, expected frames: NetCDF, or a table")
    cells = read_cells(file, reading.settings)
    header = cells.header
    if header is None:
        raise InputError(f"{file}: found no header, expected one with a column of times and {listed(list(names))}")
    columns = {name: reading.columns.get(name, name) for name in names}
    for name in needed:
        if not _has(cells, columns[name]):
            raise InputError(f"{file}: channel {name}: found the columns {listed(header)}, expected {columns[name]}")
    there = [name for name in names if _has(cells, columns[name])]
    settings = _of_one_place(cells, reading.settings, [columns[name] for name in there])
    rows = rows_of([cells], settings, there) if there else _times_alone(cells, settings)
    if len(rows.names) > 1:
        raise InputError(
            f"{file}, column {settings.environment}: found {len(rows.names)} places, {listed(rows.names)}, expected one"
        )
    records = _records(rows, settings, there or ["times"])
    variables = {name: ("time", records.values[0, :, place]) for place, name in enumerate(there)}
    times, unit = _times(records.calendar, np.arange(records.steps))
    dataset = xr.Dataset(variables, {"time": ("time", times, {"units": unit} if unit else {})})
    for name, unit in records.units.items():
        dataset[name].attrs["units"] = unit
    return dataset


def until_last_seen(dataset: xr.Dataset) -> xr.Dataset:
    """Without the rows behind the last one that has a value: a table may go on with inputs alone."""
    seen = np.any([dataset[name].notnull().to_numpy() for name in dataset.data_vars], axis=0)
    return dataset.isel(time=slice(0, int(np.flatnonzero(seen)[-1]) + 1)) if seen.any() else dataset


def check_writable(file: Path, grid: Sequence[int]) -> bool:
    """Whether a forecast is to be written as a table.

    Raises:
        InputError: it is, and there is a grid, which no table holds; or it is a table of another format.
    """
    if not is_frames_table(file):
        return False
    if file.suffix.lower() not in WRITTEN:
        raise InputError(f"--output: found {file}, expected a table in .csv, or NetCDF in .nc")
    if tuple(grid) != (1, 1):
        raise InputError(f"--output: found {file}, expected NetCDF (.nc): the fields of this study have a grid")
    return True


def write_forecast_table(file: Path, forecast: xr.Dataset, channels: Sequence[str]) -> None:
    """Write a forecast's mean and quantiles, or the forecast itself of a single predictor: a row a time.

    Args:
        file: CSV.
        forecast: of a state without a grid, as ``weightcast forecast`` makes it.
        channels: of the state.
    """
    several = forecast.sizes["trajectory"] > 1
    parts = []
    for trajectory in range(forecast.sizes["trajectory"]):
        own = forecast.isel(trajectory=trajectory, y=0, x=0)
        columns: dict[str, Any] = {"trajectory": trajectory} if several else {}
        columns["time"] = labels_of(forecast["time"])
        for name in channels:
            if f"{name}_quantile" not in own:
                columns[name] = own[name].isel(sample=0).to_numpy()
                continue
            columns[f"{name}_mean"] = own[f"{name}_mean"].to_numpy()
            for level in own["quantile"].to_numpy():
                columns[f"{name}_q{100 * level:02.0f}"] = own[f"{name}_quantile"].sel(quantile=level).to_numpy()
        parts.append(pd.DataFrame(columns))
    with written_whole(file) as partial:
        pd.concat(parts).to_csv(partial, index=False)


def labels_of(time: xr.DataArray) -> list[Any]:
    """Times as a table has them: dates, months, or numbers."""
    unit = str(time.attrs.get("units", ""))
    numbers = time.to_numpy()
    if unit == MONTHS:
        return [f"{month // 12:04d}-{month % 12 + 1:02d}" for month in np.rint(numbers).astype(int).tolist()]
    if "since" not in unit:
        return list(numbers)
    dates = pd.DatetimeIndex(xr.decode_cf(time.to_dataset(name="t"), decode_timedelta=False)["time"].to_numpy())
    dates = dates.round("ms")
    whole = bool((dates == dates.normalize()).all())
    return [date.strftime("%Y-%m-%d" if whole else "%Y-%m-%dT%H:%M:%S") for date in dates]


def _has(cells: Cells, column: str) -> bool:
    return any(column in (name, split_unit(name)[0]) for name in cells.header or ())


def _of_one_place(cells: Cells, settings: RecordSettings, columns: list[str]) -> RecordSettings:
    """How a table is read that has its columns, and perhaps one of the place, which says the same in all rows."""
    header = cells.header or ()
    time = settings.time if settings.time and set(settings.time) <= set(header) else time_columns(cells)
    if not time:
        expected = listed(settings.time) if settings.time else "one called time, date or the like"
        raise InputError(f"{cells.file}: found no column of times among {listed(header)}, expected {expected}")
    place = settings.environment if settings.environment in header else None
    for column in columns:
        find_column(cells, column, "column")
    return settings.model_copy(
        update={
            "layout": "file-each" if place is None else "tidy",
            "environment": place,
            "time": time,
            "columns": columns,
        }
    )


def _times_alone(cells: Cells, settings: RecordSettings) -> Rows:
    """Rows of a table of which nothing but what the calendar says is wanted."""
    count = len(cells.rows)
    places, nothing = np.zeros(count, np.int64), np.empty((count, 0))
    times, where = row_times(cells, settings), lambda row: f"{cells.file}: row {cells.numbers[row]}"
    return Rows((cells.file.name,), places, times, np.zeros((count, 1)), nothing, {}, where)


def _records(rows: Rows, settings: RecordSettings, names: Sequence[str]) -> Records:
    """Rows in their order; a single one is a record of one step, of whose length nothing is known."""
    if len(rows.places) > 1:
        return arrange(rows, settings, tuple(names))
    calendar = StepCalendar("dates" if rows.times.dates else "numbers", float(rows.times.values[0]), UNITS["hour"])
    values, spans = rows.values[None], np.array([[0, 1]])
    return Records(rows.names, rows.names, tuple(names), values, spans, calendar, rows.units, rows.parameters, ())


def _times(calendar: StepCalendar, steps: NDArray[np.int64]) -> tuple[NDArray[np.float64], str]:
    """Times of steps, and their unit; none where times are numbers."""
    times = (calendar.origin + calendar.step * steps).astype(np.float64)
    if calendar.kind != "dates":
        return times, MONTHS if calendar.kind == "months" else ""
    _, unit = calendar.duration
    unit = _CF_UNITS.get(unit, unit)
    origin = pd.Timestamp(int(calendar.origin)).round("ms").strftime("%Y-%m-%dT%H:%M:%S")
    return (calendar.step / UNITS[unit] * steps).astype(np.float64), f"{unit}s since {origin}"
