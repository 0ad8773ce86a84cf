"""Derivatives of rollouts that are carried along with the state, against those taken backwards through the whole."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.func import jacrev

from weightcast.core.draws import Draws
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.rollout_jacobian import rollout, rollout_jacobian


def test_it_is_that_of_the_whole_rollout() -> None:
    predictor = StackedPredictor.of_architecture(
        {"kind": "mlp", "width": 4, "depth": 2, "activation": "silu", "integrator": "rk4", "channels": 3}
    )
    weights = predictor.graph.read(predictor.module).double()
    starts = Draws("cpu", "starts").normal(5, 3, 1, 1, dtype=torch.float64)

    def step(weights: Tensor, states: Tensor) -> Tensor:
        return predictor(weights[None], states[None])[0]

    found = rollout_jacobian(step, weights, starts, 6)
    whole = jacrev(lambda weights: rollout(step, weights, starts, 6))(weights)
    assert found.shape == (5, 6, 3, len(weights))
    torch.testing.assert_close(found, whole.flatten(2, 4), rtol=1e-10, atol=1e-12)


def test_of_a_product_it_is_known() -> None:
    """States that are multiplied with one weight: x w^n, whose derivative is n x w^(n - 1)."""
    starts = torch.tensor([[2.0], [-1.0]], dtype=torch.float64)
    weight = torch.tensor([1.5], dtype=torch.float64)
    found = rollout_jacobian(lambda weights, states: weights * states, weight, starts, 4)
    powers = torch.arange(1, 5, dtype=torch.float64)
    torch.testing.assert_close(found[..., 0, 0], starts * powers * weight ** (powers - 1))
