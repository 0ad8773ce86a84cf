"""NetCDF files of trajectories as other people's programs write them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

SHAPE = {"trajectory": 3, "time": 5, "y": 4, "x": 6}


def users_file(path: Path, **variables: xr.DataArray) -> Path:
    """A file that somebody else's program wrote."""
    xr.Dataset(variables).to_netcdf(path)
    return path


def field(dims: tuple[str, ...] = ("trajectory", "time", "y", "x"), dtype: str = "float32") -> xr.DataArray:
    shape = [SHAPE.get(dim, 2) for dim in dims]
    return xr.DataArray(np.arange(np.prod(shape)).reshape(shape).astype(dtype), dims=dims)
