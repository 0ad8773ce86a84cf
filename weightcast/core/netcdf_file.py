"""NetCDF files that are written whole or not at all."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
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
    with written_whole(path) as partial, said_of_disk(path):
        dataset.to_netcdf(partial, format="NETCDF4", engine="netcdf4", encoding=dict(encoding))


@contextmanager
def said_of_disk(path: str | Path) -> Iterator[None]:
    """Make an OSError of what the NetCDF library says where a file cannot be written."""
    try:
        yield
    except RuntimeError as error:
        if "NetCDF" not in str(error):
            raise
        raise OSError(f"{path}: cannot be written ({error}), expected room on the disk") from None
