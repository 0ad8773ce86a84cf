"""NetCDF with a dimension of places: a variable (place, time) for each quantity."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pandas as pd
import xarray as xr
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.core.place_names import place_id
from weightcast.records.cell_times import Times
from weightcast.records.rows import Rows
from weightcast.records.settings import RecordSettings
from weightcast.trajectories import checks
from weightcast.trajectories.netcdf import check_whole, unreadable

NAME_VARIABLES = ("station_name", "station_id", "name", "id", "place", "site", "location")
PLACE_DIMENSIONS = (
    "station",
    "stations",
    "place",
    "site",
    "location",
    "environment",
    "patient",
    "machine",
    "region",
    "id",
)


def read_stations(file: Path, settings: RecordSettings, channels: Sequence[str]) -> Rows:
    """Read the records of all places.

    Missing values are those that the file declares: ``_FillValue``, ``missing_value``, what lies outside of
    ``valid_range``, ``valid_min`` and ``valid_max``, and NetCDF's own value of cells that were never written.

    Raises:
        InputError: the file cannot be read, or a variable is missing, has other dimensions or holds no numbers.
    """
    dataset = open_stations(file)
    with dataset:
        place, time = station_dimensions(file, dataset, settings)
        columns = settings.columns or list(channels)
        fields = [_variable(file, dataset, name, (place, time)) for name in columns]
        names = _names(dataset, place)
        times = _times(file, dataset, time)
        constant = [_variable(file, dataset, name, (place,)) for name in settings.parameters.values()]
        units = {
            channel: str(dataset[column].attrs["units"])
            for channel, column in zip(channels, columns, strict=True)
            if "units" in dataset[column].attrs
        }
    count, steps = fields[0].shape
    parameters = (
        np.stack([np.repeat(values, steps) for values in constant], axis=1)
        if constant
        else np.empty((count * steps, 0))
    )
    return Rows(
        names,
        np.repeat(np.arange(count), steps),
        Times(np.tile(times.values, count), times.dates),
        np.stack([values.ravel() for values in fields], axis=1),
        parameters,
        units,
        lambda row: f"{file}: {place} {names[row // steps]}, {time} {row % steps} (counted from 0)",
    )


def open_stations(file: Path) -> xr.Dataset:
    """The file, with numbers as they are stored.

    Raises:
        InputError: it cannot be read.
    """
    try:
        dataset = xr.open_dataset(file, engine="netcdf4", mask_and_scale=False, decode_times=False, cache=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise unreadable(file, error) from None
    check_whole(file)
    return dataset


def station_dimensions(file: Path, dataset: xr.Dataset, settings: RecordSettings) -> tuple[str, str]:
    """The dimensions of places and of times.

    Raises:
        InputError: there are no such two; the message says what there is.
    """
    found = [str(name) for name in dataset.dims]
    place = settings.environment or next((name for name in found if name.lower() in PLACE_DIMENSIONS), "")
    time = (
        settings.time[0]
        if settings.time
        else next((name for name in found if name.lower() in ("time", "t", "date")), "")
    )
    for name, option in ((place, "--environment"), (time, "--time")):
        if name not in found:
            raise InputError(
                f"{file}: found {f'no dimension {name!r}' if name else 'no dimension of that kind'} among "
                f"{listed(found)}, expected {option} to name one"
            )
    return place, time


def state_variables(dataset: xr.Dataset, place: str, time: str) -> list[str]:
    """Variables of numbers with both dimensions and no other."""
    return [
        str(name)
        for name, variable in dataset.data_vars.items()
        if set(variable.dims) == {place, time} and variable.dtype.kind in checks.NUMERIC_KINDS
    ]


def text_variables(dataset: xr.Dataset, place: str) -> list[str]:
    """Variables that say a word of each place: text, or numbers with words for them (CF's ``flag_meanings``)."""
    return [
        str(name)
        for name, variable in dataset.variables.items()
        if variable.dims == (place,)
        and str(name) not in (place, *NAME_VARIABLES)
        and (variable.dtype.kind in "SUO" or "flag_meanings" in variable.attrs)
    ]


def read_station_texts(
    file: Path, settings: RecordSettings, columns: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """Names of the places, and what variables say of each: text, the word for a number, or the number as text.

    Raises:
        InputError: the file cannot be read, or a variable is missing or has another dimension than that of places.
    """
    with open_stations(file) as dataset:
        place, _ = station_dimensions(file, dataset, settings)
        names = _names(dataset, place)
        kept = [number for number, name in enumerate(names) if place_id(name) not in settings.left_out]
        texts = {}
        for name in columns:
            if name not in dataset.variables or dataset[name].dims != (place,):
                found = f"({', '.join(map(str, dataset[name].dims))})" if name in dataset.variables else "no variable"
                raise InputError(f"{file}: {name}: found {found}, expected a variable ({place})")
            try:
                own = _words(dataset[name])
            except (OSError, RuntimeError, IndexError) as error:
                raise unreadable(file, error) from None
            texts[name] = [own[number] for number in kept]
    return tuple(names[number] for number in kept), texts


def _words(variable: xr.DataArray) -> list[str]:
    """Of each place, empty where nothing is said."""
    values = variable.to_numpy()
    if values.dtype.kind in "SUO":
        return [_text(one) for one in values]
    meanings = str(variable.attrs.get("flag_meanings", "")).split()
    flags = np.atleast_1d(variable.attrs.get("flag_values", np.arange(len(meanings))))
    word = dict(zip(flags.tolist(), meanings, strict=False))
    missing = _missing(values, variable.attrs)
    return ["" if lost else word.get(one, f"{one:g}") for one, lost in zip(values.tolist(), missing, strict=True)]


def _text(value: Any) -> str:
    return (value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)).strip()


def _variable(file: Path, dataset: xr.Dataset, name: str, dimensions: tuple[str, ...]) -> NDArray[np.float64]:
    """float64 in the order of the dimensions, NaN where the file says that a value is missing."""
    if name not in dataset.variables:
        raise InputError(
            f"{file}: found no variable {name!r}, expected one of {listed(list(map(str, dataset.variables)))}"
        )
    variable = dataset[name]
    if set(variable.dims) != set(dimensions):
        raise InputError(
            f"{file}: {name}: found the dimensions ({', '.join(map(str, variable.dims))}), expected "
            f"({', '.join(dimensions)}) in any order"
        )
    checks.check_numeric(file, name, variable.dtype)
    try:
        stored = variable.transpose(*dimensions).to_numpy()
    except (OSError, RuntimeError, IndexError) as error:
        raise unreadable(file, error) from None
    attributes = variable.attrs
    missing = _missing(stored, attributes)
    values = stored.astype(np.float64)
    values = values * float(attributes.get("scale_factor", 1.0)) + float(attributes.get("add_offset", 0.0))
    values[missing] = np.nan
    return values


def _missing(stored: NDArray[Any], attributes: Mapping[Any, Any]) -> NDArray[np.bool_]:
    """Where the file says that a value is missing."""
    missing = np.zeros(stored.shape, bool)
    fills = [*np.atleast_1d(attributes.get("_FillValue", [])), *np.atleast_1d(attributes.get("missing_value", []))]
    if "_FillValue" not in attributes and (default := default_fill(stored.dtype)) is not None:
        fills.append(default)
    for fill in fills:
        missing |= stored == np.asarray(fill).astype(stored.dtype)
    low, high = valid_range(attributes)
    return missing | (stored < low) | (stored > high)


def default_fill(dtype: np.dtype[Any]) -> float | None:
    """What NetCDF writes where nobody wrote; None of bytes, of which every value is a value."""
    key = dtype.str[1:]
    fills: dict[str, Any] = netCDF4.default_fillvals
    return fills.get(key) if dtype.itemsize > 1 else None


def valid_range(attributes: Any) -> tuple[float, float]:
    """Least and greatest stored number that is a value, by the attributes of a variable."""
    low, high = np.ravel(attributes.get("valid_range", (-np.inf, np.inf)))[:2]
    return max(float(low), float(attributes.get("valid_min", -np.inf))), min(
        float(high), float(attributes.get("valid_max", np.inf))
    )


def _names(dataset: xr.Dataset, place: str) -> tuple[str, ...]:
    """Of the places: a coordinate of the dimension's name, or a variable of text along it; else place-0, ..."""
    for name in (place, *NAME_VARIABLES):
        if name in dataset.variables and dataset[name].dims == (place,):
            values = dataset[name].to_numpy()
            if values.dtype.kind in "SUO":
                return tuple(map(_text, values))
            if name == place and values.dtype.kind in "iu":
                return tuple(str(one) for one in values)
    return tuple(f"place-{number}" for number in range(dataset.sizes[place]))


def _times(file: Path, dataset: xr.Dataset, time: str) -> Times:
    """Dates where the file says since when it counts in a calendar that dates know; else numbers; else steps."""
    if time not in dataset.variables or dataset[time].dims != (time,):
        return Times(np.arange(dataset.sizes[time], dtype=np.float64), False)
    checks.check_numeric(file, time, dataset[time].dtype)
    numbers = np.asarray(dataset[time].to_numpy(), np.float64)
    checks.check_coordinate(file, time, numbers)
    if "since" in str(dataset[time].attrs.get("units", "")):
        try:
            decoded = xr.decode_cf(dataset[[time]], decode_timedelta=False)[time].to_numpy()
        except (ValueError, OverflowError):
            decoded = numbers
        if decoded.dtype.kind == "M":
            stamps = pd.DatetimeIndex(decoded.astype("datetime64[ns]")).round("ms")
            return Times(stamps.to_numpy().astype(np.int64), True)
    return Times(numbers, False)
