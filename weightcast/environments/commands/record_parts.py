"""How long records are cut: how many steps a window has, where parts begin, and which places have too little."""

from __future__ import annotations

import calendar
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass

import numpy as np
import pandas as pd

from weightcast.core.config.gap_settings import GapSettings
from weightcast.core.errors import InputError
from weightcast.environments.commands.study_template import choose_trained_frames
from weightcast.environments.config.data import TrajectoryCounts
from weightcast.records.record import Records
from weightcast.records.settings import RecordGaps, RecordSettings
from weightcast.records.step_calendar import DAY, StepCalendar
from weightcast.records.windows import PARTS, Parts, WindowCounts, count_windows, parts_of, parts_of_places

VALIDATION_SHARE, TEST_SHARE = 0.1, 0.2
"""Of the calendar, at its end."""
FRAMES_OF_UNITS = {"day": 29, "week": 21, "month": 25, "year": 21}
"""Steps of a window, by what a step is: twice two weeks, twice ten weeks, twice a year."""
OTHER_FRAMES = 21
MOST_FRAMES = 49
"""Twice a day of hours."""
FEWEST_FRAMES = 5
FEWEST_GIVEN = 3
"""Steps of a window, where somebody says so."""
FEWEST_TRAINED = 3
"""Windows that most places should have to train, or windows are made shorter."""
TOO_FEW = 0.25
"""Of the median of all places: who has fewer windows in a part is left out, since all must have the same number."""
UNEQUAL = 0.5
"""Of the median of all places' windows to train: where one has fewer, it does not hold the others down to its own."""
FEWEST_PLACES = 3
MOST_PLACES = 0.9
"""Of the places that the shortest windows would keep: records on times of their own are cut into the longest windows
that keep so many, since there it is short records that lose their places, and not where a calendar's parts lie."""


@dataclass(frozen=True)
class Division:
    """How records are cut.

    Attributes:
        settings: with the parts, and the places that are left out.
        frames: steps of a window, without those before the first that predictors see.
        counts: windows of every place, to train, make choices and test; where places are very unequal those that have
            fewer show them more than once.
        parts: of each place.
        windows: of each place.
        kept: numbers of the places that are used.
        too_few: why a place is left out that nobody named, by its id.
        history: frames that predictors see: a window has as many more, less one, before its first.
        gaps: that windows may have; None: none.
    """

    settings: RecordSettings
    frames: int
    counts: TrajectoryCounts
    parts: tuple[Parts, ...]
    windows: WindowCounts
    kept: tuple[int, ...]
    too_few: dict[str, str]
    history: int = 1
    gaps: GapSettings | None = None

    @property
    def steps(self) -> int:
        """Steps of a window, those before its first frame among them."""
        return self.frames + self.history - 1


def divide(
    records: Records,
    settings: RecordSettings,
    where: str,
    frames: int | None,
    gap: int | None,
    validation_from: str | None,
    test_from: str | None,
    history: int = 1,
    gaps: RecordGaps | None = None,
    run_of: Callable[[int], int] | None = None,
) -> Division:
    """Choose what is not given.

    Args:
        records: of all places.
        settings: how they were read.
        where: the table, for messages.
        frames: steps of a window; None: as many as fit the step, fewer where records are short.
        gap: steps between parts; None: the trained horizon.
        validation_from: where the second part begins; None: so that it is a tenth of the calendar.
        test_from: where the last part begins; None: so that it is a fifth.
        history: frames that predictors see.
        gaps: that windows may have; None: none.
        run_of: the limit of steps in a row that may be missing, by the steps of a window; None: as ``gaps`` has it.

    Raises:
        InputError: records are too short, or fewer than three places have enough windows.
    """
    for option, value, least in (("--frames", frames, FEWEST_GIVEN), ("--gap", gap, 0)):
        if value is not None and value < least:
            raise InputError(f"{option}: found {value}, expected {least} or more")
    own = settings.parts == "own"
    problem = InputError(f"{where}: found records of {records.steps} steps, expected more")

    def division(chosen: int, span: tuple[int, int]) -> Division:
        apart = choose_trained_frames(chosen) - 1 if gap is None else gap
        steps = chosen + history - 1
        if own:
            cut = settings.model_copy(update={"gap": apart})
            parts = parts_of_places(records, cut, steps, where)
        else:
            shared, cut = _parts(records, settings, where, steps, apart, validation_from, test_from, span)
            parts = (shared,) * len(records.ids)
        return _division(records, cut, where, chosen, parts, history, _of_window(gaps, run_of, chosen))

    lengths = [frames] if frames is not None else _candidates(records.calendar)
    settled = validation_from is not None and test_from is not None
    if own and (divisions := _possible(division, lengths, (0, records.steps))):
        most = max(len(one.kept) for one in divisions)
        return next(one for one in divisions if len(one.kept) >= MOST_PLACES * most)
    for chosen in lengths[:1] if settled else lengths:
        try:
            return division(chosen, (0, records.steps))
        except InputError as error:
            problem = error
    for chosen in [] if settled or own else lengths:
        shared = [one for span in _common_spans(records) for one in _possible(division, [chosen], span)]
        if shared:
            return max(shared, key=_worth)
    raise _working_days(records, where) or problem


