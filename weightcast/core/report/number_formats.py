"""Numbers in print."""

from __future__ import annotations

import math

MISSING = "\N{EN DASH}"
"""Stands for a number that there is not."""


def number(value: float) -> str:
    """Three significant digits; an infinite error (diverged rollouts) is ∞, a missing number a dash."""
    if math.isnan(value):
        return MISSING
    if math.isinf(value):
        return "∞" if value > 0 else "\N{MINUS SIGN}∞"
    if value == 0 or 1e-3 <= abs(value) < 1e4:
        digits = 2 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
        return f"{value:.{digits}f}"
    return f"{value:.2e}"


def interval(low: float, high: float) -> str:
    """The ends of an interval, in brackets."""
    return f"[{number(low)}, {number(high)}]"


def ratio(value: float, other: float) -> float:
    """``value / other``; NaN where that says nothing (both infinite, or zero below)."""
    if other == 0 or (math.isinf(value) and math.isinf(other)):
        return math.nan
    return value / other


def p_value(p: float) -> str:
    """A p that stands after ``p``: ``= 0.031`` or ``< 0.001``."""
    return "< 0.001" if p < 0.001 else f"= {p:.3f}" if p < 0.1 else f"= {p:.2f}"


def count(value: float) -> str:
    """A whole number with thousands set apart, or a dash."""
    return MISSING if math.isnan(value) else f"{value:,.0f}"


def seconds(value: float) -> str:
    """Seconds: whole above ten, two significant digits below, or a dash."""
    if math.isnan(value):
        return MISSING
    return f"{value:,.0f}" if value >= 10 or value == 0 else f"{value:.2g}"
