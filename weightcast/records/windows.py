"""Trajectories cut from long records: windows in time, of parts that lie apart, without gaps or with few.

Nothing is put in the place of a missing value: what windows may lack is said by a limit
(:mod:`weightcast.trajectories.gaps`), and stays NaN.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.records.calendar_columns import calendar_columns
from weightcast.records.calendar_inputs import calendar_values
from weightcast.records.record import Records
from weightcast.records.settings import CalendarInput, RecordGaps, RecordSettings
from weightcast.trajectories.gaps import usable_starts
from weightcast.trajectories.record import Trajectories

PARTS = ("train", "validation", "test")


@dataclass(frozen=True)
class Parts:
    """The steps that train, that make choices and that are tested on: begin and end of each, the end not included.

    On a calendar all places have the same, whatever steps they have values of: what is tested on is later than anything
    that any place trained on. On a time of its own each has others, and that holds within each.
    """

    train: tuple[int, int]
    validation: tuple[int, int]
    test: tuple[int, int]

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter((self.train, self.validation, self.test))


def parts_of(records: Records, settings: RecordSettings, where: str | Path) -> Parts:
    """The parts of a calendar that the settings describe.

    Raises:
        InputError: a time cannot be read, or parts are not in order; ``where`` is named.
    """
    begins = {}
    for name in ("validation_from", "test_from"):
        text = getattr(settings, name)
        begins[name] = records.calendar.index(text, f"{where}: data.settings.{name}")
    validation, test = begins["validation_from"], begins["test_from"]
    gap = settings.gap
    if not gap < validation < test - gap < test < records.steps:
        raise InputError(
            f"{where}: data.settings: found validation_from {settings.validation_from}, test_from {settings.test_from} "
            f"and a gap of {gap} steps, expected times in this order between {records.calendar.label(0)} and "
            f"{records.calendar.label(records.steps - 1)}, with more than the gap before each"
        )
    return Parts((0, validation - gap), (validation, test - gap), (test, records.steps))


def parts_of_places(records: Records, settings: RecordSettings, steps: int, where: str | Path) -> tuple[Parts, ...]:
    """The parts of each place: those of the calendar, or of its own record.

    Args:
        records: of all places.
        settings: how they are cut.
        steps: of a window.
        where: is named in messages.

    Raises:
        InputError: as :func:`parts_of`.
    """
    if settings.parts == "calendar":
        return (parts_of(records, settings, where),) * len(records.ids)
    return tuple(_own_parts(int(length), settings, steps) for length in records.spans[:, 1])


def _own_parts(length: int, settings: RecordSettings, steps: int) -> Parts:
    """Shares of a record of so many steps, a window at least; a part is empty where a record is too short for it."""
    test = max(0, length - max(round(settings.test_share * length), steps))
    validation = max(0, test - settings.gap - max(round(settings.validation_share * length), steps))
    train = max(0, validation - settings.gap)
    return Parts((0, train), (validation, max(validation, test - settings.gap)), (test, length))


def training_values(records: Records, parts: Sequence[Parts]) -> NDArray[np.float64]:
    """Values [place, step, channel] of the parts that train, as far as the longest goes; NaN behind the end of each."""
    values = records.values[:, : max(part.train[1] for part in parts)].copy()
    for own, part in zip(values, parts, strict=True):
        own[part.train[1] :] = np.nan
    return values


def window_starts(complete: NDArray[np.bool_], part: tuple[int, int], frames: int, history: int = 1) -> list[int]:
    """First steps of windows, one after the other from the part's begin; where a value is missing, from behind it.

    Args:
        complete: whether a place has all values, [step].
        part: begin and end.
        frames: of a window.
        history: frames that predictors see: before those of a window lie as many, less one, in which it may overlap
            with the window before it.
    """
    begin, end = part
    starts = []
    missing = np.flatnonzero(~complete[begin:end]) + begin
    position = begin
    for stop in (*missing, end):
        count = max(0, int(stop) - position - (history - 1)) // frames
        starts += [position + frames * number for number in range(count)]
        position = int(stop) + 1
    return starts


def gappy_starts(usable: NDArray[np.bool_], part: tuple[int, int], frames: int, history: int = 1) -> list[int]:
    """The same where windows may have gaps: one after the other, and where none may begin, from where the next may.

    Args:
        usable: whether a window may begin at each step, of the whole record.
        part: begin and end.
        frames: of a window.
        history: as for :func:`window_starts`.
    """
    begin, end = part
    there = np.flatnonzero(usable[begin : max(begin, end - frames - history + 2)]) + begin
    starts, position = list[int](), begin
    while (number := int(np.searchsorted(there, position))) < len(there):
        starts.append(int(there[number]))
        position = starts[-1] + frames
    return starts


def starts_of(
    records: Records, place: int, parts: Parts, frames: int, history: int, gaps: RecordGaps | None
) -> list[list[int]]:
    """First steps of the windows of a place in each part; see :func:`window_starts` and :func:`gappy_starts`."""
    if gaps is None:
        complete = ~np.isnan(records.values[place]).any(axis=1)
        return [window_starts(complete, part, frames, history) for part in parts]
    usable = usable_starts(records.values[place], gaps.states, frames, history, gaps.limit)
    return [gappy_starts(usable, part, frames, history) for part in parts]


@dataclass(frozen=True)
class WindowCounts:
    """How many windows there are.

    Attributes:
        found: int64 [place, part].
        possible: int64 [place, part]; of a record without gaps over the whole of its parts.
    """

    found: NDArray[np.int64]
    possible: NDArray[np.int64]


def count_windows(
    records: Records, parts: Sequence[Parts], frames: int, history: int = 1, gaps: RecordGaps | None = None
) -> WindowCounts:
    """Windows of each place in each of its parts; see :func:`starts_of`."""
    told = (frames, history, gaps)
    found = [list(map(len, starts_of(records, place, own, *told))) for place, own in enumerate(parts)]
    possible = [[max(0, end - begin - (history - 1)) // frames for begin, end in own] for own in parts]
    return WindowCounts(np.array(found), np.array(possible))


def cut(
    records: Records,
    place: int,
    parts: Parts,
    frames: int,
    counts: tuple[int, int, int],
    where: str | Path,
    calendar: Sequence[CalendarInput] = (),
    history: int = 1,
    repeated: bool = False,
    gaps: RecordGaps | None = None,
) -> Trajectories:
    """The trajectories of a place: so many windows of each part. Of more, evenly spread ones are taken.

    Args:
        records: of all places.
        place: its number.
        parts: of the place.
        frames: of a window.
        counts: windows to train, to make choices and to test.
        where: what is named in messages.
        calendar: what of the calendar becomes further channels.
        history: frames that predictors see; see :func:`window_starts`.
        repeated: whether, of fewer, each is taken about equally often.
        gaps: that windows may have; None: none.

    Returns:
        windows of ``frames`` + ``history`` - 1 steps in time, as states without a grid; times count from the start of
        each, in the unit of the calendar.

    Raises:
        InputError: there are fewer windows than are wanted, or times are no dates.
    """
    whole = frames + history - 1
    chosen: list[int] = []
    there = starts_of(records, place, parts, frames, history, gaps)
    lacking = "without a missing value" if gaps is None else f"with {gaps.limit.words}"
    for name, part, count, starts in zip(PARTS, parts, counts, there, strict=True):
        if len(starts) < (min(1, count) if repeated else count):
            raise InputError(
                f"{where}: {records.names[place]}: found {len(starts)} windows of {whole} steps {lacking} "
                f"between {records.label(place, part[0])} and {records.label(place, part[1] - 1)}, expected "
                f"{count} as data.trajectories.{name} says"
                + ("" if repeated else ", or data.settings.repeated: true, by which windows are taken more than once")
            )
        chosen += [starts[number] for number in spread(len(starts), count)]
    steps = np.array(chosen)[:, None] + np.arange(whole)  # [window, frame]
    windows = np.concatenate(
        [
            records.values[place, steps],
            calendar_values(records.calendar, calendar, records.calendar_steps[place, steps], str(where)),
        ],
        axis=-1,
    )
    step, unit = records.calendar.duration
    units = dict(records.units) | ({"time": f"{unit}s"} if unit else {})
    with np.errstate(over="ignore"):  # a number too large for float32 becomes Inf, which is then refused
        values = windows.astype(np.float32)[..., None, None]
    return Trajectories(
        values=values,
        channels=(*records.channels, *calendar_columns(calendar)),
        time=step * np.arange(whole, dtype=np.float64),
        y=np.zeros(1),
        x=np.zeros(1),
        environment=records.ids[place],
        parameters={},
        units=units,
    )


def spread(there: int, wanted: int) -> list[int]:
    """So many of the numbers 0, 1, ... that there are, evenly, first and last among them; where fewer are there, each
    about as often."""
    if wanted > there:
        return [number * there // wanted for number in range(wanted)]
    if wanted <= 1:
        return [0] * wanted
    return [round(number * (there - 1) / (wanted - 1)) for number in range(wanted)]
