"""The column that says when a sample was taken."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from weightcast.core.errors import InputError
from weightcast.core.names import listed

TIME_COLUMNS = ("time", "t", "times", "timepoint", "time_point", "day", "samples", "sample_time", "age", "hours")
"""Names that a column of times is recognised by, in upper or lower case."""


def choose_time_column(path: Path, columns: Sequence[str], wanted: str | None) -> str:
    """The column that is wanted, or else the one whose name says that it holds times.

    Raises:
        InputError: there is no such column, or there are several; the message lists what there is.
    """
    setting = "its name by --time-column NAME (data.settings.time_column)"
    if wanted is not None:
        if wanted not in columns:
            raise InputError(f"{path}: found no column {wanted!r} of times, expected one of {listed(columns)}")
        return wanted
    likely = [column for column in columns if column.strip().lower() in TIME_COLUMNS]
    if not likely:
        raise InputError(
            f"{path}: found no column of times among {listed(columns)}, expected one named {', '.join(TIME_COLUMNS)}, "
            f"or {setting}"
        )
    if len(likely) > 1:
        raise InputError(f"{path}: found {listed(likely)}, each a column of times by its name, expected {setting}")
    return likely[0]
