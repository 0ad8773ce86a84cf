"""Fields of ERA5 in memory, the same whatever layout they came in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class Piece:
    """One variable as one file holds it.

    Attributes:
        channel: name of the variable.
        hours: int64 [time], since 1970-01-01 00:00 UTC; as they stand in the file.
        values: float32 [time, latitude, longitude], unpacked, south to north and west to east.
        unit: as the file writes it; empty if it does not.
        preliminary: bool [time], whether it is ERA5T rather than final.
        file: name of the file, for messages.
    """

    channel: str
    hours: NDArray[np.int64]
    values: NDArray[np.float32]
    unit: str
    preliminary: NDArray[np.bool_]
    file: str


@dataclass(frozen=True, eq=False)
class Fields:
    """Several variables on one grid.

    Attributes:
        values: float32 [time, channel, latitude, longitude], in `units`.
        channels: name of each variable.
        hours: int64 [time], since 1970-01-01 00:00 UTC, increasing.
        latitude: float64 [latitude], degrees north, increasing.
        longitude: float64 [longitude], degrees east, increasing; beyond 180 or 360 where it crosses that meridian.
        units: of every variable.
        preliminary: bool [time], whether some variable is ERA5T rather than final.
    """

    values: NDArray[np.float32]
    channels: tuple[str, ...]
    hours: NDArray[np.int64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]
    units: Mapping[str, str]
    preliminary: NDArray[np.bool_]