def _working_days(records: Records, where: str) -> InputError | None:
    """What is said of records of working days, whose weekends are holes in an even calendar of days."""
    if records.calendar.kind != "dates" or records.calendar.step != DAY:
        return None
    weekday = (pd.Timestamp(int(records.calendar.origin)).day_of_week + np.arange(records.steps)) % 7
    known = np.asarray(~np.isnan(records.values).all(axis=2))
    off = [day for day in range(7) if not known[:, weekday == day].any()]
    if not off or len(off) > 2 or records.begins is not None:
        return None
    return InputError(
        f"{where}: found no row on any {' or '.join(calendar.day_name[day] for day in off)} and steps of a day, "
        "expected even steps: number the working days in a column of their own, 0, 1, 2, ..., and name it (--time)"
    )


def _possible(
    division: Callable[[int, tuple[int, int]], Division], lengths: Sequence[int], span: tuple[int, int]
) -> list[Division]:
    """Those divisions into windows of so many steps that there are, in their order."""
    found = list[Division]()
    for frames in lengths:
        with suppress(InputError):
            found.append(division(frames, span))
    return found


def _worth(division: Division) -> tuple[bool, int]:
    """Whether there are a tenth as many windows to make choices as to train, and those to train, of all places."""
    counts, kept = division.counts, list(division.kept)
    to_train = np.minimum(division.windows.found[kept, 0], counts.train)
    return 10 * counts.validation >= counts.train, int(to_train.sum())


def _common_spans(records: Records) -> list[tuple[int, int]]:
    """Begins and ends of calendars that most places share, where their records lie far apart: of these, shares of a
    calendar are taken. Behind the end, too, is tested."""
    begins, ends = records.spans[:, 0], records.spans[:, 1]
    spans = [
        (int(np.quantile(begins, 1 - share)), int(np.quantile(ends, share))) for share in (0.5, 0.4, 0.3, 0.2, 0.1, 0.0)
    ]
    return [(begin, end) for begin, end in dict.fromkeys(spans) if begin < end]


def _of_window(gaps: RecordGaps | None, run_of: Callable[[int], int] | None, frames: int) -> RecordGaps | None:
    """What windows of so many steps may lack."""
    if gaps is None or run_of is None:
        return gaps
    return gaps.model_copy(update={"limit": gaps.limit.model_copy(update={"run": run_of(frames)})})


def default_frames(calendar: StepCalendar) -> int:
    """Steps of a window, twice of which the half is trained."""
    size, unit = calendar.duration
    if unit in ("hour", "minute", "second"):
        day = {"hour": 24, "minute": 1440, "second": 86400}[unit] / size
        return min(MOST_FRAMES, max(OTHER_FRAMES, 2 * round(day) + 1))
    return FRAMES_OF_UNITS.get(unit, OTHER_FRAMES) if size == 1 else OTHER_FRAMES


def _candidates(calendar: StepCalendar) -> list[int]:
    frames, found = default_frames(calendar), []
    while frames >= FEWEST_FRAMES:
        found.append(frames)
        frames = (frames + 1) // 2
        if found[-1] == frames:
            break
    return found


