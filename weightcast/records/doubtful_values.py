"""Values of records that are probably not meant: undeclared marks of missing values, constants, lost digits."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.records.record import Records
from weightcast.records.rows import Rows
from weightcast.trajectories.fill_values import usual_mark

FAR_ALONE = 1e3
"""Ranges of all other values, from which on a single value far away is refused."""
FAR_REPEATED = 1.0
"""The same, of a value that is there again and again."""
DIGITS = 1e-5
"""Spread over size, below which single precision, which has seven digits, keeps less than two of what varies."""


def check_extremes(rows: Rows, channels: tuple[str, ...]) -> None:
    """Raise an `InputError` where the least or the greatest value of a column lies far from all others.

    It is taken for an undeclared mark of missing values where it is there more than once and as far away from the next
    value as all others are from each other, or 1000 times as far and there once. Zero is a value.
    """
    check_usual_marks(rows, channels)
    for channel, name in enumerate(channels):
        column = rows.values[:, channel]
        distinct, counts = np.unique(column[~np.isnan(column)], return_counts=True)
        if len(distinct) < 4:
            continue
        for extreme, next_one, rest in (
            (0, distinct[1], distinct[-1] - distinct[1]),
            (-1, distinct[-2], distinct[-2] - distinct[0]),
        ):
            value, count = distinct[extreme], int(counts[extreme])
            if value == 0 or rest <= 0:
                continue
            if abs(value - next_one) > (FAR_REPEATED if count > 1 else FAR_ALONE) * rest:
                row = int(np.flatnonzero(column == value)[0])
                others = (distinct[1], distinct[-1]) if extreme == 0 else (distinct[0], distinct[-2])
                raise InputError(
                    f"{rows.where(row)}, column {name}: found {value:g}, {_times(count)} in the table and far from all "
                    f"other values ({others[0]:g} to {others[1]:g}), expected --missing {value:g} if it stands for "
                    "missing values, or --missing none if it does not"
                )


def check_usual_marks(rows: Rows, channels: tuple[str, ...], named: Sequence[str] = ()) -> None:
    """Raise an `InputError` where a column holds a number that usually stands for a missing value, more than once and
    apart from all others.

    Args:
        rows: of the table, without the marks that are named.
        channels: names of the columns.
        named: these marks.
    """
    for channel, name in enumerate(channels):
        column = rows.values[:, channel]
        mark = usual_mark(column)
        if mark is not None:
            row = int(np.flatnonzero(column == mark.value)[0])
            all_marks = " ".join([*named, f"{mark.value:g}"])
            raise InputError(
                f"{rows.where(row)}, column {name}: found {mark.value:g}, {mark.count} times in the table and far from "
                f"all other values ({mark.low:g} to {mark.high:g}), expected --missing {all_marks} if it stands for "
                "missing values, or --missing none if it does not"
            )


def doubts(records: Records, states: int | None = None) -> list[str]:
    """Warnings of places in which a quantity never changes, and of digits that single precision loses: of the first
    ``states`` quantities, which are forecast; of all if None. Of the others, which are inputs, of those that are the
    same everywhere."""
    lines = []
    for channel, name in enumerate(
        records.channels[len(records.channels) if states is None else states :], states or 0
    ):
        known = np.unique(records.values[..., channel][~np.isnan(records.values[..., channel])])
        if len(known) == 1:
            lines.append(f"{name} is {known[0]:g} in every row of every place: as an input it tells predictors nothing")
    for channel, name in enumerate(records.channels[:states]):
        values = records.values[..., channel]
        least, most = _over_steps(np.nanmin, values), _over_steps(np.nanmax, values)
        constant = [id for id, same in zip(records.ids, least == most, strict=True) if same]
        if constant:
            lines.append(f"{name} never changes in {', '.join(constant)}: there errors are divided by almost nothing")
        size, spread = float(np.nanmax(np.abs(values))), float(np.nanmax(most) - np.nanmin(least))
        if 0 < spread < DIGITS * size:
            lines.append(
                f"{name} varies by {spread:g} around {size:g}, of which single precision loses digits: subtract a "
                "constant first"
            )
    return lines


def _over_steps(function: Callable[..., NDArray[np.float64]], values: NDArray[np.float64]) -> NDArray[np.float64]:
    known = ~np.isnan(values).all(axis=1)
    found = np.full(len(values), np.nan)
    found[known] = function(values[known], axis=1)
    return found


def _times(count: int) -> str:
    return "once" if count == 1 else f"{count} times"
