"""Levenberg-Marquardt in batches, against problems whose solutions are known."""

from __future__ import annotations

import torch

from weightcast.core.least_squares import levenberg_marquardt


def test_linear_problems_are_solved_exactly() -> None:
    generator = torch.Generator().manual_seed(0)
    matrices = torch.randn(5, 12, 3, generator=generator, dtype=torch.float64)
    targets = torch.randn(5, 12, generator=generator, dtype=torch.float64)
    start = torch.zeros(5, 3, dtype=torch.float64)
    found = levenberg_marquardt(lambda x, of: (matrices[of] @ x[..., None])[..., 0] - targets[of], start, 20)
    exact = torch.linalg.lstsq(matrices, targets[..., None]).solution[..., 0]
    torch.testing.assert_close(found.unknowns, exact, rtol=0, atol=3e-4)  # as far as costs of 10 tell
    torch.testing.assert_close(found.normal, matrices.mT @ matrices)


def test_each_problem_finds_its_own_rate() -> None:
    """Exponential decay, from far away: rates and amplitudes are exact where there is no noise."""
    times = torch.linspace(0, 3, 20, dtype=torch.float64)
    truth = torch.tensor([[1.0, 0.3], [2.0, 1.5], [0.5, 4.0]], dtype=torch.float64)

    def model(x: torch.Tensor) -> torch.Tensor:
        return x[:, :1] * torch.exp(-x[:, 1:] * times)

    found = levenberg_marquardt(lambda x, of: model(x) - model(truth[of]), torch.ones_like(truth), 40)
    torch.testing.assert_close(found.unknowns, truth, rtol=1e-6, atol=1e-8)
    assert (found.cost < 1e-12).all()


def test_a_problem_that_is_not_finite_leaves_the_others_alone() -> None:
    def residuals(x: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
        values = torch.cat([x - 2.0, x**2 - 4.0], 1)
        bad = torch.tensor([False, True])[of][:, None]
        return torch.where(bad, values * torch.nan, values)

    found = levenberg_marquardt(residuals, torch.tensor([[1.0], [1.0]]), 20)
    torch.testing.assert_close(found.unknowns, torch.tensor([[2.0], [1.0]]))
    assert torch.isinf(found.cost[1])


def test_settled_problems_are_left_out_of_further_steps() -> None:
    """A linear problem is settled after a few steps, one with a curved valley after many."""
    asked: list[list[int]] = []

    def residuals(x: torch.Tensor, of: torch.Tensor) -> torch.Tensor:
        asked.append(of.tolist())
        curved = torch.stack([10 * (x[:, 1] - x[:, 0] ** 2), 1 - x[:, 0], 0.1 + 0 * x[:, 0]], 1)  # Rosenbrock
        linear = torch.stack([x[:, 0] - 3, x[:, 1] + 1, 0.1 + 0 * x[:, 0]], 1)
        return torch.where((of == 0)[:, None], linear, curved)

    start = torch.tensor([[0.0, 0.0], [-1.2, 1.0]], dtype=torch.float64)
    found = levenberg_marquardt(residuals, start, 60)
    torch.testing.assert_close(found.unknowns, torch.tensor([[3.0, -1.0], [1.0, 1.0]]).double(), rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(found.cost, torch.tensor([0.01, 0.01]).double(), rtol=1e-5, atol=0)
    both = sum(0 in of and 1 in of for of in asked)
    assert both < 10 < len(asked)
    assert asked[-1] == [1]
    assert len(asked) < 60
