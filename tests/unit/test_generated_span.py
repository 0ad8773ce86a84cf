"""Refining what a generator makes of observed frames, with vector fields whose true weights are known."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from weightcast.core.nets.build import build_predictor
from weightcast.environments.generated_span import EXPLAINED, MOST, GeneratedSpan
from weightcast.environments.predictor import StackedPredictor

ARCHITECTURE = {"kind": "mlp", "channels": 2, "width": 6, "depth": 1, "activation": "tanh"}


def weights_along(directions: int, environments: int, count: int, residue: float = 0.0) -> Tensor:
    """Weights [environment, weight] that vary in so many directions, and a little in all."""
    torch.manual_seed(3)
    codes = torch.randn(environments, directions)
    return 0.3 * torch.randn(count) + 0.2 * codes @ torch.randn(directions, count) + residue * torch.randn(
        environments, count
    )  # fmt: skip


def test_as_many_directions_as_explain_what_varies() -> None:
    weights = weights_along(2, 12, 50, residue=1e-3)
    span = GeneratedSpan.of(weights)
    assert span.codes.shape == (12, 2)
    torch.testing.assert_close(span.directions @ span.directions.mT, torch.eye(2), atol=1e-5, rtol=0)
    centred = weights - weights.mean(0)
    assert (weights - span(span.codes)).square().sum() < (1 - EXPLAINED) * centred.square().sum()
    assert span.learned == 50 + 2 * 50 + 12 * 2
    assert GeneratedSpan.of(torch.randn(40, 60)).codes.shape[1] == MOST  # noise alone: as many as there may be
    assert GeneratedSpan.of(torch.ones(3, 9)).codes.shape[1] == 1  # nothing varies
    assert GeneratedSpan.of(weights[:2]).codes.shape[1] == 1


@pytest.mark.parametrize("noise", [0.0, 0.02])
def test_refined_weights_explain_the_frames(noise: float) -> None:
    predictor = StackedPredictor(build_predictor(ARCHITECTURE))
    visible = weights_along(2, 12, predictor.graph.num_parameters)
    span = GeneratedSpan.of(visible)
    truth = span(span.codes[:3] + torch.tensor([[0.8, -0.5], [-0.6, 0.4], [1.5, 1.0]]))  # none is a visible one
    start = torch.randn(3, 2, 2, 1, 1)
    frames = torch.cat([start[:, :, None], predictor.rollout(truth, start, 6)], 2)
    observed = frames + noise * torch.randn(frames.shape)
    generated = span(span.codes[:3])
    refined = span.refine(generated, predictor, observed)

    def error(weights: Tensor) -> Tensor:
        ahead = predictor.rollout(weights, start, 20)
        return (ahead - predictor.rollout(truth, start, 20)).square().flatten(1).mean(1).sqrt()

    assert (error(refined) < (0.25 if noise else 0.02) * error(generated)).all()
    # What lies off the span is no business of the search, and a generator that is all wrong is no trap.
    wrong = generated + 5.0 * torch.randn_like(generated)
    torch.testing.assert_close(span.refine(wrong, predictor, observed), refined, atol=0.02, rtol=0)
