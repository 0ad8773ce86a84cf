"""NetCDF files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from weightcast.core.files import written_whole

if TYPE_CHECKING:
    import xarray as xr


def write_netcdf(dataset: xr.Dataset, path: str | Path, encoding: Mapping[Any, Mapping[str, Any]]) -> None:
    """Write a dataset.

    Args:
        dataset: of xarray.
        path: of the file; folders are made as needed.
        encoding: of its variables, as ``xarray.Dataset.to_netcdf`` takes it.

    Raises:
        OSError: it cannot be written, as on a full disk, which the library calls an error of its own.
    """
    with written_whole(path) as partial:
        try:
            dataset.to_netcdf(partial, format="NETCDF4", engine="netcdf4", encoding=dict(encoding))
        except RuntimeError as error:
            if "NetCDF" not in str(error):
                raise
            raise OSError(f"{path}: cannot be written ({error}), expected room on the disk") from None
