"""Regions and seasons cut into trajectories."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from weightcast.core.environment_table import Environment
from weightcast.core.errors import InputError
from weightcast.era5 import checks
from weightcast.era5.record import Fields
from weightcast.era5.settings import SEASON, ERA5Settings
from weightcast.era5.times import in_season, month_hours, month_number, season_number
from weightcast.era5.variables import SPEEDS


@dataclass(frozen=True)
class FrameTimes:
    """Which hours are frames of an environment: those of its season, in the periods, at the step.

    Attributes:
        settings: periods, steps and length of a season are used.
        month: calendar month in the middle of the season; None: the whole year.
    """

    settings: ERA5Settings
    month: int | None

    @classmethod
    def of(cls, environment: Environment, settings: ERA5Settings) -> FrameTimes:
        """The times of an environment: those of its month, if the table has a column `month`.

        Raises:
            InputError: it is no month.
        """
        month = environment.parameters.get(SEASON)
        if month is not None and month not in range(1, 13):
            raise InputError(
                f"environment {environment.id}: parameter {SEASON}: found {month:g}, expected a calendar month, 1 to "
                "12: the middle of the season"
            )
        return cls(settings, None if month is None else int(month))

    @property
    def months(self) -> list[str]:
        """The months that are needed, such as 2020-01; none if there are no periods."""
        names = self.settings.months or []
        numbers = np.array(names, "datetime64[M]").astype(np.int64)
        season = in_season(numbers, self.month, self.settings.season_months)
        return [name for name, wanted in zip(names, season, strict=True) if wanted]

    def wanted(self, hours: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Which of `hours` are frames."""
        months = month_number(hours)
        chosen = in_season(months, self.month, self.settings.season_months)
        if self.settings.months is not None:
            chosen &= np.isin(months, np.array(self.settings.months, "datetime64[M]").astype(np.int64))
        if self.settings.frame_hours is not None:
            chosen &= hours % self.settings.frame_hours == 0
        return chosen

    def expected(self, found: NDArray[np.int64]) -> NDArray[np.int64]:
        """The hours that should be there: of the periods, or without any from the first found to the last."""
        if self.settings.months is None:
            spans = [(int(found[0]), int(found[-1]) + 1)] if found.size else []
        else:
            spans = [month_hours(month) for month in self.months]
        every = np.concatenate([np.arange(*span) for span in spans]) if spans else np.zeros(0, np.int64)
        return every[self.wanted(every)]

    def runs(self, hours: NDArray[np.int64]) -> list[slice]:
        """Cut frame times where a season or a period ends, so that no trajectory goes across."""
        months = month_number(hours)
        labels = season_number(months, self.month, self.settings.season_months) * 10_000
        for number, period in enumerate(self.settings.periods or []):
            first, last = np.array(period.split("/"), "datetime64[M]").astype(np.int64)
            labels[(months >= first) & (months <= last)] += number
        edges = [0, *(np.flatnonzero(np.diff(labels)) + 1).tolist(), len(hours)]
        return [slice(first, last) for first, last in pairwise(edges)]


def check_times(fields: Fields, times: FrameTimes, what: str) -> None:
    """No hour is missing, or where frames are taken as they come, they come at even steps.

    Raises:
        InputError: the first hour that is missing, and how many there are.
    """
    settings = times.settings
    if settings.frame_hours is not None:
        checks.check_hours(fields.hours, times.expected(fields.hours), what)
        return
    for run in times.runs(fields.hours):
        checks.check_steps(fields.hours[run], settings.uneven_hours, what)


def mean_step(hours: NDArray[np.int64], times: FrameTimes) -> float:
    """Hours between frames."""
    if times.settings.frame_hours is not None:
        return float(times.settings.frame_hours)
    steps = np.concatenate([np.diff(hours[run]) for run in times.runs(hours)])
    return float(steps.mean()) if steps.size else 1.0


def reduce_wind(fields: Fields) -> tuple[NDArray[np.float32], dict[str, str]]:
    """Replace each pair of components of wind by its speed.

    Returns:
        float32 [time, channel, latitude, longitude], in the order of `ERA5Settings.channels`; units by channel.
    """
    pairs = {pair: speed for pair, speed in SPEEDS.items() if set(pair) <= set(fields.channels)}
    speed_of = {component: (pair, speed) for pair, speed in pairs.items() for component in pair}
    values: dict[str, NDArray[np.float32]] = {}
    units: dict[str, str] = {}
    for index, channel in enumerate(fields.channels):
        if channel not in speed_of:
            values[channel], units[channel] = fields.values[:, index], fields.units[channel]
            continue
        (eastward, northward), speed = speed_of[channel]
        both = (fields.values[:, fields.channels.index(name)] for name in (eastward, northward))
        values[speed], units[speed] = np.hypot(*both), fields.units[channel]
    return np.stack(list(values.values()), axis=1), units


def cut_trajectories(
    values: NDArray[np.float32], runs: Sequence[slice], frames: int, most: int | None
) -> NDArray[np.float32]:
    """Cut [time, ...] into segments that do not overlap, in order of time: [trajectory, frame, ...].

    Args:
        values: [time, channel, latitude, longitude].
        runs: no segment goes across their ends.
        frames: per segment.
        most: only the first so many; None: all.
    """
    starts = list(_starts(runs, frames))[:most]
    cut = [values[start : start + frames] for start in starts]
    return np.stack(cut) if cut else np.empty((0, frames, *values.shape[1:]), np.float32)


def _starts(runs: Sequence[slice], frames: int) -> Iterator[int]:
    for run in runs:
        yield from range(run.start, run.stop - frames + 1, frames)
