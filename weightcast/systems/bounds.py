"""Between which values a setting of a stochastic system has to lie."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, isfinite
from typing import Any

from weightcast.core.errors import InputError


@dataclass(frozen=True)
class Bounds:
    """An interval of numbers.

    Attributes:
        lowest: the lower end, or minus infinity.
        highest: the upper end, or infinity.
        open: whether neither end itself is allowed.
    """

    lowest: float = -inf
    highest: float = inf
    open: bool = False

    def __contains__(self, value: float) -> bool:
        if self.open:
            return self.lowest < value < self.highest
        return self.lowest <= value <= self.highest

    @property
    def words(self) -> str:
        """What follows "a number": " above 0", " from 0 to 99"; nothing where every number will do."""
        if isfinite(self.lowest) and isfinite(self.highest):
            return (
                f" between {self.lowest:g} and {self.highest:g}"
                if self.open
                else (f" from {self.lowest:g} to {self.highest:g}")
            )
        if isfinite(self.lowest):
            return f" above {self.lowest:g}" if self.open else f" of at least {self.lowest:g}"
        return ""


POSITIVE = Bounds(0, open=True)
NOT_NEGATIVE = Bounds(0)
ANY = Bounds()


def checked_setting(place: str, value: Any, bounds: Bounds, whole: bool) -> int | float:
    """The value of a setting.

    Args:
        place: of the setting, for the message.
        value: as the configuration or a table of environments has it.
        bounds: that it has to lie in.
        whole: whether it counts something. Tables hold real numbers: 3.0 is taken for 3.

    Raises:
        InputError: no number, or one that is not finite, not whole, or out of bounds.
    """
    number = isinstance(value, int | float) and not isinstance(value, bool) and isfinite(value)
    if not number or (whole and value != int(value)) or value not in bounds:
        kind = "whole" if whole else "finite"
        raise InputError(f"{place}: found {value!r}, expected a {kind} number{bounds.words}")
    return int(value) if whole else value
