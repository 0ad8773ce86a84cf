"""Units as files name them: the same one is spelled in several ways, "m/s", "m s-1" and "m s**-1"."""

from __future__ import annotations

import re
from collections import Counter

ALIASES = {
    "m": ("meter", "metre"),
    "km": ("kilometer", "kilometre"),
    "s": ("sec", "second"),
    "min": ("minute",),
    "h": ("hr", "hour"),
    "d": ("day",),
    "kg": ("kilogram",),
    "g": ("gram",),
    "K": ("kelvin", "Kelvin", "degK", "deg_K"),
    "degC": (
        "celsius",
        "Celsius",
        "deg_C",
        "degree_C",
        "degree_Celsius",
        "degree_celsius",
        "degrees_C",
        "degrees_Celsius",
        "°C",
        "C",
    ),
    "ug": ("µg", "μg", "microgram"),
    "%": ("percent",),
    "1": ("dimensionless", "-", "unitless", "none"),
    "Pa": ("pascal", "Pascal"),
    "degree": ("deg", "°"),
}  # fmt: skip
_CANONICAL = {name: unit for unit, names in ALIASES.items() for one in names for name in (one, f"{one}s")} | {
    f"{unit}s": unit for unit in ("degree",)
}
_PART = re.compile(r"(?P<name>[A-Za-z_%°µμ]+|1|-)(?:\*\*|\^)?(?P<power>[+-]?\d+)?")


def same_unit(one: str, other: str) -> bool:
    """Whether two names are of one unit, as far as spelling goes: metres and kilometres are two."""
    return one.strip() == other.strip() or _powers(one) == _powers(other)


def _powers(unit: str) -> Counter[str] | str:
    """Powers of what a unit is made of; the text itself where it is none that can be read."""
    text = unit.strip()
    found: Counter[str] = Counter()
    if not text:
        return found
    for number, side in enumerate(re.split(r"\s*/\s*", text.replace("(", "").replace(")", ""))):
        for part in re.split(r"(?<!\*)\*(?!\*)|[.·\s]+", side):
            match = _PART.fullmatch(part)
            if match is None:
                return text
            name = _CANONICAL.get(match["name"], match["name"])
            if name != "1":
                found[name] += int(match["power"] or 1) * (-1 if number else 1)
    return Counter({name: power for name, power in found.items() if power})
