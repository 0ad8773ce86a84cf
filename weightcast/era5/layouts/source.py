"""One open dataset, its coordinates found and checked, whichever layout it came in."""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import xarray as xr
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.era5.layouts.netcdf import first_line
from weightcast.era5.times import hours_from_units
from weightcast.era5.variables import aliases

_TIMES = ("valid_time", "time", "time_index")
_LATITUDES = ("latitude", "lat")
_LONGITUDES = ("longitude", "lon")
_PRELIMINARY = 5
"""Experiment version (expver) of ERA5T, which is there within days and replaced by final data (1) months later."""


@dataclass(frozen=True, eq=False)
class Source:
    """A dataset and its coordinates.

    Attributes:
        path: of the file, or address of the store; for messages.
        dataset: not yet read.
        dimensions: names of the dimensions time, latitude, longitude.
        hours: int64 [time], since 1970-01-01 00:00 UTC.
        latitude: float64 [latitude], as stored: from north to south as a rule.
        longitude: float64 [longitude], as stored: from -180 or from 0.
        preliminary: bool [time], where it is known from the times.
    """

    path: Path | str
    dataset: xr.Dataset
    dimensions: tuple[str, str, str]
    hours: NDArray[np.int64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    preliminary: NDArray[np.bool_]

    @classmethod
    def of(cls, path: Path | str, dataset: xr.Dataset) -> Source:
        """Find the coordinates.

        Raises:
            InputError: one is missing or cannot be used.
        """
        time = _coordinate(path, dataset, _TIMES, "time")
        if dataset[time].ndim == 0:  # a single hour may come without its dimension
            dataset = dataset.expand_dims(time)
        names = (
            _coordinate(path, dataset, _LATITUDES, "latitude"),
            _coordinate(path, dataset, _LONGITUDES, "longitude"),
        )
        dimensions = [str(dataset[name].dims[0]) for name in (time, *names)]
        attributes = dataset[time].attrs
        # Where the unit of time is not with the times, it may be with the dataset.
        units = str(attributes.get("units") or dataset.attrs.get("time_units") or "")
        calendar = str(attributes.get("calendar", "standard"))
        hours = hours_from_units(f"{path}: {time}", _load(path, time, dataset[time]), units, calendar)
        latitude, longitude = (_load(path, name, dataset[name]).astype(np.float64) for name in names)
        _check_latitude(path, latitude)
        _check_longitude(path, longitude)
        where = (dimensions[0], dimensions[1], dimensions[2])
        return cls(path, dataset, where, hours, latitude, longitude, _preliminary_times(dataset, dimensions[0]))

    @property
    def variables(self) -> list[str]:
        """Names of everything on the grid."""
        return [str(name) for name, found in self.dataset.data_vars.items() if set(self.dimensions) <= set(found.dims)]

    def find(self, channel: str) -> str | None:
        """What the file calls a variable, or None if it does not have it."""
        return next((name for name in aliases(channel) if name in self.variables), None)

    def unit(self, name: str) -> str:
        """Unit of a variable as the file writes it; empty if it does not."""
        return str(self.dataset[name].attrs.get("units", ""))

    def load(
        self, name: str, times: NDArray[np.intp], rows: NDArray[np.intp], columns: NDArray[np.intp]
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Read points of a variable.

        Args:
            name: as in the file.
            times: indices, increasing.
            rows: indices of latitudes, in any order.
            columns: indices of longitudes, in any order.

        Returns:
            float32 [time, row, column], NaN where there is none; bool [time], whether it is ERA5T.

        Raises:
            InputError: the variable has further dimensions, or is of a type that it cannot be; or the file is damaged.
        """
        _check_packing(self.path, name, self.dataset[name])
        variable = self._reduced(name)
        time, latitude, longitude = self.dimensions
        blocks = []
        for run in _runs(columns):
            # Slices are read much faster than lists of indices, and what lies between the points is little.
            window = variable.isel(
                {
                    time: _as_slice(times),
                    latitude: slice(rows.min(), rows.max() + 1),
                    longitude: slice(run.min(), run.max() + 1),
                }
            )
            order = [dimension for dimension in (time, "expver", latitude, longitude) if dimension in window.dims]
            block = _load(self.path, name, window.transpose(*order))
            blocks.append(block[..., rows - rows.min(), :][..., run - run.min()])
        values = np.concatenate(blocks, axis=-1).astype(np.float32)
        if "expver" in variable.dims:
            return _merge_versions(self.path, values, self.dataset["expver"].to_numpy())
        return values, self.preliminary[times]

    def _reduced(self, name: str) -> xr.DataArray:
        """The variable without dimensions of length one."""
        variable = self.dataset[name]
        for dimension in variable.dims:
            size = variable.sizes[dimension]
            if dimension in self.dimensions or dimension == "expver":
                continue
            if size != 1:
                raise InputError(
                    f"{self.path}: {name}: found a dimension {dimension} of length {size}, expected a single-level "
                    "variable of one member, with the dimensions time, latitude and longitude"
                )
            variable = variable.isel({dimension: 0})
        return variable


def _coordinate(path: Path | str, dataset: xr.Dataset, names: tuple[str, ...], what: str) -> str:
    dimensions = (0, 1) if what == "time" else (1,)
    for name in names:
        if name in dataset.variables and dataset[name].ndim in dimensions:
            return name
    found = ", ".join(f"{name}{dataset[name].dims}" for name in map(str, dataset.variables)) or "no variable"
    raise InputError(f"{path}: found {found}, expected a coordinate of one dimension for {what}: {' or '.join(names)}")


def _load(path: Path | str, name: str, variable: xr.DataArray) -> NDArray[np.generic]:
    try:
        return variable.to_numpy()
    # Damaged chunks: OSError from zip and file system, RuntimeError from HDF5 and Zarr's codecs, zlib's and GRIB's own.
    except (OSError, RuntimeError, ValueError, IndexError, KeyError, EOFError, zlib.error) as error:
        raise InputError(f"{path}: {name}: cannot be read ({first_line(error)}), expected a whole file") from None


def _check_latitude(path: Path | str, latitude: NDArray[np.float64]) -> None:
    steps = np.diff(latitude)
    ordered = bool((steps > 0).all() or (steps < 0).all())
    if not (ordered and np.isfinite(latitude).all() and (np.abs(latitude) <= 90 + 1e-6).all()):
        raise InputError(
            f"{path}: latitude: found {_range(latitude)} in no order or beyond a pole, expected degrees from north to "
            "south or from south to north"
        )


def _check_longitude(path: Path | str, longitude: NDArray[np.float64]) -> None:
    inside = np.isfinite(longitude).all() and (longitude >= -360).all() and (longitude <= 540).all()
    # Both 0 and 360 may be there: one meridian, twice.
    if not inside or len(np.unique(np.round(longitude % 360, 4) % 360)) < len(longitude) - 1:
        raise InputError(f"{path}: longitude: found {_range(longitude)}, expected degrees, every meridian once")


def _range(values: NDArray[np.float64]) -> str:
    return f"{len(values)} values from {np.nanmin(values):g} to {np.nanmax(values):g}" if values.size else "none"


def _check_packing(path: Path | str, name: str, variable: xr.DataArray) -> None:
    stored = np.dtype(variable.encoding.get("dtype", variable.dtype))
    if variable.dtype.kind not in "iuf":
        raise InputError(f"{path}: {name}: found values of type {variable.dtype}, expected numbers")
    if stored.kind in "iu" and "scale_factor" not in variable.encoding:
        raise InputError(
            f"{path}: {name}: found integers ({stored}) without scale_factor, expected packed integers with "
            "scale_factor and add_offset, or floating-point numbers"
        )


def _preliminary_times(dataset: xr.Dataset, time: str) -> NDArray[np.bool_]:
    """From `expver`, a text for every time or one for all, such as 0001 or 0005."""
    size = dataset.sizes[time]
    if "expver" not in dataset.variables or dataset["expver"].dims not in ((time,), ()):
        return np.zeros(size, bool)
    versions = np.broadcast_to(dataset["expver"].to_numpy(), (size,))
    return np.array([_version(version) == _PRELIMINARY for version in versions], bool)


def _version(text: object) -> int:
    plain = text.decode("ascii", "replace") if isinstance(text, bytes) else str(text)
    return int(plain) if plain.strip().isdigit() else 0


def _merge_versions(
    path: Path | str, values: NDArray[np.float32], versions: NDArray[np.generic]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Final data where there are some, ERA5T elsewhere: [time, version, row, column] -> [time, row, column]."""
    known = [_version(version) for version in versions]
    if 1 not in known or _PRELIMINARY not in known or len(known) != 2:
        raise InputError(f"{path}: expver: found {', '.join(map(str, known))}, expected 1 (final) and 5 (ERA5T)")
    final, preliminary = values[:, known.index(1)], values[:, known.index(_PRELIMINARY)]
    absent: NDArray[np.bool_] = np.isnan(final)
    merged: NDArray[np.float32] = np.where(absent, preliminary, final)
    return merged, np.asarray(absent.all(axis=(1, 2)), bool)


def _runs(indices: NDArray[np.intp]) -> list[NDArray[np.intp]]:
    """Cut where neighbours are far from each other: a region across the seam of a file is read in two."""
    steps = np.abs(np.diff(indices))
    return np.split(indices, np.flatnonzero(steps > np.median(steps)) + 1) if steps.size else [indices]


def _as_slice(indices: NDArray[np.intp]) -> slice | NDArray[np.intp]:
    steps = np.diff(indices)
    if len(indices) and (steps == (steps[0] if steps.size else 1)).all():
        return slice(int(indices[0]), int(indices[-1]) + 1, int(steps[0]) if steps.size else 1)
    return indices
