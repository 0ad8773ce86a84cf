"""Forecasts by season: climatology by what the calendar says, and the first frame carried along its cycle.

The climatology is a harmonic regression, as is usual of daily and yearly cycles (e.g. D. S. Wilks, Statistical Methods
in the Atmospheric Sciences): of each value on sines and cosines of the calendar's angles and of their multiples. Both
forecasts know of an environment its first frame alone, as persistence does; a forecast that repeats the last season of
the very environment would need a season of it.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.environments.missing_values import any_missing

HARMONICS = 3
"""Multiples of each angle: three tell morning from evening, and a long winter from a short one."""


@dataclass(frozen=True)
class SeasonalClimatology:
    """A fitted climatology.

    Attributes:
        coefficients: [term, channel, y, x].
    """

    coefficients: Tensor

    @classmethod
    def fit(cls, frames: Tensor, calendar: Tensor) -> SeasonalClimatology:
        """Fit by least squares.

        Args:
            frames: [environment, trajectory, frame, channel, y, x], physical units; NaN where a value is missing, whose
                frame then tells nothing of it.
            calendar: sine and cosine of each angle [environment, trajectory, frame, 2 * angle].
        """
        terms = _terms(calendar).flatten(0, 2)
        values = frames.flatten(0, 2).flatten(1).double()
        if any_missing(values):
            whole = [torch.isfinite(column) for column in values.T]
            solved = torch.stack([_solved(terms[own], values[own, row]) for row, own in enumerate(whole)], 1)
        else:
            solved = _solved(terms, values)
        return cls(solved.unflatten(1, frames.shape[3:]).to(frames.dtype))

    def __call__(self, calendar: Tensor) -> Tensor:
        """The climatology of steps [..., 2 * angle]: [..., channel, y, x]."""
        return torch.einsum("...t,tcyx->...cyx", _terms(calendar).to(self.coefficients), self.coefficients)

    def carry(self, initial: Tensor, calendar: Tensor) -> Tensor:
        """First frames, changed as the climatology changes from their step on.

        Args:
            initial: [trajectory, channel, y, x].
            calendar: of the first frame and of the steps after it [trajectory, 1 + step, 2 * angle].

        Returns:
            [trajectory, step, channel, y, x].
        """
        cycle = self(calendar)
        return initial[:, None] + cycle[:, 1:] - cycle[:, :1]


def _solved(terms: Tensor, values: Tensor) -> Tensor:
    """Of a cycle of which few steps are there, several solutions would do: the smallest."""
    return torch.linalg.lstsq(terms, values if values.ndim > 1 else values[:, None], driver="gelsd").solution.view(
        terms.shape[1], *values.shape[1:]
    )


def _terms(calendar: Tensor) -> Tensor:
    """A constant, and sines and cosines of the angles and of their multiples [..., 1 + 2 * harmonic * angle]."""
    sine, cosine = calendar[..., 0::2].double(), calendar[..., 1::2].double()
    angle = torch.atan2(sine, cosine)
    multiples = torch.cat([number * angle for number in range(1, HARMONICS + 1)], dim=-1)
    return torch.cat([torch.ones_like(angle[..., :1]), multiples.sin(), multiples.cos()], dim=-1)
