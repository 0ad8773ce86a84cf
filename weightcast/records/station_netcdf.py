"""NetCDF with records of places: a variable for each quantity, over places and times or in one row of samples."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
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
from weightcast.records.files import NETCDF, stem_of, suffix_of
from weightcast.records.rows import Rows
from weightcast.records.settings import RecordSettings
from weightcast.records.station_layout import StationLayout, is_of_places
from weightcast.trajectories import checks
from weightcast.trajectories.netcdf import check_whole, unreadable

NAMES_OF_PLACES = "timeseries_id"
"""CF's ``cf_role`` of the variable that says what places are called."""
NAME_VARIABLES = (
    *("station_name", "station_id", "name", "id", "place", "site", "location"),
    *("station", "station_number", "station_code", "site_id", "site_number", "gauge", "gauge_id", "wmo", "wmo_id"),
)
"""What variables are called that say what places are called: text, or whole numbers of which each is there once."""


def read_stations(file: Path, settings: RecordSettings, channels: Sequence[str]) -> Rows:
    """Read the records of all places.

    Missing values are those that the file declares: ``_FillValue``, ``missing_value``, what lies outside of
    ``valid_range``, ``valid_min`` and ``valid_max``, and NetCDF's own value of cells that were never written.

    Raises:
        InputError: the file cannot be read, or a variable is missing, has other dimensions or holds no numbers.
    """
    with open_stations(file) as dataset:
        layout = StationLayout.of(file, dataset, settings)
        columns = settings.columns or list(channels)
        fields = [_variable(file, dataset, name, layout.samples) for name in columns]
        names = _names(file, dataset, layout.place)
        places = layout.places_of(file, dataset)
        times = _times(file, dataset, layout)
        own = () if layout.place is None else (layout.place,)
        constant = [np.atleast_1d(_variable(file, dataset, name, own)) for name in settings.parameters.values()]
        units = {
            channel: str(dataset[column].attrs["units"])
            for channel, column in zip(channels, columns, strict=True)
            if "units" in dataset[column].attrs
        }
    steps = fields[0].shape[-1]
    used = np.flatnonzero((places >= 0) & times.known)
    if not len(used):
        raise InputError(f"{file}: found no sample with a place and a time, expected some")
    places = places[used]
    return Rows(
        names,
        places,
        Times(times.stamps[used], times.dates),
        np.stack([values.ravel()[used] for values in fields], axis=1),
        np.stack([values[places] for values in constant], axis=1) if constant else np.empty((len(used), 0)),
        units,
        lambda row: (
            f"{file}: {layout.place or 'place'} {names[places[row]]}, {layout.samples[-1]} {used[row] % steps} "
            "(counted from 0)"
        ),
    )


def is_station_folder(paths: Sequence[Path]) -> bool:
    """Whether this is a folder of NetCDF files that hold records of places, by the first of them."""
    if len(paths) != 1 or not paths[0].is_dir():
        return False
    files = [path for path in sorted(paths[0].iterdir()) if suffix_of(path) in NETCDF and path.is_file()]
    if not files:
        return False
    try:
        with open_stations(files[0]) as dataset:
            return is_of_places(dataset)
    except InputError:
        return False


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


def text_variables(dataset: xr.Dataset, place: str | None) -> list[str]:
    """Variables that say a word of each place: text, or numbers with words for them (CF's ``flag_meanings``)."""
    return [
        str(name)
        for name, variable in dataset.variables.items()
        if variable.dims == (place,)
        and str(name) not in (place, *NAME_VARIABLES)
        and variable.attrs.get("cf_role") != NAMES_OF_PLACES
        and "instance_dimension" not in variable.attrs
        and (variable.dtype.kind in "SUO" or "flag_meanings" in variable.attrs)
    ]


