"""Units of time as files name them, in seconds: "hours since 2000-01-01", "h", "minutes"."""

from __future__ import annotations

SECONDS = {
    1e-9: ("ns", "nanosecond"),
    1e-6: ("us", "microsecond"),
    1e-3: ("ms", "msec", "millisecond"),
    1.0: ("s", "sec", "second"),
    60.0: ("min", "minute"),
    3600.0: ("h", "hr", "hour"),
    86400.0: ("d", "day"),
    604800.0: ("week", "wk"),
}
_BY_NAME = {name: size for size, names in SECONDS.items() for one in names for name in (one, f"{one}s")}


def seconds_of(unit: object) -> float | None:
    """Seconds of a unit, whenever it counts from; None where it is no unit of time of a known length."""
    if not isinstance(unit, str):
        return None
    return _BY_NAME.get(unit.lower().partition(" since ")[0].strip())


def in_unit(value: float, unit: object, wanted: object) -> float | None:
    """A time in another unit; None where they cannot be compared. No unit at all is taken for the other one."""
    if unit is None or wanted is None or unit == wanted:
        return value
    own, other = seconds_of(unit), seconds_of(wanted)
    return None if own is None or other is None else value * own / other
