"""Names of the columns that say what the calendar says of a step."""

from __future__ import annotations

from collections.abc import Sequence

from weightcast.records.settings import CalendarInput


def calendar_columns(names: Sequence[CalendarInput]) -> list[str]:
    """The columns that say it, two for each."""
    return [f"{name}_{of}" for name in names for of in ("sin", "cos")]