def numbers_of_places(dataset: xr.Dataset, place: str | None) -> list[str]:
    """Variables that say a number of each place, as a height, and are no names of places."""
    return [
        str(name)
        for name, variable in dataset.data_vars.items()
        if variable.dims == (place,)
        and variable.dtype.kind in checks.NUMERIC_KINDS
        and str(name) not in (place, *NAME_VARIABLES)
        and variable.attrs.get("cf_role") != NAMES_OF_PLACES
        and "instance_dimension" not in variable.attrs
        and "sample_dimension" not in variable.attrs
        and "flag_meanings" not in variable.attrs
    ]


def read_station_texts(
    file: Path, settings: RecordSettings, columns: Sequence[str]
) -> tuple[tuple[str, ...], dict[str, list[str]]]:
    """Names of the places, and what variables say of each: text, the word for a number, or the number as text.

    Raises:
        InputError: the file cannot be read, or a variable is missing or has another dimension than that of places.
    """
    with open_stations(file) as dataset:
        place = StationLayout.of(file, dataset, settings).place
        names = _names(file, dataset, place)
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
    values = np.asarray(values)  # a number without dimensions as well
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


def _names(file: Path, dataset: xr.Dataset, place: str | None) -> tuple[str, ...]:
    """Of the places: a coordinate of the dimension's name, or a variable of text along it; else place-0, ...; of a file
    of one place a single text, or what the file is called."""
    own = [str(name) for name, one in dataset.variables.items() if one.attrs.get("cf_role") == NAMES_OF_PLACES]
    for name in (*own, *([] if place is None else [place]), *NAME_VARIABLES):
        if name in dataset.variables and dataset[name].dims == (() if place is None else (place,)):
            values = np.atleast_1d(dataset[name].to_numpy())
            if values.dtype.kind in "SUO":
                return tuple(map(_text, values))
            if values.dtype.kind in "iu" and (name in (place, *own) or len(np.unique(values)) == len(values)):
                return tuple(str(one) for one in values)
    return (stem_of(file),) if place is None else tuple(f"place-{number}" for number in range(dataset.sizes[place]))


@dataclass(frozen=True)
class _SampleTimes:
    """Times of samples, in the order in which quantities are read.

    Attributes:
        stamps: of each.
        dates: whether they are dates, in nanoseconds.
        known: where there is one.
    """

    stamps: NDArray[Any]
    dates: bool
    known: NDArray[np.bool_]


def _times(file: Path, dataset: xr.Dataset, layout: StationLayout) -> _SampleTimes:
    """Dates where the file says since when it counts in a calendar that dates know; else numbers; else steps."""
    repeats = dataset.sizes[layout.place] if layout.place is not None and layout.even else 1
    if layout.even and (layout.time not in dataset.variables or dataset[layout.time].dims != (layout.time,)):
        count = dataset.sizes[layout.time]
        return _SampleTimes(np.tile(np.arange(count, dtype=np.float64), repeats), False, np.ones(repeats * count, bool))
    variable = dataset[layout.time]
    checks.check_numeric(file, layout.time, variable.dtype)
    stored = variable.to_numpy() if layout.even else variable.transpose(*layout.samples).to_numpy()
    numbers = stored.astype(np.float64)
    known = ~(_missing(stored, variable.attrs) | np.isnan(numbers))
    if layout.even:
        checks.check_coordinate(file, layout.time, numbers)
    stamps, dates = numbers, False
    if "since" in str(variable.attrs.get("units", "")):
        try:
            decoded = xr.decode_cf(dataset[[layout.time]], decode_timedelta=False)[layout.time].to_numpy()
        except (ValueError, OverflowError):
            decoded = numbers
        if decoded.dtype.kind == "M":
            whole = pd.DatetimeIndex(decoded.ravel().astype("datetime64[ns]")).round("ms")
            stamps, dates = whole.to_numpy().astype(np.int64), True
    return _SampleTimes(np.tile(stamps.ravel(), repeats), dates, np.tile(known.ravel(), repeats))
