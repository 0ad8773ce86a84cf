"""Zarr stores in a folder, format 2 or 3."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path

import xarray as xr

from weightcast.core.errors import InputError
from weightcast.core.extras import how_to_install
from weightcast.core.zarr_folder import open_store


@contextmanager
def opened(path: Path) -> Iterator[list[xr.Dataset]]:
    """The store as a dataset whose times are still numbers.

    Raises:
        InputError: zarr is not installed, or the store is damaged.
    """
    if find_spec("zarr") is None:
        raise InputError(
            f"{path}: found a Zarr store and no Python package zarr, expected it installed: {how_to_install('era5')}"
        )
    with open_store(path) as dataset:
        yield [dataset]
