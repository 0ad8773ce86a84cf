"""Even steps in time that all places of a table share: from times to numbers of steps, and back."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.records.cell_times import NANOSECONDS, Times, times_of

DAY = 86400 * NANOSECONDS
TOLERANCE = 0.02
"""Of a step, by which a time may be off: numbers such as 41640.0417 are rounded, clocks are a minute late."""
UNITS = {"week": 7 * DAY, "day": DAY, "hour": 3600 * NANOSECONDS, "minute": 60 * NANOSECONDS, "second": NANOSECONDS}
MONTH_DAYS = (28, 31)


@dataclass(frozen=True)
class StepCalendar:
    """Steps counted from the first time of a table.

    Attributes:
        kind: what times are: numbers; dates an even time apart; months, which are not evenly long.
        origin: the first time: a number, nanoseconds since 1970, or months since the year 0.
        step: between neighbours, in the same unit.
        cycle: steps after which seasons come again, where somebody says so.
    """

    kind: Literal["numbers", "dates", "months"]
    origin: float
    step: float
    cycle: int | None = None

    def label(self, index: float) -> str:
        """The time of a step, as text that :meth:`index` reads; a record's own begin may lie between steps."""
        if self.kind == "numbers":
            return f"{self.origin + index * self.step:.12g}"
        if self.kind == "months":
            year, month = divmod(int(self.origin + index * self.step), 12)
            return f"{year:04d}-{month + 1:02d}"
        stamp = pd.Timestamp(int(self.origin) + round(index * int(self.step))).round("ms")  # begins are rounded
        return stamp.strftime(
            "%Y-%m-%d" if self.step % DAY == 0 and stamp == stamp.normalize() else "%Y-%m-%dT%H:%M:%S"
        )

    def index(self, text: str, where: str) -> int:
        """The first step that is not before a time.

        Raises:
            InputError: the text is no time of this calendar's kind.
        """
        expected = f"a time as {self.label(0)}, where the table begins"
        try:
            times = times_of([text], None, lambda row: where)
        except InputError:
            raise InputError(f"{where}: found {text!r}, expected {expected}") from None
        if times.dates != (self.kind != "numbers"):
            raise InputError(f"{where}: found {text!r}, expected {expected}")
        value = float(_months(times.values)[0]) if self.kind == "months" else float(times.values[0])
        return math.ceil((value - self.origin) / self.step - TOLERANCE)

    @property
    def words(self) -> str:
        """How far steps lie apart."""
        if self.kind == "numbers":
            return f"{self.step:g} (times are numbers without a unit)"
        if self.kind == "months":
            years, months = divmod(int(self.step), 12)
            return _counted(years, "year") if not months else _counted(int(self.step), "month")
        size, unit = self.duration
        return _counted(size, unit)

    @property
    def duration(self) -> tuple[float, str]:
        """How far steps lie apart: a number, and its unit; the unit is empty where times are numbers."""
        if self.kind == "numbers":
            return self.step, ""
        if self.kind == "months":
            return self.step, "month"
        name = next((name for name, size in UNITS.items() if self.step % size == 0), "second")
        return self.step / UNITS[name], name


