"""Records of all places on one calendar: what a table is once its rows are in order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.place_names import place_id
from weightcast.records.cells import shown
from weightcast.records.rows import Rows
from weightcast.records.settings import RecordSettings
from weightcast.records.step_calendar import StepCalendar, find_calendar


@dataclass(frozen=True, eq=False)
class Records:
    """Records of places, at the same even steps.

    Attributes:
        ids: of the places, in the order of their names in the table.
        names: as they stand in the table.
        channels: names of the quantities.
        values: float64 [place, step, channel]; NaN where a value is missing, or where the place has no row.
        spans: int64 [place, 2]; the first step of which a place has a value, and the one after its last.
        calendar: what times steps stand for.
        units: unit of a channel, by name, where the table says it.
        parameters: float64 [place, parameter], of those that the settings name.
        notes: what was recognised and is not plain.
        begins: float64 [place], of records that are each on a time of their own: steps of the calendar at which their
            first ones lie. None: the first step of all is that of the calendar.
    """

    ids: tuple[str, ...]
    names: tuple[str, ...]
    channels: tuple[str, ...]
    values: NDArray[np.float64]
    spans: NDArray[np.int64]
    calendar: StepCalendar
    units: dict[str, str]
    parameters: NDArray[np.float64]
    notes: tuple[str, ...]
    begins: NDArray[np.float64] | None = None

    @property
    def steps(self) -> int:
        return self.values.shape[1]

    @property
    def complete(self) -> NDArray[np.bool_]:
        """Whether every channel has a value, [place, step]."""
        return np.asarray(~np.isnan(self.values).any(axis=2))

    @property
    def calendar_steps(self) -> NDArray[np.int64] | NDArray[np.float64]:
        """Where each step of each place lies on the calendar, [place, step]; whole numbers where all share it."""
        if self.begins is None:
            return np.broadcast_to(np.arange(self.steps), (len(self.ids), self.steps))
        return np.asarray(self.begins[:, None] + np.arange(self.steps))

    def label(self, place: int, step: int) -> str:
        """The time of a step of a place."""
        return self.calendar.label(step if self.begins is None else step + float(self.begins[place]))

    def with_constants(self, names: Sequence[str]) -> Records:
        """The same with columns that never change in a place known at all steps, where one is known once; those that
        do change stay as they are."""
        if not names:
            return self
        values = self.values.copy()
        for channel in map(self.channels.index, names):
            for own in values[..., channel]:
                known = np.unique(own[~np.isnan(own)])
                if len(known) == 1:
                    own[:] = known[0]
        return replace(self, values=values)


def arrange(rows: Rows, settings: RecordSettings, channels: tuple[str, ...]) -> Records:
    """Put rows in order: a place after the other, by time, on even steps.

    Rows that say the same twice count once; rows without any value are as good as missing.

    Raises:
        InputError: a place says two things of one time, times are not even, a parameter changes in a place, two names
            give one id, or a quantity never has a value.
    """
    rows = _without(rows, settings.left_out)
    ids = _ids(rows)
    parameters = _constants(rows, list(settings.parameters))
    notes = list(rows.notes)
    own = settings.parts == "own"
    calendar, steps, begins = find_calendar(rows.times, rows.places, rows.names, rows.where, own)
    calendar = replace(calendar, cycle=settings.cycle)
    count = int(steps.max()) + 1
    order = np.lexsort((steps, rows.places))
    if (order != np.arange(len(order))).any() and _unsorted(rows.places, steps):
        notes.append("rows are not in the order of their times: they are sorted")
    first, second = order[:-1], order[1:]
    again = (rows.places[first] == rows.places[second]) & (steps[first] == steps[second])
    for one, other in zip(first[again], second[again], strict=True):
        if not np.array_equal(rows.values[one], rows.values[other], equal_nan=True):
            place = int(rows.places[other])
            found = f"{rows.names[place]} at {calendar.label(int(steps[other]) + begins[place])}"
            raise InputError(
                f"{rows.where(int(other))}: found {found} again, with other values than in {rows.where(int(one))}, "
                "expected one row for a place and a time (a local clock that is set back has an hour twice: give times "
                "with offsets from UTC)"
            )
    if again.any():
        notes.append(f"{int(again.sum())} rows say the same as another one, and count once")
    if count * len(ids) > 50 * len(order) + 1000:
        last = int(np.argmax(steps))
        begin = float(begins[rows.places[last]])
        raise InputError(
            f"{rows.where(last)}: found {calendar.label(begin + count - 1)}, {count} steps of {calendar.words} "
            f"after {calendar.label(begin)}, for {len(order)} rows, expected records without such holes"
        )
    values = np.full((len(ids), count, len(channels)), np.nan)
    values[rows.places, steps] = rows.values
    there = ~np.isnan(values)
    for channel, name in enumerate(channels):
        if not there[..., channel].any():
            raise InputError(f"{rows.where(0)}, column {name}: found no value in the whole column, expected numbers")
    any_value = there.any(axis=2)
    spans = np.stack([any_value.argmax(axis=1), count - any_value[:, ::-1].argmax(axis=1)], axis=1)
    for place in np.flatnonzero(~any_value.any(axis=1))[:1]:
        row = int(np.flatnonzero(rows.places == place)[0])
        raise InputError(
            f"{rows.where(row)}: found no value of {rows.names[place]} at any time, expected numbers, or the place "
            f"left out (--leave-out {ids[place]})"
        )
    records = Records(ids, rows.names, channels, values, spans, calendar, rows.units, parameters, tuple(notes))
    return _from_first_values(records, begins) if own else records


def _from_first_values(records: Records, begins: NDArray[np.float64]) -> Records:
    """The same with steps that count from each place's first value, not from its first row."""
    lengths = records.spans[:, 1] - records.spans[:, 0]
    values = np.full((len(records.ids), int(lengths.max()), len(records.channels)), np.nan)
    for own, whole, (begin, end) in zip(values, records.values, records.spans, strict=True):
        own[: end - begin] = whole[begin:end]
    spans = np.stack([np.zeros_like(lengths), lengths], axis=1)
    return replace(records, values=values, spans=spans, begins=begins + records.spans[:, 0])


