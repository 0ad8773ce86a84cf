"""Zarr stores in a folder, format 2 or 3."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import xarray as xr

from weightcast.core.errors import InputError
from weightcast.core.extras import how_to_install
from weightcast.era5.layouts.netcdf import first_line

_BLOSC_HEADER = 16


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
    with warnings.catch_warnings():
        # Stores without consolidated metadata, or with a file of notes among the arrays, are none the worse for it.
        warnings.simplefilter("ignore")
        try:
            dataset = xr.open_dataset(
                _checked_store(path), engine="zarr", decode_times=False, decode_timedelta=False, cache=False
            )
        except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
            raise InputError(f"{path}: cannot be read ({first_line(error)}), expected a whole Zarr store") from None
    with dataset:
        yield [dataset]


def _checked_store(path: Path) -> Any:
    """The folder as a store that refuses truncated chunks.

    Blosc, which ARCO-ERA5 is compressed by, decodes those without a word, to whatever is in memory beyond their end.
    """
    import zarr
    from zarr.storage import LocalStore

    arrays = zarr.open_group(path, mode="r").arrays()
    by_blosc = {name for name, array in arrays if any("blosc" in str(codec).lower() for codec in array.compressors)}

    class CheckedStore(LocalStore):
        async def get(self, key: str, prototype: Any = None, byte_range: Any = None) -> Any:
            chunk = await super().get(key, prototype, byte_range)
            array, _, name = key.partition("/")
            if chunk is None or byte_range is not None or array not in by_blosc or not name.lstrip("c/")[:1].isdigit():
                return chunk
            content = chunk.to_bytes()
            if len(content) < _BLOSC_HEADER or len(content) != int.from_bytes(content[12:16], "little"):
                raise OSError(f"the chunk {key} ends too early")
            return chunk

    return CheckedStore(path, read_only=True)
