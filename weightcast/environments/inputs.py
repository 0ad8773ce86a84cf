"""Known inputs beside the state: what of them a predictor is shown in a step.

A step leads from a frame to the next. It is shown inputs that are known over the horizon as they are in both of these
frames, since some records say what acts from a time on (controls) and others what acted until then (rain of an hour);
what the calendar says in the first of them, which says the same of the second; numbers of the place once; and inputs
that are known in the past alone as they are in the first frame of the whole forecast, since what came later nobody
would know (:meth:`weightcast.environments.predictor.StackedPredictor.rollout`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import torch
from torch import Tensor

from weightcast.environments.config.data import DataSettings


@dataclass(frozen=True)
class InputLayout:
    """Which columns of inputs there are, by their places in the array.

    Attributes:
        ahead: known over the horizon.
        once: likewise, but say no more where a step ends than where it begins: the calendar, what is constant.
        past: known in the past alone.
    """

    ahead: tuple[int, ...] = ()
    once: tuple[int, ...] = ()
    past: tuple[int, ...] = ()

    @classmethod
    def of(cls, data: DataSettings) -> Self:
        """Of the columns ``data.input_columns``."""
        known = list(data.inputs.values())
        return cls(
            tuple(place for place, one in enumerate(known) if one == "horizon"),
            (
                *(place for place, one in enumerate(known) if one == "constant"),
                *range(len(known), len(data.input_columns)),
            ),
            tuple(place for place, one in enumerate(known) if one == "past"),
        )

    @property
    def shown(self) -> int:
        """Channels that a predictor is shown."""
        return 2 * len(self.ahead) + len(self.once) + len(self.past)

    @property
    def held(self) -> int:
        """How many of these, the last ones, stay as they are in a forecast's first frame."""
        return len(self.past)

    def show(self, columns: Tensor) -> Tensor:
        """What a step is shown that begins at each frame; of the last one, at which none begins, its own twice.

        Args:
            columns: [..., frame, column, y, x].

        Returns:
            [..., frame, shown, y, x].
        """
        following = torch.cat([columns[..., 1:, :, :, :], columns[..., -1:, :, :, :]], dim=-4)
        now = columns[..., [*self.once, *self.past], :, :]
        return torch.cat([columns[..., list(self.ahead), :, :], following[..., list(self.ahead), :, :], now], dim=-3)

    def names(self, columns: Sequence[str]) -> list[str]:
        """Of what is shown, by the names of the columns."""
        ahead = [columns[place] for place in self.ahead]
        others = [columns[place] for place in (*self.once, *self.past)]
        return [*ahead, *(f"{name} (next)" for name in ahead), *others]
