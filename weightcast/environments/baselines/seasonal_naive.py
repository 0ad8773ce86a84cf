"""The seasonal naive forecast: what the very place had at the same time of a season before (R. J. Hyndman and G.
Athanasopoulos, Forecasting: Principles and Practice, 3rd ed., 2021, section 5.2).

A record is known as windows with what the calendar says of their frames. The same time is where every angle of the
calendar - hour, weekday, season, place in a cycle - is the same to half of a step; of several such frames the latest is
taken. It asks for a record that has been through the season: of a shorter one there is no such forecast.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

LEAST_TOLERANCE = math.pi / 52
"""Half a week of a year: an angle that hardly moves in a step is the same time for so long. Of two years no two days
are the same, and nobody waits for the hour at which they nearly are."""
_ROUNDING = 1.01


@dataclass(frozen=True)
class SeasonalNaive:
    """A record that is repeated.

    Attributes:
        values: of its frames, in the order of time [frame, channel, y, x], physical units; NaN where one is missing.
        angles: what the calendar says of each [frame, angle].
        tolerance: within which angles are the same [angle].
    """

    values: Tensor
    angles: Tensor
    tolerance: Tensor

    @classmethod
    def of(cls, record: Tensor, calendar: Tensor) -> SeasonalNaive:
        """The record of one environment.

        Args:
            record: [trajectory, frame, channel, y, x], the earliest trajectory first, two frames or more each.
            calendar: sine and cosine of each angle [trajectory, frame, 2 * angle].
        """
        angles = _angles(calendar)
        step = _apart(angles[:, 1:], angles[:, :-1]).flatten(0, 1).median(0).values
        tolerance = _ROUNDING * (step / 2).clamp(min=LEAST_TOLERANCE)
        return cls(record.flatten(0, 1), angles.flatten(0, 1), tolerance)

    def __call__(self, calendar: Tensor) -> Tensor | None:
        """Forecasts of steps.

        Args:
            calendar: of the steps [trajectory, step, 2 * angle].

        Returns:
            [trajectory, step, channel, y, x]; None where the record has no value of some channel at the time of some
            step.
        """
        asked = _angles(calendar).flatten(0, 1)
        same = (_apart(asked[:, None], self.angles) <= self.tolerance).all(-1)  # [asked, frame]
        numbers = torch.arange(1, len(self.angles) + 1, device=same.device)
        rows = self.values.flatten(1)
        known = torch.isfinite(rows)
        latest = torch.stack([((same & own) * numbers).amax(1) for own in known.mT])  # [value, asked]
        if not bool((latest > 0).all()):
            return None
        found = rows.gather(0, latest.mT - 1)
        return found.unflatten(1, self.values.shape[1:]).unflatten(0, calendar.shape[:2])


def _angles(calendar: Tensor) -> Tensor:
    """[..., 2 * angle] sines and cosines -> [..., angle]."""
    return torch.atan2(calendar[..., 0::2].double(), calendar[..., 1::2].double())


def _apart(first: Tensor, second: Tensor) -> Tensor:
    """How far angles are apart on the circle, from 0 to pi."""
    return ((first - second + math.pi) % (2 * math.pi) - math.pi).abs()
