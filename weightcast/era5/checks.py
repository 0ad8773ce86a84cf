"""What is asked of ERA5 once it is read. Each check raises an `InputError` of one line."""

from __future__ import annotations

import logging
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.era5.record import Fields, Piece
from weightcast.era5.region import Region
from weightcast.era5.times import hour_text
from weightcast.era5.variables import VARIABLES, same_unit

_log = logging.getLogger(__name__)


def check_unit(piece: Piece) -> None:
    """The unit is the one that ECMWF gives the variable, however it is written. One that is not stated is warned of."""
    known = VARIABLES.get(piece.channel)
    if known is None:
        return
    if not piece.unit:
        _log.warning("%s: %s: states no unit, taken for %s", piece.file, piece.channel, known.unit)
    elif not same_unit(piece.unit, known.unit):
        raise InputError(
            f"{piece.file}: {piece.channel}: units: found {piece.unit!r}, expected {known.unit!r} as in ERA5"
        )


def check_finite(piece: Piece, region: Region) -> None:
    """No NaN and no Inf; the message says when and where the first one is, and how many there are."""
    finite = np.isfinite(piece.values)
    if finite.all():
        return
    time, row, column = map(int, np.unravel_index(int(finite.argmin()), finite.shape))
    number = finite.size - int(np.count_nonzero(finite))
    raise InputError(
        f"{piece.file}: {piece.channel}: found no value (fill value or NaN) at {hour_text(piece.hours[time])}, "
        f"latitude {region.latitude[row]:g}, longitude {region.longitude[column]:g} ({number} of {finite.size} are "
        "missing), expected a value at every point of the region"
    )


def check_hours(found: NDArray[np.int64], expected: NDArray[np.int64], what: str) -> None:
    """Every hour expected is found; the message names the first that is not, and how many there are.

    Args:
        found: hours, increasing.
        expected: hours, increasing.
        what: environment and variables, for the message.
    """
    missing = np.setdiff1d(expected, found)
    if missing.size:
        raise InputError(
            f"{what}: found no data at {hour_text(missing[0])} ({len(missing)} of {len(expected)} hours are missing), "
            f"expected every one from {hour_text(expected[0])} to {hour_text(expected[-1])} that is asked for"
        )


def check_steps(hours: NDArray[np.int64], uneven: int, what: str) -> None:
    """Steps between frames that are taken as they come differ by at most `uneven` hours from their median."""
    steps = np.diff(hours)
    if not steps.size:
        return
    usual = float(np.median(steps))
    strange = np.flatnonzero(np.abs(steps - usual) > uneven)
    if strange.size:
        at = strange[0]
        raise InputError(
            f"{what}: found {steps[at]} hours between {hour_text(hours[at])} and {hour_text(hours[at + 1])}, expected "
            f"{usual:g} as elsewhere ({len(strange)} such steps; settings of era5: uneven_hours is {uneven})"
        )


def check_preliminary(fields: Fields, setting: Literal["warn", "refuse"], what: str) -> None:
    """ERA5T, which final data replace months later and sometimes change, is warned of or refused."""
    number = int(np.count_nonzero(fields.preliminary))
    if not number:
        return
    first = hour_text(fields.hours[fields.preliminary.argmax()])
    if setting == "refuse":
        raise InputError(
            f"{what}: found preliminary data (ERA5T) at {first} and in all at {number} of {len(fields.hours)} hours, "
            "expected final data (settings of era5: preliminary is 'refuse')"
        )
    _log.warning("%s: %d of %d hours are preliminary (ERA5T), from %s on", what, number, len(fields.hours), first)
