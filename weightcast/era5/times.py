"""Times as hours since 1970-01-01 00:00 UTC; periods of months; seasons."""

from __future__ import annotations

import re

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError

_SECONDS = {"second": 1, "sec": 1, "s": 1, "minute": 60, "min": 60, "hour": 3600, "hr": 3600, "h": 3600, "day": 86400}
_UNITS = re.compile(
    r"\s*(?P<unit>[a-z]+?)s?\s+since\s+(?P<date>\d{1,4}-\d{1,2}-\d{1,2})"
    r"(?:[T\s]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d*)?)?)?\s*(?:Z|UTC|\+00:?00)?\s*(?:\(.*\))?\s*",
    re.IGNORECASE,
)
CALENDARS = ("standard", "gregorian", "proleptic_gregorian")
_MONTH = re.compile(r"(?P<year>\d{4})-(?P<month>0[1-9]|1[0-2])")
_PERIOD = re.compile(rf"{_MONTH.pattern}/(?P<last_year>\d{{4}})-(?P<last_month>0[1-9]|1[0-2])")
FIRST_YEAR = 1940
"""ERA5 begins with it."""


def hours_from_units(field: str, values: NDArray[np.generic], units: str, calendar: str) -> NDArray[np.int64]:
    """Times in the manner of the CF conventions, as hours since 1970.

    Args:
        field: file and variable, for messages.
        values: [time].
        units: such as `hours since 1900-01-01 00:00:00.0` or `seconds since 1970-01-01`.
        calendar: its name.

    Raises:
        InputError: another unit or calendar, a missing time, or times between full hours.
    """
    found = _UNITS.fullmatch(units)
    factor = _SECONDS.get(found["unit"].lower()) if found else None
    if found is None or factor is None:
        raise InputError(f"{field}: units: found {units!r}, expected such as 'hours since 1900-01-01 00:00:00'")
    if calendar.lower() not in CALENDARS:
        raise InputError(f"{field}: calendar: found {calendar!r}, expected one of {', '.join(CALENDARS)}")
    date = "-".join(part.zfill(width) for part, width in zip(found["date"].split("-"), (4, 2, 2), strict=True))
    try:
        start = int(np.datetime64(date, "s").astype(np.int64))
    except ValueError:
        raise InputError(f"{field}: units: found {units!r}, expected a date of the calendar") from None
    start += 3600 * int(found["hour"] or 0) + 60 * int(found["minute"] or 0) + int(found["second"] or 0)
    numbers = np.asarray(values)
    if numbers.dtype.kind not in "iuf" or not np.isfinite(numbers).all():
        raise InputError(f"{field}: found a missing or strange time, expected numbers of {units}")
    # Fractions of days are not exact in binary: a millisecond is neither here nor there.
    seconds = numbers.astype(np.int64) * factor if numbers.dtype.kind in "iu" else np.round(numbers * factor, 3)
    seconds = seconds + start
    between = np.flatnonzero(seconds % 3600 != 0)
    if between.size:
        raise InputError(f"{field}: found {numbers[between[0]]} {units}, expected full hours")
    return (seconds // 3600).astype(np.int64)


def hour_text(hour: int) -> str:
    """`2020-01-31 03:00 UTC`."""
    date, time = str(np.datetime64(int(hour), "h").astype("datetime64[m]")).split("T")
    return f"{date} {time} UTC"


def month_number(hours: NDArray[np.int64]) -> NDArray[np.int64]:
    """Months since January 1970."""
    return np.asarray(hours, np.int64).astype("datetime64[h]").astype("datetime64[M]").astype(np.int64)


def month_hours(month: str) -> tuple[int, int]:
    """First hour of a month such as `2020-01`, and the first hour after it.

    Raises:
        InputError: it is no such month.
    """
    if not _MONTH.fullmatch(month) or int(month[:4]) < FIRST_YEAR:
        raise InputError(f"month: found {month!r}, expected such as 2020-01, from {FIRST_YEAR} on")
    first = np.datetime64(month, "M")
    start, end = (int(each.astype("datetime64[h]").astype(np.int64)) for each in (first, first + 1))
    return start, end


def period_months(period: str) -> list[str]:
    """The months of a period such as `2019-12/2020-02`, which includes both.

    Raises:
        InputError: it is no such period.
    """
    found = _PERIOD.fullmatch(period)
    if found is None or int(found["year"]) < FIRST_YEAR or period[:7] > period[8:]:
        raise InputError(
            f"settings of era5: periods: found {period!r}, expected first and last month such as 2019-12/2020-02, from "
            f"{FIRST_YEAR} on"
        )
    first, last = (np.datetime64(month, "M") for month in period.split("/"))
    return [str(month) for month in np.arange(first, last + 1)]


def in_season(months: NDArray[np.int64], middle: int | None, length: int) -> NDArray[np.bool_]:
    """Which of `months` (since January 1970) belong to the season of `length` months around the month `middle`.

    The month is one of the calendar, 1 to 12; None: all belong to it.
    """
    if middle is None:
        return np.ones(len(months), bool)
    return (months - _first(middle, length)) % 12 < length


def season_number(months: NDArray[np.int64], middle: int | None, length: int) -> NDArray[np.int64]:
    """Which year's season each month belongs to: December and the January after it to the same."""
    if middle is None:
        return np.zeros(len(months), np.int64)
    return (months - _first(middle, length)) // 12


def _first(middle: int, length: int) -> int:
    """First month of a season, from 0 for January; may be negative."""
    return middle - 1 - (length - 1) // 2
