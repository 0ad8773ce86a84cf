"""GRIB, by cfgrib where it is installed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import xarray as xr

from weightcast.core.errors import InputError
from weightcast.core.extras import how_to_install
from weightcast.era5.layouts.netcdf import first_line


@contextmanager
def opened(path: Path) -> Iterator[list[xr.Dataset]]:
    """The messages as datasets, one for each set of variables that share their dimensions.

    Raises:
        InputError: cfgrib is not installed, or the file is damaged.
    """
    if find_spec("cfgrib") is None:
        raise InputError(
            f"{path}: found GRIB and no Python package cfgrib, expected it installed ({how_to_install('grib')}) "
            "or NetCDF in its place (data_format: netcdf)"
        )
    import cfgrib

    settings = {
        "indexpath": "",  # cfgrib's index files are pickles
        "time_dims": ("valid_time",),  # accumulations come by forecast start and step
        "extra_coords": {"expver": "valid_time"},
        "errors": "raise",
    }
    try:
        datasets = cfgrib.open_datasets(str(path), backend_kwargs=settings, decode_times=False, cache=False)
    # cfgrib and eccodes have error types of their own, which have no other base in common.
    except Exception as error:
        raise InputError(f"{path}: cannot be read ({first_line(error)}), expected a whole GRIB file") from None
    if not datasets:
        raise InputError(f"{path}: found no field, expected a GRIB file of ERA5")
    try:
        yield datasets
    finally:
        for dataset in datasets:
            dataset.close()
