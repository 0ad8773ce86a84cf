"""Zip archives from the Climate Data Store: a NetCDF file for each kind of time step.

`data_stream-oper_stepType-instant.nc` holds values at a time, `data_stream-oper_stepType-accum.nc` sums over the hour
before. Members are copied to names of our own in a temporary folder, so that a name in an archive never becomes a path.
"""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

import xarray as xr

from weightcast.core.errors import InputError
from weightcast.era5.layouts import netcdf
from weightcast.era5.layouts.netcdf import first_line


@contextmanager
def opened(path: Path) -> Iterator[list[xr.Dataset]]:
    """Every NetCDF member as a dataset.

    Raises:
        InputError: the archive is damaged or encrypted, or a member is damaged.
    """
    with tempfile.TemporaryDirectory(prefix="weightcast-era5-") as folder, ExitStack() as open_members:
        datasets = []
        for name, member in _copied(path, Path(folder)):
            try:
                datasets += open_members.enter_context(netcdf.opened(member))
            except InputError as error:
                raise InputError(str(error).replace(str(member), f"{path}: {name}")) from None
        yield datasets


def may_hold_netcdf(path: Path) -> bool:
    """Whether NetCDF files are in an archive, or it is damaged and they may have been."""
    try:
        with zipfile.ZipFile(path) as archive:
            return any(name.lower().endswith(".nc") for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return True


def _copied(path: Path, folder: Path) -> list[tuple[str, Path]]:
    """Name in the archive and copy of each member."""
    try:
        with zipfile.ZipFile(path) as archive:
            members = [member for member in archive.infolist() if member.filename.lower().endswith(".nc")]
            size, free = sum(member.file_size for member in members), shutil.disk_usage(folder).free
            if size > free:
                raise InputError(
                    f"{path}: found {size / 1e9:.1f} GB in the archive, expected at most the {free / 1e9:.1f} GB that "
                    f"are free in {folder.parent}"
                )
            copies = [(member.filename, folder / f"{index}.nc") for index, member in enumerate(members)]
            for member, (_, copy) in zip(members, copies, strict=True):
                with archive.open(member) as source, copy.open("wb") as target:
                    shutil.copyfileobj(source, target)
    except (zipfile.BadZipFile, zlib.error, OSError, EOFError, RuntimeError, NotImplementedError) as error:
        raise InputError(f"{path}: cannot be read ({first_line(error)}), expected a whole zip archive") from None
    return copies