def _parts(
    records: Records,
    settings: RecordSettings,
    where: str,
    frames: int,
    gap: int,
    validation_from: str | None,
    test_from: str | None,
    span: tuple[int, int],
) -> tuple[Parts, RecordSettings]:
    steps, calendar, (begin, end) = records.steps, records.calendar, span
    test = (
        end - max(round(TEST_SHARE * (end - begin)), frames)
        if test_from is None
        else calendar.index(test_from, "--test-from")
    )
    validation = (
        test - gap - max(round(VALIDATION_SHARE * (end - begin)), frames)
        if validation_from is None
        else calendar.index(validation_from, "--validation-from")
    )
    needed = frames + 2 * gap + 2 * frames
    if not frames + gap <= validation <= test - gap - frames <= steps - gap - 2 * frames:
        raise InputError(
            f"{where}: found {steps} steps from {calendar.label(0)} to {calendar.label(steps - 1)}, validation "
            f"from step {validation} and test from step {test}, expected {needed} or more, so that windows of {frames} "
            f"steps (--frames) lie in all three parts, {gap} steps apart (--gap)"
        )
    cut = settings.model_copy(
        update={"gap": gap, "validation_from": calendar.label(validation), "test_from": calendar.label(test)}
    )
    return parts_of(records, cut, where), cut


def _division(
    records: Records,
    settings: RecordSettings,
    where: str,
    chosen: int,
    parts: tuple[Parts, ...],
    history: int,
    gaps: RecordGaps | None,
) -> Division:
    frames = chosen + history - 1  # of a window
    windows = count_windows(records, parts, chosen, history, gaps)
    enough_of = "have all values" if gaps is None else f"have {gaps.limit.words}"
    found = windows.found
    wanted = np.maximum(1, np.ceil(TOO_FEW * np.median(found, axis=0)))
    enough = (found >= wanted).all(axis=1)
    kept = np.flatnonzero(enough)
    too_few = {}
    for place in np.flatnonzero(~enough):
        part = int(np.argmax(found[place] < wanted))
        begin, end = list(parts[place])[part]
        times = [records.label(int(place), int(step)) for step in (begin, end - 1, *(records.spans[place] - (0, 1)))]
        if end - begin < frames:
            length = int(records.spans[place, 1] - records.spans[place, 0])
            too_few[records.ids[place]] = (
                f"a record of {length} steps, from {times[2]} to {times[3]}, is too short for windows of {frames} "
                f"steps in all parts, {settings.gap} steps apart (--frames, --gap)"
            )
            continue
        too_few[records.ids[place]] = (
            f"{found[place, part]} of {windows.possible[place, part]} windows of {frames} steps from {times[0]} to "
            f"{times[1]} ({PARTS[part]}) {enough_of}; its record goes from {times[2]} to {times[3]}"
        )
    if len(kept) < FEWEST_PLACES or (len(kept) < len(found) / 2):
        first = next(iter(too_few.items()), None)
        if first is None:
            raise InputError(
                f"{where}: found {len(found)} {'place' if len(found) == 1 else 'places'} ({', '.join(records.names)}), "
                f"expected {FEWEST_PLACES} or more: two to learn from and one to test on"
            )
        raise InputError(
            f"{where}: found {len(kept)} of {len(found)} places with enough windows; of {first[0]} "
            f"{first[1]}, expected {FEWEST_PLACES} or more and half of all: make windows shorter (--frames), or "
            "bring longer records"
        )
    unequal = bool(found[kept, 0].min() < UNEQUAL * np.median(found[kept, 0]))
    counts = np.median(found[kept], axis=0) if unequal else found[kept].min(axis=0)
    train, validation, test = (int(count) for count in counts)
    fewest = kept[found[kept, 0].argmin()]
    if train < FEWEST_TRAINED and frames > FEWEST_FRAMES:
        raise InputError(
            f"{where}: found {train} windows of {frames} steps to train in {records.ids[fewest]}, "
            f"expected {FEWEST_TRAINED} or more: make windows shorter (--frames), or leave the place out (--leave-out)"
        )
    return Division(
        settings.model_copy(update={"left_out": [*settings.left_out, *too_few], "repeated": unequal}),
        chosen,
        TrajectoryCounts(train=train, validation=validation, test=test),
        parts,
        windows,
        tuple(int(place) for place in kept),
        too_few,
        history,
        None if gaps is None else gaps.limit,
    )
