"""NetCDF from the Climate Data Store: NetCDF-3 until 2024, NetCDF-4 since.

They differ in names and packing, which `Source` sees to. Unpacking by scale_factor, add_offset and _FillValue is
xarray's.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import xarray as xr

from weightcast.core.errors import InputError
from weightcast.trajectories.netcdf import check_whole


@contextmanager
def opened(path: Path) -> Iterator[list[xr.Dataset]]:
    """The file as a dataset whose times are still numbers.

    Raises:
        InputError: it is damaged or truncated.
    """
    try:
        check_whole(path)
    except InputError:
        raise InputError(f"{path}: found a NetCDF file that ends too early, expected a whole one") from None
    try:
        dataset = xr.open_dataset(path, engine="netcdf4", decode_times=False, decode_timedelta=False, cache=False)
    except (OSError, RuntimeError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({first_line(error)}), expected a whole NetCDF file") from None
    with dataset:
        yield [dataset]


def first_line(error: Exception) -> str:
    """What an error says, in one line."""
    lines = str(getattr(error, "strerror", None) or error).splitlines()
    return lines[0] if lines else type(error).__name__
