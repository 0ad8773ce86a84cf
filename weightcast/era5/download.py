"""Downloads of one month and region, unless there are files that hold it already.

A download goes to a hidden temporary file, is read to the last value, and only then gets its name. So a file that bears
its name is whole, a run that was interrupted leaves those that were finished, and the next one goes on after them.
Files that are there are never overwritten or deleted: they may be the user's own.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np

from weightcast.core.errors import InputError
from weightcast.era5.checks import check_unit
from weightcast.era5.layouts import SUFFIXES, layout_of, refuse_unknown
from weightcast.era5.read import covered_hours, find_files, read_pieces
from weightcast.era5.request import Request
from weightcast.era5.times import hour_text

Retrieve = Callable[[Request, Path], None]
"""Writes what was asked for to a file, in whatever layout, or raises an `InputError`."""


def obtain(request: Request, directory: str | Path, retrieve: Callable[[], Retrieve]) -> tuple[list[Path], bool]:
    """Make sure that the files of a folder hold a request.

    Args:
        request: month, area, variables and hours.
        directory: files in it count, and those in its subfolder named after the area, where downloads go.
        retrieve: called only if something is missing, and returns what fetches it.

    Returns:
        the files that hold it; whether one of them was downloaded just now.

    Raises:
        InputError: a file that is there cannot be used, or holds a part of the month under the name of the download;
            or the download failed or is not what was asked for. Nothing is left behind then.
    """
    files = find_files(directory, (request.area.name,))
    holding, missing = _look_up(request, files)
    if missing is None:
        return holding, False
    folder = Path(directory) / request.area.name
    for path in files:
        if path.parent == folder and path.stem == request.month:
            raise InputError(
                f"{path}: found no {missing}, expected {request.what}, or no file of this name: remove it to have the "
                "month downloaded"
            )
    return [_download(request, folder, retrieve())], True


def check_download(path: Path, request: Request) -> None:
    """Read a file to the last value and see that it holds a request.

    Values may be missing at single points, as sea surface temperature is on land, but no frame may be empty.

    Raises:
        InputError: it does not, or it is damaged.
    """
    if layout_of(path) is None:
        raise refuse_unknown(path)
    _, missing = _look_up(request, [path])
    if missing is not None:
        raise InputError(f"{path}: found no {missing}, expected {request.what}")
    pieces, _ = read_pieces(path, request.variables, request.region, lambda hours: np.isin(hours, request.times))
    for piece in pieces:
        check_unit(piece)
        empty = np.isnan(piece.values).all(axis=(1, 2))
        if empty.any():
            raise InputError(
                f"{path}: {piece.channel}: found no values at {hour_text(piece.hours[empty.argmax()])} "
                f"({int(empty.sum())} such hours), expected {request.what}"
            )


def _download(request: Request, folder: Path, retrieve: Retrieve) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    # The suffix is known when the content is: the store sends an archive where NetCDF was asked for.
    partial = folder / f".{request.month}.{os.getpid()}.partial"
    try:
        retrieve(request, partial)
        if not partial.is_file():
            raise InputError(f"{request.what}: found no file after the download, expected one")
        try:
            check_download(partial, request)
        except InputError as error:
            raise InputError(str(error).replace(str(partial), f"download of {request.what}")) from None
        layout = layout_of(partial)
        assert layout is not None  # check_download has seen to it
        return partial.rename(folder / f"{request.month}{SUFFIXES[layout]}")
    finally:
        partial.unlink(missing_ok=True)


def _look_up(request: Request, files: Sequence[Path]) -> tuple[list[Path], str | None]:
    """The files that hold some of a request, and what none of them holds, in words."""
    wanted = request.times
    missing = dict.fromkeys(request.variables, wanted)
    holding = []
    for path, variable, hours in covered_hours(files, request.variables, request.region):
        found = np.isin(missing[variable], hours)
        if found.any() and path not in holding:
            holding.append(path)
        missing[variable] = missing[variable][~found]
    for variable, hours in missing.items():
        if hours.size:
            where = f"{variable} at {hour_text(hours[0])} ({hours.size} of {wanted.size} hours are missing)"
            return holding, f"{where} for all points of {request.area.name}"
    return holding, None
