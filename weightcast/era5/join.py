"""Pieces from several files put together."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

import numpy as np

from weightcast.core.errors import InputError
from weightcast.era5.record import Fields, Piece
from weightcast.era5.region import Region
from weightcast.era5.times import hour_text
from weightcast.era5.variables import VARIABLES, same_unit


def join_pieces(channels: Sequence[str], pieces: Sequence[Piece], region: Region) -> Fields:
    """All hours at which every variable is there, each once.

    Raises:
        InputError: files differ in the unit of a variable, or in its values at an hour that several of them have.
    """
    joined = [_in_order([piece for piece in pieces if piece.channel == channel]) for channel in channels]
    hours = reduce(np.intersect1d, (piece.hours for piece in joined))
    places = [np.searchsorted(piece.hours, hours) for piece in joined]
    return Fields(
        values=np.stack([piece.values[place] for piece, place in zip(joined, places, strict=True)], axis=1),
        channels=tuple(channels),
        hours=hours,
        latitude=region.latitude,
        longitude=region.longitude,
        units={piece.channel: piece.unit for piece in joined},
        preliminary=np.logical_or.reduce(
            [piece.preliminary[place] for piece, place in zip(joined, places, strict=True)], axis=0
        ),
    )


def _in_order(pieces: Sequence[Piece]) -> Piece:
    """One variable's pieces as one, by time, without the repetitions."""
    first = next((piece for piece in pieces if piece.unit), pieces[0])
    for piece in pieces:
        if not same_unit(piece.unit or first.unit, first.unit):
            raise InputError(
                f"{piece.file}: {first.channel}: found the unit {piece.unit!r}, expected {first.unit!r} as in "
                f"{first.file}"
            )
    hours = np.concatenate([piece.hours for piece in pieces])
    values = np.concatenate([piece.values for piece in pieces])
    preliminary = np.concatenate([piece.preliminary for piece in pieces])
    files = np.repeat(np.arange(len(pieces)), [len(piece.hours) for piece in pieces])
    order = np.lexsort((preliminary, hours))  # final before preliminary, so that what is kept counts as final
    repeated = np.flatnonzero(np.diff(hours[order]) == 0)
    for before, after in zip(order[repeated], order[repeated + 1], strict=True):
        if not np.array_equal(values[before], values[after], equal_nan=True):
            _refuse_contradiction(pieces, files[before], files[after], hours[before], values[before] - values[after])
    kept = np.delete(order, repeated + 1)
    unit = first.unit or (VARIABLES[first.channel].unit if first.channel in VARIABLES else "")
    return Piece(first.channel, hours[kept], values[kept], unit, preliminary[kept], first.file)


def _refuse_contradiction(pieces: Sequence[Piece], one: int, other: int, hour: int, difference: np.ndarray) -> None:
    where = pieces[one].file if one == other else f"{pieces[one].file} and {pieces[other].file}"
    largest = float(np.nanmax(np.abs(difference))) if np.isfinite(difference).any() else float("nan")
    raise InputError(
        f"{where}: {pieces[one].channel}: found {hour_text(hour)} twice with values up to {largest:.3g} apart, "
        "expected every hour once: remove one of the two (packed and unpacked copies, or ERA5T and final data, differ)"
    )
