"""Times that labels say: ``day_2``, ``12h`` beside ``1d``, ``Day 00-03``; and what is asked where they say none."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from weightcast.core.errors import InputError
from weightcast.core.names import listed

# A sign counts only at the beginning: in "day-2" the dash joins.
_NUMBER = re.compile(r"(?:^\s*[+-])?(?:\d+\.?\d*|\.\d+)")
_RANGE = re.compile(r"(?P<before>\D*?)(?P<first>\d+\.?\d*)\s*[-\u2013]\s*(?P<last>\d+\.?\d*)(?P<after>\D*)")
_WITH_UNIT = re.compile(r"(?P<number>[+-]?(?:\d+\.?\d*|\.\d+))\s*(?P<unit>[A-Za-z]+)")
_SECONDS: dict[str, float] = {
    **dict.fromkeys(("s", "sec", "secs", "second", "seconds"), 1.0),
    **dict.fromkeys(("min", "mins", "minute", "minutes"), 60.0),
    **dict.fromkeys(("h", "hr", "hrs", "hour", "hours"), 3600.0),
    **dict.fromkeys(("d", "day", "days"), 86400.0),
    **dict.fromkeys(("w", "wk", "week", "weeks"), 604800.0),
}
_NAMES = {1.0: "seconds", 60.0: "minutes", 3600.0: "hours", 86400.0: "days", 604800.0: "weeks"}


def times_of_labels(labels: Iterable[str]) -> dict[str, float] | None:
    """The time that each label says.

    2.0 of ``2``, or of ``day_2`` beside ``day_4``; 24.0 of ``1d`` beside ``12h``, in the smaller of the units; 1.5, the
    middle, of ``Day 00-03`` beside ``Day 06-09``.

    Returns:
        a time for each label; None unless every label holds exactly one number, or range of them, with the same text
        around it, or with a unit of time.
    """
    labels = list(labels)
    for said in (_plain, _ranges, _units):
        if (times := said(labels)) is not None:
            return times
    return None


def read_time_labels(
    path: Path, place: str, labels: Sequence[str], given: Mapping[str, float] | None
) -> dict[str, float]:
    """The time of each label, as given or as it says itself.

    Args:
        path, place: named in the message.
        labels: that there are.
        given: ``data.settings.time_labels``: a time for each of them, or None.

    Raises:
        InputError: a label has no time, or two have the same one; the message lists the labels.
    """
    advice = "a time for each by --times-order LABEL=TIME ... (data.settings.time_labels)"
    if given is not None:
        missing = [label for label in labels if label not in given]
        if missing:
            raise InputError(
                f"{path}: {place}: found {listed(missing)} without a time among {listed(labels)}, expected {advice}"
            )
        return {label: float(given[label]) for label in labels}
    times = times_of_labels(labels)
    if times is None:
        raise InputError(
            f"{path}: {place}: found the labels {listed(labels)}, expected numbers, labels with one number each in the "
            f"same text, as day_2, or {advice}"
        )
    return times


def times_of_more_labels(labels: Sequence[str], known: Sequence[str]) -> dict[str, float] | None:
    """The time that each of some labels says where others are known already, and in the unit of those.

    ``2d`` is 48.0 beside the known ``0h`` and ``12h``, which count hours; beside ``day_0`` and ``day_4`` nobody knows,
    though ``day_2`` is 2.0 there.

    Args:
        labels: that are asked for.
        known: whose times :func:`times_of_labels` says.

    Returns:
        None where they say it in another way than the known ones, or none are known.
    """
    if not known:
        return None
    alone, together = times_of_labels(known), times_of_labels([*dict.fromkeys([*known, *labels])])
    if alone is None or together is None or any(together[label] != time for label, time in alone.items()):
        found = _in_unit_of(labels, known)
        return found if found is not None and alone is not None else None
    return {label: together[label] for label in labels}


def notes_on_labels(times: Mapping[str, float]) -> list[str]:
    """A line on what labels were taken for, where that is not the number which they show."""
    shown = {label: _NUMBER.findall(label) for label in times}
    if all(len(numbers) == 1 and float(numbers[0]) == times[label] for label, numbers in shown.items()):
        return []
    pairs = [f"{label} as {time:g}" for label, time in sorted(times.items(), key=lambda pair: pair[1])]
    unit = _unit_of(times)
    return [f"times of labels{f' in {unit}' if unit else ''}: {listed(pairs)}"]


def _plain(labels: Sequence[str]) -> dict[str, float] | None:
    times, around = {}, set()
    for label in labels:
        try:
            times[label] = float(label)
            around.add("")
        except ValueError:
            numbers = _NUMBER.findall(label)
            if len(numbers) != 1:
                return None
            times[label] = float(numbers[0])
            around.add(_NUMBER.sub("0", label).strip())
    return times if len(around) <= 1 else None


def _ranges(labels: Sequence[str]) -> dict[str, float] | None:
    """The middle of each, where all are ranges that go up and do not overlap."""
    times, around, ends = {}, set(), []
    for label in labels:
        match = _RANGE.fullmatch(label.strip())
        if match is None or not float(match["first"]) < float(match["last"]):
            return None
        around.add((match["before"].strip().lower(), match["after"].strip().lower()))
        times[label] = (float(match["first"]) + float(match["last"])) / 2
        ends.append((float(match["first"]), float(match["last"])))
    ends.sort()
    apart = all(before[1] <= after[0] for before, after in pairwise(ends))
    return times if len(around) == 1 and apart else None


def _units(labels: Sequence[str]) -> dict[str, float] | None:
    """In the smallest of the units, where every label is a number with a unit of time."""
    found = [_WITH_UNIT.fullmatch(label.strip()) for label in labels]
    if not found or any(match is None or match["unit"].lower() not in _SECONDS for match in found):
        return None
    seconds = [_SECONDS[match["unit"].lower()] for match in found if match]
    numbers = [float(match["number"]) for match in found if match]
    least = min(seconds)
    return {label: number * second / least for label, number, second in zip(labels, numbers, seconds, strict=True)}


def _in_unit_of(labels: Sequence[str], known: Sequence[str]) -> dict[str, float] | None:
    """Labels with a unit of time, in the smallest of those that known ones have."""
    if _units([*known, *labels]) is None or not known:
        return None
    matches = [_WITH_UNIT.fullmatch(label.strip()) for label in known]
    least = min(_SECONDS[match["unit"].lower()] for match in matches if match)
    found = {}
    for label in labels:
        match = _WITH_UNIT.fullmatch(label.strip())
        assert match is not None  # as all of them have a unit
        found[label] = float(match["number"]) * _SECONDS[match["unit"].lower()] / least
    return found


def _unit_of(times: Mapping[str, float]) -> str:
    if _units(list(times)) is None:
        return ""
    matches = [_WITH_UNIT.fullmatch(label.strip()) for label in times]
    return _NAMES[min(_SECONDS[match["unit"].lower()] for match in matches if match)]