def find_calendar(
    times: Times, places: NDArray[np.int64], names: tuple[str, ...], where: Callable[[int], str], own: bool = False
) -> tuple[StepCalendar, NDArray[np.int64], NDArray[np.float64]]:
    """The even steps of a table's times, the number of each row's, and where each place begins to count.

    The step is the one that most neighbouring times of a place are apart; every other distance must be a multiple of
    it: rows may be missing, but times do not lie between steps.

    Args:
        times: of each row.
        places: number of each row's place.
        names: of the places.
        where: says where a row stands, for messages.
        own: whether steps count from each place's first time, wherever that lies between those of the others; else all
            count from the table's.

    Returns:
        the calendar; int64 [row], steps from the begin of the row's place; float64 [place], that begin, in steps of the
        calendar.

    Raises:
        InputError: a place has other steps than the others, or a time lies between steps.
    """
    values = np.asarray(times.values)
    kind: Literal["numbers", "dates", "months"] = "dates" if times.dates else "numbers"
    order = np.lexsort((values, places))
    rising = values[order]
    same = places[order][1:] == places[order][:-1]
    distances = np.diff(rising)[same]
    distances = distances[distances > 0]
    if not distances.size:
        raise InputError(f"{where(0)}: found one time for every place, expected records of many times")
    if kind == "dates" and _in_months(values, distances):
        kind, values = "months", _months(values)
        distances = np.diff(values[order])[same]
        distances = distances[distances > 0]
    step = _most_common(distances)
    calendar = StepCalendar(kind, float(values.min()), step)
    _check_steps(values[order], places[order], order, calendar, names, where)
    begins = np.full(len(names), values.min())
    if own:
        begins[places[order][::-1]] = values[order][::-1]  # the first of each place is written last
    steps = (values - begins[places]) / step
    indices = np.rint(steps).astype(np.int64)
    off = np.flatnonzero(np.abs(steps - indices) > TOLERANCE * np.maximum(1.0, np.abs(steps) * 1e-6))
    for row in off[:1]:
        begin = _label(kind, float(begins[places[row]]))
        raise InputError(
            f"{where(int(row))}: found {_label(kind, values[row])}, which lies {abs(steps[row] - indices[row]):.2g} of "
            f"a step beside the others, expected times {calendar.words} apart from {begin} on; irregular times must be "
            "put on even ones first"
        )
    return calendar, indices, (begins - values.min()) / step


def _check_steps(
    values: NDArray[Any],
    places: NDArray[np.int64],
    order: NDArray[np.int64],
    calendar: StepCalendar,
    names: tuple[str, ...],
    where: Callable[[int], str],
) -> None:
    """Raise an `InputError` where a place's own most common step is another than the table's."""
    begins = np.flatnonzero(np.diff(places, prepend=-1))
    for begin, end in zip(begins, [*begins[1:], len(places)], strict=True):
        distances = np.diff(values[begin:end])
        distances = distances[distances > 0]
        if distances.size < 2:
            continue
        own = _most_common(distances)
        if abs(own - calendar.step) > TOLERANCE * calendar.step:
            name = names[places[begin]]
            found = StepCalendar(calendar.kind, calendar.origin, own).words
            row = int(order[begin + 1])
            raise InputError(
                f"{where(row)}: found times {found} apart in {name}, expected {calendar.words} as in most of the "
                "table: put all places on the same steps first, or leave this one out (--leave-out)"
            )


def _most_common(distances: NDArray[Any]) -> float:
    """The distance that is there most often; of numbers, which are rounded, the mean of those that are nearly it."""
    if distances.dtype.kind == "i":
        found, counts = np.unique(distances, return_counts=True)
        return float(found[counts.argmax()])
    digits = 1 - math.floor(math.log10(float(np.median(distances))))
    found, counts = np.unique(np.round(distances, digits), return_counts=True)
    likely = float(found[counts.argmax()])
    step = float(np.mean(distances[np.abs(distances - likely) < 0.2 * likely]))
    plain = float(f"{step:.3g}")
    return plain if abs(step - plain) < 1e-6 * step else step


def _in_months(values: NDArray[Any], distances: NDArray[Any]) -> bool:
    """Whether dates are the same day of every month, or the last one, and a month or more apart."""
    days = distances / DAY
    if days.min() < MONTH_DAYS[0] or not np.isin(np.unique(distances % DAY), [0]).all():
        return False
    # Four weeks are 28 days as well: then days of the month differ.
    stamps = pd.DatetimeIndex(values)
    return bool((stamps.day == stamps.day[0]).all() or stamps.is_month_end.all())


def _months(values: NDArray[Any]) -> NDArray[np.int64]:
    stamps = pd.DatetimeIndex(np.asarray(values, np.int64))
    return np.asarray(stamps.year * 12 + stamps.month - 1, np.int64)


def _label(kind: Literal["numbers", "dates", "months"], value: float) -> str:
    """A time that may lie between steps."""
    return str(pd.Timestamp(int(value))) if kind == "dates" else StepCalendar(kind, float(value), 1.0).label(0)


def _counted(number: float, unit: str) -> str:
    return f"{number:g} {unit}" + ("" if number == 1 else "s")
