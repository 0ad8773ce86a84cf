"""ERA5 files of any layout as one record: variables, grid, hours and units, of a region or as they come."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.era5 import checks
from weightcast.era5.join import join_pieces
from weightcast.era5.layouts import SUFFIXES, layout_of, open_sources, refuse_unknown
from weightcast.era5.layouts.source import Source
from weightcast.era5.record import Fields, Piece
from weightcast.era5.region import Region, find_points

Chooser = Callable[[NDArray[np.int64]], NDArray[np.bool_]]
"""Hours -> which of them are wanted."""
_DATA_SUFFIXES = (*SUFFIXES.values(), ".nc4", ".netcdf", ".grb", ".grib2", ".grb2")


def find_files(directory: str | Path, folders: Sequence[str] = ()) -> list[Path]:
    """The ERA5 files in a folder and in those of its subfolders that are named, in the order of their names; or a
    single file, or Zarr folder, itself.

    Hidden files do not count, nor do others that are no ERA5 files by content, unless their name says that they are.

    Raises:
        InputError: a file that should be one by its name is none, such as an error page saved as .nc.
    """
    if Path(directory).is_file() or (Path(directory).is_dir() and layout_of(Path(directory)) is not None):
        return [Path(directory)]
    found = []
    for folder in (Path(directory), *(Path(directory) / name for name in folders)):
        for path in sorted(folder.iterdir()) if folder.is_dir() else ():
            if path.name.startswith("."):
                continue
            if layout_of(path) is not None:
                found.append(path)
            elif path.suffix.lower() in _DATA_SUFFIXES:
                raise refuse_unknown(path)
    return found


def read_fields(path: str | Path, channels: Sequence[str] | None = None) -> Fields:
    """Everything in one file, whatever its layout. What is missing stays NaN.

    Args:
        path: of the file.
        channels: variables, in the order wanted; None: all, in the order of the file.

    Raises:
        InputError: the file cannot be used, or does not have a variable.
    """
    path = Path(path)
    with open_sources(path) as sources:
        region = _whole_grid(sources[0])
        names = channels or [name for source in sources for name in source.variables]
    pieces, described = read_pieces(path, names, region)
    _refuse_absent(names, pieces, described)
    return join_pieces(names, pieces, region)


def read_pieces(
    path: Path, channels: Sequence[str], region: Region, wanted: Chooser | None = None
) -> tuple[list[Piece], list[str]]:
    """What one file has of a region, not checked.

    Returns:
        the variables that are there, none if the file does not have all points or no hour that is wanted; the file's
        variables and its place, in words.

    Raises:
        InputError: the file cannot be used.
    """
    with open_sources(path) as sources:
        pieces = [piece for source in sources for piece in _pieces(source, channels, region, wanted)]
        return pieces, _contents(sources)


def read_region(
    paths: Sequence[Path], channels: Sequence[str], region: Region, wanted: Chooser | None = None
) -> Fields:
    """The points of a region and the hours wanted, from all files that have them.

    Variables may lie in different files, and hours in several; an hour that is there twice must be the same twice.

    Args:
        paths: files; those elsewhere or of other times are passed over.
        channels: variables, in the order wanted.
        region: its points must all be grid points of a file.
        wanted: says which hours; None: all.

    Returns:
        finite fields at all hours at which every variable is there.

    Raises:
        InputError: a file cannot be used; no file has the region or a variable; a value is missing; units are wrong;
            files contradict each other.
    """
    pieces: list[Piece] = []
    described: list[str] = []
    for path in paths:
        found, contents = read_pieces(path, channels, region, wanted)
        described = described or contents
        for piece in found:
            checks.check_unit(piece)
            checks.check_finite(piece, region)
        pieces += found
    _refuse_absent(channels, pieces, described, region)
    return join_pieces(channels, pieces, region)


def covered_hours(
    paths: Sequence[Path], channels: Sequence[str], region: Region
) -> Iterator[tuple[Path, str, NDArray[np.int64]]]:
    """Which hours of which variable the files hold for all points of a region; only coordinates are read.

    Yields:
        (file, variable, hours).
    """
    for path in paths:
        with open_sources(path) as sources:
            for source in sources:
                if _places(source, region) is not None:
                    for channel in channels:
                        if source.find(channel) is not None:
                            yield path, channel, source.hours


def _pieces(source: Source, channels: Sequence[str], region: Region, wanted: Chooser | None) -> Iterator[Piece]:
    places = _places(source, region)
    chosen = np.ones(len(source.hours), bool) if wanted is None else wanted(source.hours)
    times = np.flatnonzero(chosen)
    if places is None or not times.size:
        return
    for channel in channels:
        name = source.find(channel)
        if name is not None:
            values, preliminary = source.load(name, times, *places)
            yield Piece(channel, source.hours[times], values, source.unit(name), preliminary, str(source.path))


def _places(source: Source, region: Region) -> tuple[NDArray[np.intp], NDArray[np.intp]] | None:
    """Indices of the region's rows and columns, or None if the file does not have them all."""
    rows = find_points(source.latitude, region.latitude)
    columns = find_points(source.longitude, region.longitude, period=360.0)
    return None if rows is None or columns is None else (rows, columns)


def _whole_grid(source: Source) -> Region:
    """All points: from south to north, and from the westernmost on eastwards, beyond 180 or 360 if need be."""
    longitude = np.unwrap(source.longitude, period=360.0)
    return Region(np.sort(source.latitude), longitude[:: -1 if longitude[-1] < longitude[0] else 1])


def _contents(sources: Sequence[Source]) -> list[str]:
    """What a file holds, in words: its variables, and its place."""
    names = [name for source in sources for name in source.variables]
    first = sources[0]
    place = (
        f"latitude {first.latitude.min():g} to {first.latitude.max():g}, longitude {first.longitude.min():g} to "
        f"{first.longitude.max():g}"
    )
    if len(first.latitude) > 1:
        place += f", {abs(float(first.latitude[1] - first.latitude[0])):g} degrees apart"
    return [", ".join(names), f"{first.path}: {place}"]


def _refuse_absent(
    channels: Sequence[str], pieces: Sequence[Piece], described: Sequence[str], region: Region | None = None
) -> None:
    """Raise an `InputError` unless every variable has a piece."""
    absent = [channel for channel in channels if all(piece.channel != channel for piece in pieces)]
    if not absent or not described:
        return
    variables, place = described
    if region is not None and not pieces:
        area = region.area
        spacing = float(region.latitude[1] - region.latitude[0]) if len(region.latitude) > 1 else 0.0
        raise InputError(
            f"{place} (the first file of those given), expected {', '.join(absent)} at hours wanted, and among the "
            f"points latitude {area.south:g} to {area.north:g}, longitude {area.west:g} to {area.east:g}, {spacing:g} "
            "degrees apart"
        )
    raise InputError(f"{place.split(':')[0]}: found {variables}, expected a variable {absent[0]}")
