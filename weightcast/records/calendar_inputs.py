"""What the calendar says of a step, as numbers: the hour of the day, the day of the week, the season, or its place in a
cycle of so many steps.

Each is an angle, given by its sine and cosine, so that the last hour of a day is as near to the first one as any two
neighbours are. An hour is that of the times in the table: of dates with offsets, UTC.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.records.settings import CalendarInput
from weightcast.records.step_calendar import DAY, StepCalendar

CYCLE: Final = "cycle"
PERIODS = {"hour": DAY, "weekday": 7 * DAY, "season": round(365.2425 * DAY)}
"""Nanoseconds after which each comes again: the Gregorian year on average."""


def calendar_values(
    calendar: StepCalendar, names: Sequence[CalendarInput], steps: NDArray[np.int64] | NDArray[np.float64], where: str
) -> NDArray[np.float64]:
    """Sines and cosines of what the calendar says.

    Args:
        calendar: whose steps they are.
        names: of what is said.
        steps: numbers of steps, of any shape; they may lie behind the table's last one, or between two.
        where: is named in messages.

    Returns:
        float64 [..., 2 * name], in the order of :func:`weightcast.records.calendar_columns.calendar_columns`.

    Raises:
        InputError: times of the table are no dates, or steps are so long that it would never change.
    """
    if not names:
        return np.empty((*steps.shape, 0))
    dated = [name for name in names if name != CYCLE]
    if calendar.kind == "numbers" and dated:
        raise InputError(
            f"{where}: calendar: found {', '.join(dated)} and times that are numbers, expected dates (of a wide table "
            f"without times, when it begins: --begins DATE --every week), or {CYCLE}"
        )
    if CYCLE in names and calendar.cycle is None:
        raise InputError(f"{where}: calendar: found {CYCLE} without settings.cycle, expected how many steps it has")
    columns = []
    for name in names:
        if name == CYCLE:
            assert calendar.cycle is not None
            columns.append(_angles(steps % calendar.cycle / calendar.cycle))
            continue
        if _step(calendar) >= PERIODS[name]:
            raise InputError(
                f"{where}: calendar: found {name} and steps of {calendar.words}, expected shorter steps: it is the "
                "same, or says nothing, in all of them"
            )
        if calendar.kind == "months":  # which have nothing but a season
            columns.append(_angles((int(calendar.origin) + int(calendar.step) * steps) % 12 / 12))
        else:
            columns.append(angles_of(int(calendar.origin) + np.asarray(int(calendar.step) * steps, np.int64), name))
    return np.concatenate(columns, axis=-1)


def angles_of(times: NDArray[np.int64], name: CalendarInput) -> NDArray[np.float64]:
    """Sine and cosine [..., 2] of what the calendar says at times, in nanoseconds since 1970."""
    period = PERIODS[name]
    if name == "season":  # years differ in length, and each begins its own
        stamps = pd.DatetimeIndex(times.ravel())
        since = np.asarray(stamps - stamps.to_period("Y").start_time, "timedelta64[ns]").astype(np.int64)
        return _angles(since.reshape(times.shape) / period)
    offset = 3 * DAY if name == "weekday" else 0  # 1970 began on a Thursday
    return _angles((times + offset) % period / period)


def _angles(share: NDArray[np.float64]) -> NDArray[np.float64]:
    angle = 2 * np.pi * share
    return np.stack([np.sin(angle), np.cos(angle)], axis=-1)


def _step(calendar: StepCalendar) -> float:
    """Nanoseconds."""
    return calendar.step * (PERIODS["season"] / 12 if calendar.kind == "months" else 1)
