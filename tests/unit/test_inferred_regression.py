"""Regression of experts at parameters that are inferred from frames, on experts that are an exact polynomial."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import torch
from torch import Tensor

from weightcast.core.environment_table import Environment
from weightcast.core.nets.build import build_predictor
from weightcast.core.run import Run
from weightcast.environments.baselines.inferred_regression import regressed_experts
from weightcast.environments.conditioned import adapt
from weightcast.environments.config.regression import RegressionSettings
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.zoo import Zoo

ARCHITECTURE = {"kind": "mlp", "channels": 2, "width": 6, "depth": 1, "activation": "tanh"}
SHARED: dict[str, Any] = {"normalisation": {"mean": [0.0, 0.0], "scale": [1.0, 1.0]}, "architecture": ARCHITECTURE}


def test_parameters_outside_are_found_and_experts_regressed_there() -> None:
    predictor = StackedPredictor(build_predictor(ARCHITECTURE))
    draws = torch.Generator().manual_seed(2)
    shapes = torch.randn(3, predictor.graph.num_parameters, generator=draws) * torch.tensor([[0.3], [0.2], [0.08]])

    def expert(value: float) -> Tensor:
        return shapes[0] + value * shapes[1] + value**2 * shapes[2]

    rates = torch.linspace(-1, 1, 9).tolist()
    visible = tuple(Environment(f"v{place}", {"rate": rate}, "visible") for place, rate in enumerate(rates))
    manifest = [
        {"environment": row.id, "member": 0, "seed": 0, "diverged": row.id == "v4", "train_error": 0.0,
         "validation_error": 0.0, "seconds": 2.0, "data_digest": ""}
        for row in visible
    ]  # fmt: skip
    weights = torch.stack([expert(row.parameters["rate"]) for row in visible])
    weights[4] = torch.nan  # diverged: no part of the regression
    settings = SimpleNamespace(
        regressed=visible, regressed_base="erm", logarithmic_parameters=[],
        regression=RegressionSettings(degrees=[1, 2, 3], folds=4),
    )  # fmt: skip
    base = SimpleNamespace(metadata={"seconds": 5.0})
    method = regressed_experts(Run(), settings, Zoo(weights, manifest, SHARED), base)
    assert method.method == "polynomial-erm-observed" and method.parameters == 4 * weights.shape[1]
    assert method.train_seconds > 5.0

    asked = [0.3, 1.25, -1.2]  # between visible ones, and outside of them
    truth = torch.stack([expert(value) for value in asked])
    start = torch.randn(3, 1, 2, 1, 1, generator=draws)
    observed = torch.cat([start[:, :, None], predictor.rollout(truth, start, 8)], 2)
    found = adapt(method, ["a", "b", "c"], observed, predictor)
    torch.testing.assert_close(found.weights[:, 0], truth, atol=0.02, rtol=0)
