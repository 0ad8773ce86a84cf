"""Environments whose parameters are unknown: weights through the parameters that explain observed frames best."""

from __future__ import annotations

import pytest
import torch
from tiny_conditions import on_parameters

from weightcast.core.methods import method
from weightcast.core.nets.build import build_predictor
from weightcast.environments.conditioned import Conditioned, adapt
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.predictor import StackedPredictor

ARCHITECTURE = {
    "kind": "fno", "channels": 1, "width": 4, "modes": [2, 2], "depth": 2, "projection": 4,
    "positional": False, "residual": True,
}  # fmt: skip


@pytest.fixture(scope="module")
def rates():
    """A predictor, and a map from one scaled parameter to weights: only the output layer depends on it, linearly."""
    module = build_predictor(ARCHITECTURE, seed=3)
    predictor = StackedPredictor(module)
    base = predictor.graph.read(module)
    varying = predictor.graph.unflatten(base)["output.weight"]

    def weights_of(scaled: torch.Tensor) -> torch.Tensor:
        state = predictor.graph.unflatten(base.expand(len(scaled), -1))
        state["output.weight"] = varying * (1 + 0.5 * scaled[:, :, None])
        return predictor.graph.flatten(state)

    return predictor, weights_of


def observed_frames(predictor, weights: torch.Tensor, count: int) -> torch.Tensor:
    """Rollouts of each network from two random starts: [environment, trajectory, frame, channel, y, x]."""
    first = torch.randn(len(weights), 2, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        return torch.cat([first[:, :, None], predictor.rollout(weights, first, count - 1)], dim=2)


def test_weights_are_those_of_the_parameters_behind_the_frames(rates) -> None:
    predictor, weights_of = rates
    true = torch.tensor([[-0.83], [0.17], [1.3]])  # the last outside the visible range, which ends at 1
    frames = observed_frames(predictor, weights_of(true), count=4)
    conditioned = Conditioned(
        method="film-matched-observed",
        seed=0,
        weights_of=weights_of,
        condition=on_parameters(rate=(0.1, 0.5)),
        normalisation=Normalisation((0.0,), (1.0,)),
        train_seconds=5.0,
        parameters=7,
    )

    adapted = adapt(conditioned, ["a", "b", "c"], frames, predictor)

    assert adapted.environments == ["a", "b", "c"]
    assert (adapted.method, adapted.train_seconds, adapted.parameters) == ("film-matched-observed", 5.0, 7)
    assert adapted.adapt_seconds > 0
    assert adapted.weights.shape == (3, 1, predictor.graph.num_parameters)
    assert not adapted.weights.requires_grad
    between_neighbours = (weights_of(torch.tensor([[0.0]])) - weights_of(torch.tensor([[0.1]]))).norm()
    errors = (adapted.weights[:, 0] - weights_of(true)).norm(dim=1)
    assert (errors < 0.5 * between_neighbours).all(), errors / between_neighbours  # within 0.05 of the parameter


def test_a_method_that_is_shown_frames_is_named_after_the_one_that_is_told_parameters() -> None:
    shown, told = method("generator-paper-observed"), method("generator-paper")
    assert shown.family == told.family == "generator"
    assert shown.label == f"{told.label}, from frames"
    assert "unknown" in shown.description
    assert method("hypernetwork-observed").family == "baseline"
    drawn = method("generator-paper-observed-ensemble")
    assert (drawn.family, drawn.told_parameters) == ("generator", False) and drawn.label.endswith("ensemble")
