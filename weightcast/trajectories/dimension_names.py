"""What dimensions of NetCDF files are called: by this house, by other programs, and where somebody says it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

import numpy as np
import xarray as xr

from weightcast.core.dimensions import DIMENSIONS, Dimension
from weightcast.core.errors import InputError
from weightcast.core.names import listed

ALIASES: dict[Dimension, tuple[str, ...]] = {
    "trajectory": (
        "member", "members", "ensemble", "ens", "ensemble_member", "realization", "realisation", "number", "sample",
        "samples", "run", "runs", "simulation", "replicate", "trajectories"
    ),
    "time": ("valid_time", "time_counter", "times", "t", "timestep", "time_step", "frame", "frames", "snapshot"),
    "y": (
        "lat", "latitude", "northing", "row", "rows", "rlat", "nlat", "south_north", "yc", "projection_y_coordinate",
        "grid_latitude", "j", "ny"
    ),
    "x": (
        "lon", "longitude", "easting", "col", "cols", "column", "columns", "rlon", "nlon", "west_east", "xc",
        "projection_x_coordinate", "grid_longitude", "i", "nx"
    ),
}  # fmt: skip
"""What programs call the dimensions, in small letters."""
STANDARD_NAMES: dict[Dimension, tuple[str, ...]] = {
    "trajectory": ("realization",),
    "time": ("time",),
    "y": ("latitude", "grid_latitude", "projection_y_coordinate"),
    "x": ("longitude", "grid_longitude", "projection_x_coordinate"),
}
"""What CF conventions call the coordinates of these, in the attribute ``standard_name``."""
AXES = {"time": "T", "y": "Y", "x": "X"}
"""The same in the attribute ``axis``."""
GEOGRAPHIC: dict[str, tuple[tuple[str, ...], str]] = {
    "y": (("lat", "lats", "latitude", "nav_lat", "xlat", "tlat", "ulat", "lat_rho"), "latitude"),
    "x": (("lon", "lons", "longitude", "nav_lon", "xlong", "tlong", "ulong", "lon_rho"), "longitude"),
}
"""What coordinates of two dimensions are called, in small letters, and their ``standard_name``."""
LINES = ("y", "position", "distance", "depth", "height", "altitude", "z")
"""What x is also called where the fields of a file lie along a line."""


def with_own_names(dataset: xr.Dataset, path: Path, given: Mapping[Dimension, str] | None = None) -> xr.Dataset:
    """The same with the dimensions' names of this house, and without further dimensions of length 1.

    What nobody says is recognised by names (:data:`ALIASES`; case does not count), or by what coordinates say of
    themselves, where one dimension alone may be meant; of several, where one alone is longer than 1.

    Args:
        dataset: as it was opened.
        path: of the file, for messages.
        given: names of dimensions in the file, by their names here (``data.dimensions``).

    Raises:
        InputError: the file has no dimension of a name that is given.
    """
    names = own_names(dataset, path, given)
    # What is called like one of ours and is something else makes way.
    away = [name for name in names.values() if name in dataset.variables and name not in dataset.dims]
    aside = {name: f"{name}_of_file" for name in names.values() if name in dataset.dims and name not in names}
    dataset = dataset.drop_vars(away).rename(aside | names)
    dataset = dataset.squeeze([name for name, size in dataset.sizes.items() if size == 1 and name not in DIMENSIONS])
    return _with_coordinates(dataset)


def own_names(dataset: xr.Dataset, path: Path, given: Mapping[Dimension, str] | None = None) -> dict[str, str]:
    """What dimensions are called here, by their names in the file, of those that are called otherwise there.

    Raises:
        InputError: as :func:`with_own_names`.
    """
    names: dict[str, str] = {}
    for name, own in (given or {}).items():
        if own not in dataset.dims:
            found = listed([f"{one} ({size})" for one, size in dataset.sizes.items()])
            raise InputError(
                f"{path}: found the dimensions {found}, expected {own} among them, which is {name} by data.dimensions "
                "(--dimensions)"
            )
        names[own] = name
    for name in DIMENSIONS:
        if name not in names.values() and name not in dataset.dims and name not in dataset.variables:
            meant = _meant(dataset, name, names)
            if meant is not None:
                names[meant] = name
    if "x" not in names.values() and "x" not in dataset.variables and not _still(dataset, names, "x"):
        long = {one: size for one, size in dataset.sizes.items() if size > 1 or names.get(str(one), one) == "y"}
        along = [str(one) for one in long if names.get(str(one), str(one)).lower() in LINES]
        if len(along) == 1 and (given or {}).get("y") != along[0]:
            names[along[0]] = "x"
    return {own: name for own, name in names.items() if own != name}


def _still(dataset: xr.Dataset, names: Mapping[str, str], name: str) -> bool:
    """Whether a dimension of the file is called so, and meant so."""
    return name in dataset.dims and name not in names


def how_to_name(dataset: xr.Dataset) -> str:
    """What to do about dimensions that were not recognised, for the end of a message."""
    others = [str(name) for name in dataset.dims if name not in DIMENSIONS]
    lacking = [name for name in DIMENSIONS if name not in dataset.dims]
    guesses = " ".join(f"{name}={own}" for name, own in zip(lacking, others, strict=False))
    return f"; or their names (data.dimensions), perhaps --dimensions {guesses}" if guesses else ""


def _meant(dataset: xr.Dataset, name: Dimension, taken: Iterable[str]) -> str | None:
    """The dimension that is one of ours by its name, or by what its coordinate says."""
    free = [str(one) for one in dataset.dims if one not in (*DIMENSIONS, *taken)]
    named = [one for one in free if one.lower() in (name, *ALIASES[name])]
    said = [one for one in free if one in dataset.variables and _says(dataset[one].attrs, name)]
    for found in (named, [one for one in named if dataset.sizes[one] > 1], said):
        if len(found) == 1:
            return found[0]
    return None


def _says(attributes: Mapping[object, object], name: Dimension) -> bool:
    """Whether a coordinate is that of one of our dimensions, by its attributes."""
    return attributes.get("axis") == AXES.get(name, "") or attributes.get("standard_name") in STANDARD_NAMES[name]


def _with_coordinates(dataset: xr.Dataset) -> xr.Dataset:
    """The same with coordinates of y and x that have names of their own, as ``lat (y)``."""
    for name in DIMENSIONS[1:]:
        if name in dataset.dims and name not in dataset.variables:
            along = [
                str(one)
                for one, variable in dataset.variables.items()
                if variable.dims == (name,)
                and (str(one).lower() in ALIASES[name] or _says(variable.attrs, name))
                and variable.dtype.kind in "iuf"
            ]
            if len(along) == 1:
                dataset = dataset.assign_coords({name: (name, dataset[along[0]].to_numpy(), dataset[along[0]].attrs)})
                dataset = dataset.drop_vars(along)
            elif not along and (rising := _rises(dataset, name)) is not None:
                numbers = np.arange(dataset.sizes[name], dtype=np.float64)
                dataset = dataset.assign_coords({name: (name, numbers if rising else numbers[::-1].copy())})
    return dataset


def _rises(dataset: xr.Dataset, name: Dimension) -> bool | None:
    """Whether a latitude or longitude of two dimensions grows along y or x, as the others of its row or column do; None
    where there is none, or it does not say.

    Only the order is taken from it: how far points lie apart differs from row to row.
    """
    if name not in GEOGRAPHIC or not {"y", "x"} <= set(dataset.dims):
        return None
    for one, variable in dataset.variables.items():
        names, standard = GEOGRAPHIC[name]
        if str(one).lower() not in names and variable.attrs.get("standard_name") != standard:
            continue
        if not {"y", "x"} <= set(variable.dims) or variable.dtype.kind not in "iuf":
            continue
        grid = variable.isel({one: 0 for one in variable.dims if one not in ("y", "x")}).transpose("y", "x").to_numpy()
        steps = np.diff(grid.astype(np.float64), axis=0 if name == "y" else 1)
        if steps.size and ((steps > 0).all() or (steps < 0).all()):
            return bool(steps.flat[0] > 0)
    return None
