"""Downloads from a public Zarr store in the layout of ARCO-ERA5, over HTTPS and without a key.

(R. W. Carver and A. Merose, ARCO-ERA5: An Analysis-Ready Cloud-Optimized Reanalysis Dataset, 2023.) A chunk of that
store holds one variable on the whole globe at one hour, so every region costs as much as the globe.
"""

from __future__ import annotations

import logging
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.extras import how_to_install
from weightcast.era5.download import Retrieve
from weightcast.era5.layouts.netcdf import first_line
from weightcast.era5.layouts.source import Source
from weightcast.era5.region import find_points
from weightcast.era5.request import Request
from weightcast.era5.times import hour_text

_ATTEMPTS = 4
_log = logging.getLogger(__name__)


@contextmanager
def open_store(address: str) -> Iterator[Source]:
    """Open a store.

    Args:
        address: https://..., or the path of a folder.

    Raises:
        InputError: a package is missing, the store cannot be reached, or it is none.
    """
    remote = "://" in address
    for package in ("zarr", "aiohttp") if remote else ("zarr",):
        if find_spec(package) is None:
            raise InputError(
                f"{address}: found no Python package {package}, expected it installed: {how_to_install('era5')}"
            )
    # The proxy that the user's other programs use is in the environment.
    options: dict[str, Any] = {"storage_options": {"client_kwargs": {"trust_env": True}}} if remote else {}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            dataset = xr.open_dataset(
                address, engine="zarr", decode_times=False, decode_timedelta=False, cache=False, backend_kwargs=options
            )
        except Exception as error:  # fsspec, aiohttp and zarr have no error in common
            raise InputError(
                f"{address}: cannot be reached or read ({first_line(error)}), expected a network and a Zarr store, or "
                "files of your own in the folder of downloads (see docs/era5.md)"
            ) from None
    with dataset:
        yield Source.of(address, dataset)


def retrieve_from(source: Source) -> Retrieve:
    """Download requests from an open store, as NetCDF in the layout of the Climate Data Store."""

    def retrieve(request: Request, path: Path) -> None:
        region, hours = request.region, request.times
        rows = find_points(source.latitude, region.latitude)
        columns = find_points(source.longitude, region.longitude, period=360.0)
        if rows is None or columns is None:
            raise InputError(f"{source.path}: found not all points of {request.area.name}, expected a global store")
        if not np.isin(hours, source.hours).all():
            first = hours[~np.isin(hours, source.hours)][0]
            raise InputError(f"{source.path}: found no {hour_text(first)}, expected {request.what}")
        times = np.flatnonzero(np.isin(source.hours, hours))
        variables = {}
        for channel in request.variables:
            name = source.find(channel)
            if name is None:
                raise InputError(f"{source.path}: found no variable {channel}, expected {request.what}")
            days = [_load(source, name, part, rows, columns) for part in np.split(times, _day_ends(hours))]
            variables[channel] = (np.concatenate(days), source.unit(name))
        _write(path, variables, hours, region.latitude, region.longitude, _preliminary(source, hours))

    return retrieve


def _day_ends(hours: NDArray[np.int64]) -> NDArray[np.intp]:
    return np.flatnonzero(np.diff(hours // 24)) + 1


def _load(
    source: Source, name: str, times: NDArray[np.intp], rows: NDArray[np.intp], columns: NDArray[np.intp]
) -> NDArray[np.float32]:
    """One day. A passing fault of the network is waited for."""
    for attempt in range(1, _ATTEMPTS + 1):
        try:
            values, _ = source.load(name, times, rows, columns)
            break
        except Exception as error:
            if attempt == _ATTEMPTS:
                raise InputError(
                    f"{source.path}: {name}: cannot be read ({first_line(error)}), expected data"
                ) from None
            _log.warning("%s: attempt %d of %d failed: %s", name, attempt, _ATTEMPTS, first_line(error))
            time.sleep(2.0**attempt)
    _log.info("%s: %s", name, hour_text(source.hours[times[0]]))
    return values


def _preliminary(source: Source, hours: NDArray[np.int64]) -> NDArray[np.bool_]:
    """The store names its last day of final data; what comes later is ERA5T."""
    last = source.dataset.attrs.get("valid_time_stop")
    if last is None:
        return np.zeros(len(hours), bool)
    return hours // 24 > int(np.datetime64(str(last)[:10], "D").astype(np.int64))


def _write(
    path: Path,
    variables: dict[str, tuple[NDArray[np.float32], str]],
    hours: NDArray[np.int64],
    latitude: NDArray[np.float64],
    longitude: NDArray[np.float64],
    preliminary: NDArray[np.bool_],
) -> None:
    grid = ("valid_time", "latitude", "longitude")
    dataset = xr.Dataset(
        {name: (grid, values, {"units": unit}) for name, (values, unit) in variables.items()},
        {
            "valid_time": (
                "valid_time",
                hours * 3600,
                {"standard_name": "time", "units": "seconds since 1970-01-01", "calendar": "proleptic_gregorian"},
            ),
            "latitude": ("latitude", latitude, {"units": "degrees_north", "standard_name": "latitude"}),
            "longitude": ("longitude", longitude, {"units": "degrees_east", "standard_name": "longitude"}),
            "expver": ("valid_time", np.where(preliminary, "0005", "0001").astype(object)),
        },
    )
    encoding: dict[str, dict[str, Any]] = {name: {"zlib": True, "complevel": 4} for name in variables}
    encoding |= {name: {"_FillValue": None} for name in grid}
    dataset.to_netcdf(path, engine="netcdf4", format="NETCDF4", encoding=encoding)
