"""Tiny ERA5 files in every layout, by the headers that the archive documents, not by the library's own writer."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import netCDF4
import numpy as np
from numpy.typing import NDArray

UNITS = {"u10": "m s**-1", "v10": "m s**-1", "t2m": "K", "tp": "m", "msl": "Pa", "ws10": "m s**-1"}
LONG_NAMES = {
    "u10": "10m_u_component_of_wind",
    "v10": "10m_v_component_of_wind",
    "t2m": "2m_temperature",
    "tp": "total_precipitation",
}
LATITUDE = np.array([51.0, 50.75, 50.5, 50.25, 50.0])  # as the archive has it: from north to south
LONGITUDE = np.array([5.0, 5.25, 5.5, 5.75, 6.0, 6.25])
START = int(np.datetime64("2020-01-01T00", "h").astype(np.int64))
HOURS = START + np.arange(24)
_FROM_1900 = int((np.datetime64("1970-01-01") - np.datetime64("1900-01-01")) / np.timedelta64(1, "h"))


def field(name: str, hours: NDArray, latitude: NDArray, longitude: NDArray) -> NDArray[np.float64]:
    """[time, latitude, longitude]; every variable, hour and place has a value of its own, every meridian one alone."""
    offset = {"u10": 0.0, "v10": 20.0, "t2m": 270.0, "tp": 0.5, "msl": 1e5, "ws10": 5.0}[name]
    around = np.asarray(longitude) % 360
    return (
        offset
        + 0.05 * (np.asarray(hours) - START)[:, None, None]
        + 0.01 * np.asarray(latitude)[None, :, None]
        + 0.0004 * around[None, None, :]
    )


def fields(names: Sequence[str], hours: NDArray, latitude: NDArray, longitude: NDArray) -> dict[str, NDArray]:
    return {name: field(name, hours, latitude, longitude) for name in names}


def write_old(
    path: Path,
    names: Sequence[str] = ("u10", "v10"),
    hours: NDArray = HOURS,
    latitude: NDArray = LATITUDE,
    longitude: NDArray = LONGITUDE,
    *,
    values: Mapping[str, NDArray] | None = None,
    expver: Sequence[int] = (),
    units: Mapping[str, str] = UNITS,
    packed: bool = True,
    kind: str = "NETCDF3_64BIT_OFFSET",
) -> Path:
    """The layout until 2024: NetCDF-3, hours since 1900, 16-bit integers; NaN becomes the fill value -32767.

    With `expver`, values are [time, version, latitude, longitude].
    """
    values = values or fields(names, hours, latitude, longitude)
    grid = ("time", *(("expver",) if expver else ()), "latitude", "longitude")
    with netCDF4.Dataset(path, "w", format=kind) as file:
        for name, size in (("longitude", len(longitude)), ("latitude", len(latitude)), ("time", len(hours))):
            file.createDimension(name, size)
        for name, coordinate, unit in (
            ("longitude", longitude, "degrees_east"),
            ("latitude", latitude, "degrees_north"),
        ):
            variable = file.createVariable(name, "f4", (name,))
            variable.units, variable.long_name, variable[:] = unit, name, coordinate
        if expver:
            file.createDimension("expver", len(expver))
            file.createVariable("expver", "i4", ("expver",))[:] = expver
        time = file.createVariable("time", "i4", ("time",))
        time.units, time.long_name, time.calendar = "hours since 1900-01-01 00:00:00.0", "time", "gregorian"
        time[:] = np.asarray(hours) + _FROM_1900
        for name in names:
            variable = file.createVariable(name, "i2", grid, fill_value=np.int16(-32767))
            variable.set_auto_maskandscale(False)
            low, high = np.nanmin(values[name]), np.nanmax(values[name])
            scale, offset = (high - low) / 65532, (high + low) / 2
            if packed:
                variable.scale_factor, variable.add_offset = scale, offset
            variable.missing_value, variable.units = np.int16(-32767), units[name]
            variable[:] = np.where(np.isnan(values[name]), -32767, np.round((values[name] - offset) / scale))
        file.Conventions = "CF-1.6"
    return path


def packing_error(names: Sequence[str], hours: NDArray, latitude: NDArray, longitude: NDArray) -> float:
    """Half a step of the packed integers, and what single precision adds."""
    spans = [np.ptp(values) for values in fields(names, hours, latitude, longitude).values()]
    return max(spans) / 65532 / 2 + 2e-5


def write_new(
    path: Path,
    names: Sequence[str] = ("u10", "v10"),
    hours: NDArray = HOURS,
    latitude: NDArray = LATITUDE,
    longitude: NDArray = LONGITUDE,
    *,
    values: Mapping[str, NDArray] | None = None,
    expver: Sequence[str] = (),
    units: Mapping[str, str] = UNITS,
) -> Path:
    """The layout since 2024: NetCDF-4, seconds since 1970, floats, a member number and a version for every time."""
    values = values or fields(names, hours, latitude, longitude)
    with netCDF4.Dataset(path, "w", format="NETCDF4") as file:
        for name, size in (("valid_time", len(hours)), ("latitude", len(latitude)), ("longitude", len(longitude))):
            file.createDimension(name, size)
        number = file.createVariable("number", "i8", ())
        number.long_name, number.standard_name, number.units = "ensemble member numerical id", "realization", "1"
        number[...] = 0
        time = file.createVariable("valid_time", "i8", ("valid_time",))
        time.long_name, time.standard_name = "time", "time"
        time.units, time.calendar = "seconds since 1970-01-01", "proleptic_gregorian"
        time[:] = np.asarray(hours) * 3600
        for name, coordinate, unit in (
            ("latitude", latitude, "degrees_north"),
            ("longitude", longitude, "degrees_east"),
        ):
            variable = file.createVariable(name, "f8", (name,), fill_value=np.nan)
            variable.units, variable.standard_name, variable.long_name = unit, name, name
            variable[:] = coordinate
        file["latitude"].stored_direction = "decreasing"
        file.createVariable("expver", str, ("valid_time",))[:] = np.array(
            list(expver) or ["0001"] * len(hours), dtype=object
        )
        for name in names:
            variable = file.createVariable(
                name, "f4", ("valid_time", "latitude", "longitude"), fill_value=np.float32(np.nan), zlib=True
            )
            variable.units, variable.long_name = units[name], name
            variable.GRIB_paramId, variable.GRIB_dataType = 165, "an"
            variable.GRIB_missingValue = 3.4028234663852886e38
            variable.coordinates = "number valid_time latitude longitude expver"
            variable[:] = values[name]
        file.Conventions, file.institution = "CF-1.7", "European Centre for Medium-Range Weather Forecasts"
    return path


def write_zip(path: Path, names: Sequence[str] = ("u10", "v10", "tp"), hours: NDArray = HOURS, **further) -> Path:
    """What the store sends where variables at a time and over an hour are asked for together."""
    folder = path.with_name(path.name + ".parts")
    folder.mkdir()
    sums = [name for name in names if name == "tp"]
    parts = {"instant": [name for name in names if name not in sums], "accum": sums}
    with zipfile.ZipFile(path, "w") as archive:
        for kind, members in parts.items():
            if members:
                member = write_new(folder / f"{kind}.nc", members, hours, **further)
                archive.write(member, f"data_stream-oper_stepType-{kind}.nc")
    shutil.rmtree(folder)
    return path


def write_zarr(
    path: Path,
    names: Sequence[str] = ("u10", "v10"),
    hours: NDArray = HOURS,
    latitude: NDArray = LATITUDE,
    longitude: NDArray = LONGITUDE,
    *,
    values: Mapping[str, NDArray] | None = None,
    zarr_format: int = 2,
    attributes: Mapping[str, str] | None = None,
    long_names: bool = True,
) -> Path:
    """The layout of ARCO-ERA5: a chunk an hour, hours since 1900, variables by their names in requests."""
    import zarr

    values = values or fields(names, hours, latitude, longitude)
    group = zarr.open_group(path, mode="w", zarr_format=zarr_format, attributes=dict(attributes or {}))

    def add(name: str, data: NDArray, dimensions: tuple[str, ...], further: dict[str, str]) -> None:
        chunks = (1, *data.shape[1:]) if data.ndim > 1 else data.shape
        plain = {"_ARRAY_DIMENSIONS": list(dimensions), **further} if zarr_format == 2 else further
        named = {} if zarr_format == 2 else {"dimension_names": dimensions}
        missing = {"fill_value": np.nan} if data.dtype.kind == "f" else {}
        group.create_array(name, data=data, chunks=chunks, attributes=plain, **named, **missing)

    since = {"units": "hours since 1900-01-01", "calendar": "proleptic_gregorian"}
    add("time", np.asarray(hours) + _FROM_1900, ("time",), since)
    add("latitude", np.asarray(latitude, np.float32), ("latitude",), {"units": "degrees_north"})
    add("longitude", np.asarray(longitude, np.float32), ("longitude",), {"units": "degrees_east"})
    for name in names:
        grid = ("time", "latitude", "longitude")
        called = LONG_NAMES[name] if long_names else name
        add(called, values[name].astype(np.float32), grid, {"units": UNITS[name], "short_name": name})
    zarr.consolidate_metadata(group.store, zarr_format=zarr_format)
    return path


def write_grib(path: Path, names: Sequence[str] = ("u10", "v10"), hours: NDArray = HOURS, expver: str = "0001") -> Path:
    """Analyses as messages; precipitation as the store has it, by forecast start and step."""
    import eccodes

    parameter = {"u10": 165, "v10": 166, "t2m": 167, "tp": 228}
    with path.open("wb") as file:
        for hour in hours:
            for name in names:
                message = eccodes.codes_grib_new_from_samples("regular_ll_sfc_grib1")
                start, step = hour, 0
                if name == "tp":
                    step = (hour - 6) % 12 or 12
                    start = hour - step
                moment = np.datetime64(int(start), "h").astype(object)
                keys = {
                    "expver": expver, "class": "ea", "stream": "oper", "type": "fc" if step else "an",
                    "Ni": len(LONGITUDE), "Nj": len(LATITUDE),
                    "latitudeOfFirstGridPointInDegrees": LATITUDE[0], "latitudeOfLastGridPointInDegrees": LATITUDE[-1],
                    "longitudeOfFirstGridPointInDegrees": LONGITUDE[0],
                    "longitudeOfLastGridPointInDegrees": LONGITUDE[-1],
                    "iDirectionIncrementInDegrees": 0.25, "jDirectionIncrementInDegrees": 0.25,
                    "paramId": parameter[name], "dataDate": int(moment.strftime("%Y%m%d")),
                    "dataTime": moment.hour * 100, "stepType": "accum" if step else "instant",
                    "stepRange": f"{step - 1}-{step}" if step else "0", "bitsPerValue": 24,
                }  # fmt: skip
                for key, value in keys.items():
                    eccodes.codes_set(message, key, value)
                here = field(name, np.array([hour]), LATITUDE, LONGITUDE)
                eccodes.codes_set_values(message, here.ravel())
                eccodes.codes_write(message, file)
                eccodes.codes_release(message)
    return path
