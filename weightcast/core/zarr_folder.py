"""Zarr stores: folders that hold what a NetCDF file holds, in many small files."""

from __future__ import annotations

import json
import warnings
from pathlib import Path
from typing import Any

import xarray as xr

from weightcast.core.errors import InputError
from weightcast.core.extras import require

ZARR = ".zarr"
"""What names of stores end in."""
METADATA = ("zarr.json", ".zarray", ".zgroup", ".zmetadata")
"""Files that say what a store holds and how it is encoded, of versions 3 and 2."""
MOST_METADATA = 16 * 2**20
"""Bytes of such a file."""
_BLOSC_HEADER = 16


def is_store(path: Path) -> bool:
    """Whether a path is a Zarr store."""
    return path.suffix == ZARR and path.is_dir()


def store_files(path: Path) -> list[Path]:
    """All files of a store, in the order of their names."""
    return sorted(file for file in path.rglob("*") if file.is_file())


def check_store(path: Path) -> None:
    """Refuse what must not be opened.

    Raises:
        InputError: the package zarr is missing, there is no metadata or it cannot be read, or values are pickled, which
            would run what the store says.
    """
    require("zarr", "era5", f"{path}: a Zarr store")
    described = [file for file in store_files(path) if file.name in METADATA]
    if not described:
        raise InputError(f"{path}: found none of {', '.join(METADATA)}, expected a Zarr store")
    for file in described:
        try:
            if file.stat().st_size > MOST_METADATA:
                raise ValueError(f"{file.stat().st_size} bytes")
            found = json.loads(file.read_text(encoding="utf-8"))
        except (OSError, ValueError, RecursionError) as error:
            raise InputError(f"{file}: cannot be read ({error}), expected the metadata of a Zarr store") from None
        if _pickled(found):
            raise InputError(f"{file}: found values that are pickled, expected numbers: pickles are never loaded")


def open_store(path: Path) -> xr.Dataset:
    """The store as a dataset whose times are still numbers; its variables have no order of their own.

    Raises:
        InputError: see :func:`check_store`; or the store is damaged. A truncated chunk is an OSError when it is read.
    """
    check_store(path)
    with warnings.catch_warnings():
        # Stores without consolidated metadata, or with a file of notes among the arrays, are none the worse for it.
        warnings.simplefilter("ignore")
        try:
            return xr.open_dataset(
                _checked_store(path), engine="zarr", decode_times=False, decode_timedelta=False, cache=False
            )
        except (OSError, KeyError, ValueError, RuntimeError, TypeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"{path}: cannot be read ({reason}), expected a whole Zarr store") from None


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


def _pickled(metadata: Any) -> bool:
    """Whether some filter or codec is called so."""
    left = [metadata]
    while left:
        one = left.pop()
        if isinstance(one, dict):
            if any(str(one.get(key, "")).rpartition(".")[2].lower() == "pickle" for key in ("id", "name")):
                return True
            left += one.values()
        elif isinstance(one, list):
            left += one
    return False