def _without(rows: Rows, left_out: list[str]) -> Rows:
    """The rows of the places that are used."""
    if not left_out:
        return rows
    kept = [number for number, name in enumerate(rows.names) if place_id(name) not in left_out and name not in left_out]
    known = {place_id(name) for name in rows.names} | set(rows.names)
    for id in left_out:
        if id not in known:
            raise InputError(
                f"{rows.where(0)}: left out: found no place {id!r} in the table, expected one of its places"
            )
    if not kept:
        raise InputError(f"{rows.where(0)}: found all places left out, expected some to stay")
    chosen = np.flatnonzero(np.isin(rows.places, kept))
    number = np.full(len(rows.names), -1)
    number[kept] = np.arange(len(kept))
    return Rows(
        tuple(rows.names[place] for place in kept),
        number[rows.places[chosen]],
        type(rows.times)(rows.times.values[chosen], rows.times.dates, rows.times.notes),
        rows.values[chosen],
        rows.parameters[chosen],
        rows.units,
        lambda row: rows.where(int(chosen[row])),
        rows.notes,
    )


def _ids(rows: Rows) -> tuple[str, ...]:
    ids: dict[str, str] = {}
    for place, name in enumerate(rows.names):
        id = place_id(name)
        row = int(np.flatnonzero(rows.places == place)[0])
        if not id:
            raise InputError(
                f"{rows.where(row)}: found the place {shown(name)}, expected a name with a letter or digit"
            )
        if id.lower() in ids:
            raise InputError(
                f"{rows.where(row)}: found the place {shown(name)} beside {shown(ids[id.lower()])}, expected names "
                f"that differ otherwise than in case, accents and marks: both would be called {id}"
            )
        ids[id.lower()] = name
    return tuple(map(place_id, rows.names))


def _unsorted(places: NDArray[np.int64], steps: NDArray[np.int64]) -> bool:
    order = np.argsort(places, kind="stable")
    back = np.diff(steps[order]) < 0
    return bool((back & (np.diff(places[order]) == 0)).any())


def _constants(rows: Rows, names: list[str]) -> NDArray[np.float64]:
    """Parameters of each place, which must be the same in all of its rows that have them."""
    found = np.full((len(rows.names), len(names)), np.nan)
    for row, (place, values) in enumerate(zip(rows.places, rows.parameters, strict=True)) if names else ():
        for number, value in enumerate(values):
            if np.isnan(value):
                continue
            if np.isnan(found[place, number]):
                found[place, number] = value
            elif found[place, number] != value:
                raise InputError(
                    f"{rows.where(row)}, parameter {names[number]}: found {value:g} of {rows.names[place]}, expected "
                    f"{found[place, number]:g} as in its rows before: a parameter never changes in a place"
                )
    for place, number in np.argwhere(np.isnan(found))[:1]:
        row = int(np.flatnonzero(rows.places == place)[0])
        raise InputError(
            f"{rows.where(row)}, parameter {names[number]}: found no value of {rows.names[place]} in any row"
        )
    return found
