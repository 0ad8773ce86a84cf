"""Levenberg-Marquardt in batches, against problems whose solutions are known."""

from __future__ import annotations

import torch

from weightcast.core.least_squares import levenberg_marquardt


def test_linear_problems_are_solved_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(5, 12, 3, generator=generator, dtype=torch.float64)
    targets = torch.randn(5, 12, generator=generator, dtype=torch.float64)
    start = torch.zeros(5, 3, dtype=torch.float64)
    found = levenberg_marquardt(lambda x: (matrices @ x[..., None])[..., 0] - targets, start, 20)
    exact = torch.linalg.lstsq(matrices, targets[..., None]).solution[..., 0]
    torch.testing.assert_close(found.unknowns, exact, rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(found.normal, matrices.mT @ matrices)


def test_each_problem_finds_its_own_rate() -> None:
    """Exponential decay, from far away: rates and amplitudes are exact where there is no noise."""
    times = torch.linspace(0, 3, 20, dtype=torch.float64)
    truth = torch.tensor([[1.0, 0.3], [2.0, 1.5], [0.5, 4.0]], dtype=torch.float64)

    def model(x: torch.Tensor) -> torch.Tensor:
        return x[:, :1] * torch.exp(-x[:, 1:] * times)

    found = levenberg_marquardt(lambda x: model(x) - model(truth), torch.ones_like(truth), 40)
    torch.testing.assert_close(found.unknowns, truth, rtol=1e-6, atol=1e-8)
    assert (found.cost < 1e-12).all()


def test_a_problem_that_is_not_finite_leaves_the_others_alone() -> None:
    def residuals(x: torch.Tensor) -> torch.Tensor:
        values = torch.cat([x - 2.0, x**2 - 4.0], 1)
        bad = torch.tensor([False, True])[:, None]
        return torch.where(bad, values * torch.nan, values)

    found = levenberg_marquardt(residuals, torch.tensor([[1.0], [1.0]]), 20)
    torch.testing.assert_close(found.unknowns, torch.tensor([[2.0], [1.0]]))
    assert torch.isinf(found.cost[1])
