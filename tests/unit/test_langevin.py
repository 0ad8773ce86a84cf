"""Langevin steps end in the distribution that they are asked for."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.environments.langevin import langevin

CHAINS = 4000


def normal(points: Tensor) -> Tensor:
    """Log-density of N((1, -2), [[1, 0.8], [0.8, 1]]), but for a constant."""
    inverse = torch.linalg.inv(torch.tensor([[1.0, 0.8], [0.8, 1.0]]))
    off = points - torch.tensor([1.0, -2.0])
    return -0.5 * torch.einsum("ni,ij,nj->n", off, inverse, off)


def test_a_normal_distribution_is_found_from_elsewhere() -> None:
    """Mean and covariance to 0.06, with a factor that knows nothing of the correlation."""
    start = torch.zeros(CHAINS, 2)
    factor = 0.7 * torch.eye(2).expand(CHAINS, -1, -1)
    points, kept = langevin(normal, start, factor, 80, Draws("cpu", "normal"))
    torch.testing.assert_close(points.mean(0), torch.tensor([1.0, -2.0]), rtol=0.0, atol=0.06)
    torch.testing.assert_close(torch.cov(points.T), torch.tensor([[1.0, 0.8], [0.8, 1.0]]), rtol=0.0, atol=0.06)
    assert 0.4 < float(kept.mean()) < 1.0


def test_what_is_right_stays_right_although_steps_are_far_too_long() -> None:
    """Acceptance keeps a distribution that is a tenth as wide as the factor says."""
    start = 0.1 * Draws("cpu", "start").normal(CHAINS, 1)
    points, kept = langevin(
        lambda points: -50.0 * points.square().sum(1), start, torch.ones(CHAINS, 1, 1), 10, Draws("cpu", "narrow")
    )
    assert abs(float(points.std()) - 0.1) < 0.005
    assert 0.0 < float(kept.mean()) < 0.5


def test_half_of_a_plane_is_never_entered() -> None:
    """A density that is not finite somewhere is one of what is left: |N(0, 1)| has the mean 0.798."""

    def half(points: Tensor) -> Tensor:
        return torch.where(points[:, 0] > 0, -0.5 * points[:, 0].square(), torch.nan)

    start = Draws("cpu", "half").normal(CHAINS, 1).abs()
    points, _ = langevin(half, start, torch.ones(CHAINS, 1, 1), 20, Draws("cpu", "steps"))
    assert (points > 0).all()
    assert abs(float(points.mean()) - 0.798) < 0.04
