"""The state that a forecast goes on from, against dynamics whose best estimate is known."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import cast

import pytest
import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.environments.model import PhysicalPredictor
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.smoothing import smoothed_starts

SCALE = 2.0
NOISE = 0.1
"""In units of the scale."""
NO_ERROR = torch.zeros(0, 1)


@dataclass(frozen=True)
class Factor:
    """A predictor that multiplies with a factor in every step."""

    factor: float
    normalisation: Normalisation = field(default_factory=lambda: Normalisation([0.0], [SCALE]))
    history: int = 1

    def states(self, initial: Tensor, times: Sequence[float], inputs: Tensor | None = None) -> Tensor:
        return torch.stack([self.factor**time * initial for time in times], 1)


def models(factor: float, count: int) -> list[PhysicalPredictor]:
    return [cast(PhysicalPredictor, Factor(factor)) for _ in range(count)]


def frames(factor: float, count: int, points: int, noise: float) -> tuple[Tensor, Tensor]:
    """Observed [1, count, 1, points, 1], and the true last one [points]."""
    true = SCALE * factor ** torch.arange(count)[:, None] * (1.0 + Draws("cpu", "true").uniform(1, points))
    seen = true + noise * SCALE * Draws("cpu", "seen").normal(count, points)
    return seen[None, :, None, :, None], true[-1]


@pytest.mark.parametrize("factor", [0.8, 1.0, 1.25])
def test_it_is_the_best_linear_estimate_and_as_uncertain(factor: float) -> None:
    """Noise dies away, stays or grows: an error of the standard deviation sigma / sqrt(sum of 1 / factor^(2 lag)).
    4000 points and 200 members: 5 % is more than three standard errors."""
    count = 6
    seen, true = frames(factor, count, 4000, NOISE)
    lags = [float(count - 1 - place) for place in range(count)]
    found = smoothed_starts(models(factor, 200), seen, lags, NOISE, NO_ERROR, seed=0)
    assert found.shape == (200, 1, 1, 4000, 1)
    expected = NOISE * SCALE / math.sqrt(sum(factor ** (-2 * lag) for lag in lags))
    off = found.mean(0)[0, 0, :, 0] - true
    assert float(off.square().mean().sqrt()) == pytest.approx(expected, rel=0.05)
    assert float(found.std(0).mean()) == pytest.approx(expected, rel=0.05)


def test_an_error_of_the_predictors_makes_old_frames_count_less() -> None:
    seen, _ = frames(1.0, 3, 2000, NOISE)
    error = torch.tensor([[0.1], [0.2]])
    found = smoothed_starts(models(1.0, 400), seen, [2.0, 1.0, 0.0], NOISE, error, seed=0).mean(0)[0, 0]
    precision = torch.tensor([1 / (NOISE**2 + 0.2**2), 1 / (NOISE**2 + 0.1**2), 1 / NOISE**2])
    expected = ((precision / precision.sum())[:, None] * seen[0, :, 0, :, 0]).sum(0)
    torch.testing.assert_close(found[:, 0], expected, atol=0.04, rtol=0)


def test_without_noise_the_last_frame_is_as_it_is() -> None:
    seen, _ = frames(1.0, 4, 10, NOISE)
    error = torch.tensor([[0.1], [0.2], [0.3]])
    found = smoothed_starts(models(1.0, 3), seen, [3.0, 2.0, 1.0, 0.0], 0.0, error, seed=0)
    torch.testing.assert_close(found, seen[:, -1].expand(3, -1, -1, -1, -1), atol=1e-4, rtol=1e-4)


def test_frames_with_gaps_are_passed_over_the_last_one_too() -> None:
    seen, true = frames(0.9, 5, 500, 0.0)
    seen[0, 4, 0, 0, 0] = torch.nan
    seen[0, 1, 0, 3, 0] = torch.nan
    found = smoothed_starts(models(0.9, 2), seen, [4.0, 3.0, 2.0, 1.0, 0.0], 0.0, NO_ERROR, seed=0)
    torch.testing.assert_close(found[1, 0, 0, :, 0], true)
    with pytest.raises(InputError, match="found none without NaN"):
        smoothed_starts(models(0.9, 2), seen[:, [1, 4]], [3.0, 0.0], 0.0, NO_ERROR, seed=0)


def test_a_forecast_that_is_not_finite_does_not_count() -> None:
    seen, true = frames(1.0, 3, 50, 0.0)
    seen[:, 0] = 3e38
    found = smoothed_starts(models(10.0, 2), seen, [2.0, 1.0, 0.0], 0.0, torch.tensor([[1.0], [1.0]]), seed=0)
    torch.testing.assert_close(found[0, 0, 0, :, 0], true, atol=1e-3, rtol=1e-3)
