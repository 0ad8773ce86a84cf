"""Zarr stores: folders that hold what a NetCDF file holds, in many small files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from weightcast.core.errors import InputError
from weightcast.core.extras import require

ZARR = ".zarr"
"""What names of stores end in."""
METADATA = ("zarr.json", ".zarray", ".zgroup", ".zmetadata")
"""Files that say what a store holds and how it is encoded, of versions 3 and 2."""
MOST_METADATA = 16 * 2**20
"""Bytes of such a file."""


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
