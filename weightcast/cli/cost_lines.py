"""What a study will cost, in words."""

from __future__ import annotations

from collections.abc import Mapping

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
IN_HOURS = 10 * HOUR
"""From which sum on costs are stated in hours."""


def cost_lines(seconds: Mapping[str, float]) -> list[str]:
    """The sum, and each part, as ``weightcast check`` prints them.

    Args:
        seconds: on one core of this machine, by part of the study.
    """
    total = sum(seconds.values())
    if total < IN_HOURS:
        sum_of_all, unit = f"{number(total / MINUTE).strip()} core-minutes", MINUTE
    else:
        days = number(total / DAY).strip()
        sum_of_all, unit = f"{number(total / HOUR).strip()} core-hours ({days} days of a core)", HOUR
    parts = (f"{number(spent / unit)} {part}" for part, spent in seconds.items())
    return [f"about {sum_of_all} on this machine", *parts]


def number(value: float) -> str:
    """With a digit after the point where it is small, in a column of six."""
    return f"{value:6,.0f}" if value >= 10 else f"{value:6.1f}"
