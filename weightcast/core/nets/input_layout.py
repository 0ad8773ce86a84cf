"""Which columns of known inputs a predictor is shown beside the state, and how: what its architecture says of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Self


@dataclass(frozen=True)
class InputLayout:
    """Columns of inputs, by their places.

    A step leads from a frame to the next. It is shown inputs that are known over the horizon as they are in both of
    these frames, since some records say what acts from a time on (controls) and others what acted until then (rain of
    an hour); what the calendar says, and numbers of the place, once; and inputs that are known in the past alone as
    they are in the first frame of the whole forecast, since what came later nobody would know.

    Attributes:
        columns: names.
        ahead: places of those that are known over the horizon.
        calendar: likewise, but what it says where a step begins, it says where that ends.
        constant: numbers of the place.
        past: known in the past alone.
    """

    columns: tuple[str, ...] = ()
    ahead: tuple[int, ...] = ()
    calendar: tuple[int, ...] = ()
    constant: tuple[int, ...] = ()
    past: tuple[int, ...] = ()

    @property
    def shown(self) -> int:
        """Channels that a predictor is shown behind those of the state."""
        return 2 * len(self.ahead) + len(self.shown_once)

    @property
    def shown_once(self) -> tuple[int, ...]:
        """Places of columns of which a step is shown one value, behind those of which it is shown two."""
        return (*self.constant, *self.calendar, *self.past)

    @property
    def held(self) -> int:
        """How many of these, the last ones, stay as they are in a forecast's first frame."""
        return len(self.past)

    def needed(self, steps: int) -> int:
        """Frames of inputs that a forecast of so many steps needs, its first frame's among them."""
        return steps + 1 if self.ahead else steps if self.calendar else 1

    def names(self) -> list[str]:
        """What is shown, by name, in its order."""
        ahead = [self.columns[place] for place in self.ahead]
        others = [self.columns[place] for place in self.shown_once]
        return [*ahead, *(f"{name} (next)" for name in ahead), *others]

    def describe(self) -> dict[str, Any]:
        """JSON values: the entry ``inputs`` of an architecture."""
        return {name: list(value) for name, value in asdict(self).items()}

    @classmethod
    def from_description(cls, described: Mapping[str, Sequence[Any]] | None) -> Self:
        """The inverse of :meth:`describe`; without inputs where there is none.

        Raises:
            ValueError: places are none of columns.
        """
        if described is None:
            return cls()
        layout = cls(**{name: tuple(values) for name, values in described.items()})
        if sorted((*layout.ahead, *layout.shown_once)) != list(range(len(layout.columns))):
            raise ValueError(f"found inputs {dict(described)}, expected every column once")
        return layout
