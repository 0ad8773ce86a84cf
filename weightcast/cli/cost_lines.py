"""What a study will cost, in words."""

from __future__ import annotations

from collections.abc import Mapping


def cost_lines(seconds: Mapping[str, float]) -> list[str]:
    """The sum, and each part, as ``weightcast check`` prints them.

    Args:
        seconds: on one core of this machine, by part of the study.
    """
    total = f"about {_minutes(sum(seconds.values())).strip()} core-minutes on this machine"
    return [total, *(f"{_minutes(spent)} {part}" for part, spent in seconds.items())]


def _minutes(seconds: float) -> str:
    minutes = seconds / 60
    return f"{minutes:6,.0f}" if minutes >= 10 else f"{minutes:6.1f}"
