"""Cells as times: numbers, dates in the forms that people write, or columns of year, month, day and hour."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.records.cells import shown
from weightcast.records.settings import RecordSettings

Order = Literal["day-first", "month-first"]
TIME_NAMES = ("datetime", "timestamp", "date_time", "time", "date")
"""Names of columns that hold whole times, in small letters."""
PARTS = ("year", "month", "week", "day", "hour", "minute", "second")
"""Names of columns that hold a part of a time each."""
STEP_NAMES = ("t", "step", "index", "times", "dates", "timepoint", "time_point")
"""Names of columns that may hold times as numbers."""
NANOSECONDS = 10**9
_OFFSET = re.compile(r"\d[ ]?(Z|UTC|GMT|[+-]\d\d:?\d\d)$", re.IGNORECASE)
_ISO = re.compile(r"\d{4}-\d{1,2}(-\d{1,2})?([T ].*)?")
_YEAR_FIRST = re.compile(r"(\d{4})[./](\d{1,2})(?:[./](\d{1,2}))?(?:[T ]+(.*))?")
_YEAR_LAST = re.compile(r"(\d{1,2})([./-])(\d{1,2})\2(\d{4}|\d{2})(?:[,T ]+(.*))?")
_WRITTEN_DATE = re.compile(r"(\d{4}([./-])\d{1,2}\2\d{1,2}|\d{1,2}([./-])\d{1,2}\3\d{2,4})([,T ].*)?")
_WEEK = re.compile(r"(\d{4})[ -]?W(\d{1,2})(?:-?1)?", re.IGNORECASE)
_COMPACT = re.compile(r"(19|20)\d\d(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])")
_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_NUMBER_WITH_COMMA = re.compile(r"[+-]?\d+,\d+")


@dataclass(frozen=True, eq=False)
class Times:
    """Times of rows.

    Attributes:
        values: float64 numbers as they stand in the file; or int64 nanoseconds since 1970, in UTC where the file gives
            an offset from it, else in whatever clock the file was kept.
        dates: whether they are of the second kind.
        notes: what was recognised and is not plain.
    """

    values: NDArray[Any]
    dates: bool
    notes: tuple[str, ...] = ()


def dated_steps(count: int, settings: RecordSettings, file: str) -> Times:
    """Times of so many rows that have none of their own: even steps, or dates where it is said when they begin.

    Raises:
        InputError: that is no date, or it is said by half.
    """
    if settings.begins is None and settings.every is None:
        return Times(np.arange(count, dtype=np.float64), False)
    where = f"{file}: data.settings.begins"
    if settings.begins is None or settings.every is None:
        found = f"every {settings.every}" if settings.begins is None else f"begins {settings.begins}"
        raise InputError(f"{where}: found {found} alone, expected both: begins and every (--begins DATE --every week)")
    first = times_of([settings.begins], settings.dates, lambda row: where)
    if not first.dates:
        raise InputError(f"{where}: found {settings.begins!r}, expected a date as 2010-10-04")
    stamp = pd.Timestamp(int(first.values[0]))
    if settings.every == "month" and stamp.day > 28:
        raise InputError(
            f"{where}: found {settings.begins!r} with steps of a month, expected a day that all months have"
        )
    dates = [stamp + pd.DateOffset(**{f"{settings.every}s": row}) for row in range(count)]
    return Times(pd.DatetimeIndex(dates).as_unit("ns").asi8, True)


def look_like_dates(cells: Sequence[str]) -> bool:
    """Whether all cells are written as dates are, with year, month and day apart; a number is none."""
    return bool(cells) and all(_WRITTEN_DATE.fullmatch(cell.strip()) for cell in cells)


def times_of(cells: Sequence[str], order: Order | None, where: Callable[[int], str]) -> Times:
    """Times of one column.

    Args:
        cells: text.
        order: of day and month in dates that are written with slashes, dots or dashes and end in the year; None: by
            those dates that can be read in one way alone.
        where: says where a cell stands, by its row.

    Raises:
        InputError: a cell is empty or no time, cells are of different forms, or the order cannot be told.
    """
    codes, distinct = pd.factorize(np.array(cells, dtype=object))
    first = {position: int(row) for position, row in zip(*np.unique(codes, return_index=True), strict=True)}

    def refusal(position: int, expected: str) -> InputError:
        return InputError(f"{where(first[position])}: found {shown(distinct[position])}, expected {expected}")

    for position, cell in enumerate(distinct):
        if not cell or cell.lower() in ("na", "nan", "nat", "none", "null"):
            raise refusal(position, "a time in every row")
    if all(_COMPACT.fullmatch(cell) for cell in distinct):
        iso = [f"{cell[:4]}-{cell[4:6]}-{cell[6:]}" for cell in distinct]
        return Times(_dates(iso, refusal)[codes], True)
    if _NUMBER.fullmatch(distinct[0]) or _NUMBER_WITH_COMMA.fullmatch(distinct[0]):
        numbers = np.empty(len(distinct))
        for position, cell in enumerate(distinct):
            plain = cell.replace(",", ".") if _NUMBER_WITH_COMMA.fullmatch(cell) else cell
            if _NUMBER.fullmatch(plain) is None:
                raise refusal(position, f"a number as {shown(distinct[0])} in the first row")
            numbers[position] = float(plain)
        return Times(numbers[codes], False)
    offsets = np.array([_OFFSET.search(cell) is not None for cell in distinct])
    if offsets.any() and not offsets.all():
        odd = int(np.flatnonzero(offsets != offsets[0])[0])
        raise refusal(odd, "all times with an offset from UTC, or none")
    iso, notes = _iso_forms(list(distinct), order, refusal)
    if offsets.all():
        notes.append("times have offsets from UTC, and are taken as UTC")
    return Times(_dates(iso, refusal)[codes], True, tuple(notes))


def times_of_parts(columns: Mapping[str, Sequence[str]], where: Callable[[int, str], str]) -> Times:
    """Times of several columns: year, month, day, hour, minute, second; or year and (ISO) week.

    Args:
        columns: cells, by the name of the part.
        where: says where a cell stands, by its row and part.

    Raises:
        InputError: a cell is no whole number, or there is no such date.
    """
    numbers = {}
    for name, cells in columns.items():
        for row, cell in enumerate(cells):
            if not (_NUMBER.fullmatch(cell) and float(cell).is_integer()):
                raise InputError(f"{where(row, name)}: found {shown(cell)}, expected a whole number")
        numbers[name] = np.array([int(float(cell)) for cell in cells])
    years = numbers["year"]
    for row in np.flatnonzero((years < 1678) | (years > 2261))[:1]:
        raise InputError(f"{where(row, 'year')}: found {years[row]}, expected a year of four digits")
    if "week" in numbers:
        text = [f"{year}-W{week:02d}" for year, week in zip(years, numbers["week"], strict=True)]
        return times_of(text, None, lambda row: where(row, "week"))
    parts = {
        name: numbers.get(name, np.full(len(years), int(name in ("month", "day")))) for name in PARTS if name != "week"
    }
    stamps = pd.to_datetime(pd.DataFrame(parts), errors="coerce")
    for row in np.flatnonzero(stamps.isna())[:1]:
        found = ", ".join(f"{name} {values[row]}" for name, values in numbers.items())
        raise InputError(f"{where(row, 'year')}: found {found}, expected a date that there is")
    return Times(stamps.to_numpy("datetime64[ns]").astype(np.int64), True)


def _iso_forms(
    distinct: list[str], order: Order | None, refusal: Callable[[int, str], InputError]
) -> tuple[list[str], list[str]]:
    """Dates as ISO 8601, and notes. All are of the form of the first."""
    for form, pattern in (("week", _WEEK), ("iso", _ISO), ("year first", _YEAR_FIRST), ("year last", _YEAR_LAST)):
        found = [pattern.fullmatch(cell) for cell in distinct]
        if found[0] is None:
            continue
        for position, one in enumerate(found):
            if one is None:
                raise refusal(position, f"a time of the form {shown(distinct[0])}, as in the first row")
        matches = [one for one in found if one is not None]
        if form == "week":
            for position, one in enumerate(matches):
                if not 1 <= int(one[2]) <= 53:
                    raise refusal(position, "a week from 1 to 53")
            return [f"{one[1]}-W{int(one[2]):02d}" for one in matches], []
        if form == "iso":
            return distinct, []
        if form == "year first":
            return [_joined(one[1], one[2], one[3] or "1", one[4]) for one in matches], []
        return _of_year_last(matches, order, refusal)
    return distinct, []


def _of_year_last(
    matches: list[re.Match[str]], order: Order | None, refusal: Callable[[int, str], InputError]
) -> tuple[list[str], list[str]]:
    firsts = np.array([int(one[1]) for one in matches])
    seconds = np.array([int(one[3]) for one in matches])
    notes = []
    if order is None:
        day_first, month_first = np.flatnonzero(firsts > 12), np.flatnonzero(seconds > 12)
        if day_first.size and month_first.size:
            raise refusal(
                int(month_first[0]), f"day and month in the order of {shown(matches[day_first[0]].string)} elsewhere"
            )
        if not (day_first.size or month_first.size):
            raise refusal(0, "--dates day-first or month-first: all dates can be read either way")
        order = "day-first" if day_first.size else "month-first"
        notes.append(f"dates as {shown(matches[0].string)} are read {order.replace('-', ' ')}")
    iso = []
    for position, one in enumerate(matches):
        day, month = (one[1], one[3]) if order == "day-first" else (one[3], one[1])
        if int(month) > 12:
            raise refusal(position, f"a date with {order.replace('-', ' ')}")
        year = one[4] if len(one[4]) == 4 else str(2000 + int(one[4]) - 100 * (int(one[4]) >= 70))
        iso.append(_joined(year, month, day, one[5]))
    return iso, notes


def _joined(year: str, month: str, day: str, rest: str | None) -> str:
    return f"{year}-{int(month):02d}-{int(day):02d}" + (f" {rest}" if rest else "")


def _dates(iso: Sequence[str], refusal: Callable[[int, str], InputError]) -> NDArray[np.int64]:
    """Nanoseconds since 1970."""
    weeks = [_WEEK.fullmatch(text) for text in iso]
    if all(weeks):
        iso = [f"{one[1]}-{one[2]}-1" for one in weeks if one is not None]
        stamps = pd.to_datetime(pd.Series(iso, dtype=object), format="%G-%V-%u", errors="coerce", utc=True)
    else:
        series = pd.Series(iso, dtype=object)
        stamps = pd.to_datetime(series, format="ISO8601", errors="coerce", utc=True)
        if stamps.isna().any():  # names of months, clocks with AM and PM
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                stamps = pd.to_datetime(series, format="mixed", errors="coerce", utc=True)
    for position in np.flatnonzero(stamps.isna())[:1]:
        raise refusal(int(position), "a time: a number, or a date as 2016-03-01 13:00")
    return stamps.dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64)
