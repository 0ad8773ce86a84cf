"""The layouts in which ERA5 comes, told apart by what is in a file and not by its name."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from weightcast.core.errors import InputError
from weightcast.era5.layouts import grib, netcdf, zarr_folder, zipped
from weightcast.era5.layouts.source import Source

Layout = Literal["netcdf", "zip", "grib", "zarr"]
SUFFIXES: dict[Layout, str] = {"netcdf": ".nc", "zip": ".zip", "grib": ".grib", "zarr": ".zarr"}
_ZARR_FILES = ("zarr.json", ".zgroup", ".zmetadata")
_EXPECTED = "expected ERA5 as NetCDF, zip of NetCDF, GRIB or a Zarr folder"


def layout_of(path: Path) -> Layout | None:
    """The layout of a file or folder, or None if it is none of them."""
    if path.is_dir():
        return "zarr" if any((path / name).is_file() for name in _ZARR_FILES) else None
    start = _first_bytes(path)
    if start[:4] in (b"CDF\x01", b"CDF\x02", b"CDF\x05") or start == b"\x89HDF\r\n\x1a\n":
        return "netcdf"
    if start[:4] == b"PK\x03\x04":
        return "zip" if zipped.may_hold_netcdf(path) else None
    return "grib" if start[:4] == b"GRIB" else None


def refuse_unknown(path: Path) -> InputError:
    """What is wrong with a file that has none of the layouts."""
    start = b"" if path.is_dir() else _first_bytes(path).lstrip().lower()
    if path.is_dir():
        found = "a folder that is no Zarr store"
    elif not start:
        found = "an empty file"
    elif start[:4] == b"pk\x03\x04":
        found = "an archive without NetCDF files (.nc)"
    elif start[:1] == b"<":
        found = "a web page or XML (an error message in place of data?)"
    elif start[:1] in (b"{", b"["):
        found = "JSON (an error message in place of data?)"
    else:
        found = f"a file that begins with {start!r}"
    return InputError(f"{path}: found {found}, {_EXPECTED}")


@contextmanager
def open_sources(path: str | Path) -> Iterator[list[Source]]:
    """Open a file. It has several sources where variables do not share their times, as in an archive from the store.

    Nothing but coordinates is read.

    Raises:
        InputError: it is missing, unreadable, truncated or of an unknown layout, or a package for it is not installed.
    """
    path = Path(path)
    if not path.exists():
        raise InputError(f"{path}: found no such file, {_EXPECTED}")
    layout = layout_of(path)
    if layout is None:
        raise refuse_unknown(path)
    opener = {"netcdf": netcdf.opened, "zip": zipped.opened, "grib": grib.opened, "zarr": zarr_folder.opened}[layout]
    with opener(path) as datasets:
        yield [Source.of(path, dataset) for dataset in datasets]


def _first_bytes(path: Path) -> bytes:
    try:
        with path.open("rb") as file:
            return file.read(8)
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror}), {_EXPECTED}") from None
