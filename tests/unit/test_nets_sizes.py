"""Sizes of predictors that are counted from their settings, against the networks themselves."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from weightcast.core.config.predictor import PredictorSettings
from weightcast.core.graph import WeightGraph
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.nets.sizes import count_nodes, count_weights, kept_activations, layer_sizes
from weightcast.environments.predictor import StackedPredictor

FIELD, POINT = (16, 16), (1, 1)
PREDICTORS: list[tuple[dict[str, Any], tuple[int, int]]] = [
    ({"kind": "fno"}, FIELD),
    ({"kind": "fno", "width": 5, "modes": (3, 2), "depth": 1, "projection": 7, "positional": False}, FIELD),
    ({"kind": "uno"}, FIELD),
    ({"kind": "uno", "width": 3, "modes": [(4, 3)], "projection": 5, "positional": False}, FIELD),
    ({"kind": "uno", "width": 4, "modes": [(4, 4), (2, 2), (1, 1)]}, FIELD),
    ({"kind": "unet"}, FIELD),
    ({"kind": "unet", "width": 4, "levels": 3, "downsampling": "strided", "padding": "zeros"}, FIELD),
    ({"kind": "unet", "width": 5, "levels": 1, "positional": False}, FIELD),
    ({"kind": "stencil"}, FIELD),
    ({"kind": "stencil", "width": 6, "depth": 3, "substeps": 4, "padding": "zeros"}, FIELD),
    ({"kind": "mlp"}, POINT),
    ({"kind": "mlp", "width": 9, "depth": 4, "activation": "tanh"}, POINT),
]
named = pytest.mark.parametrize(("section", "grid"), PREDICTORS, ids=lambda value: str(value)[:60])


@named
@pytest.mark.parametrize("channels", [1, 3])
def test_layers_are_those_of_the_weight_graph(section: dict[str, Any], grid: tuple[int, int], channels: int) -> None:
    settings = PredictorSettings(**section).root
    graph = WeightGraph(build_predictor(describe_architecture(settings, channels)))
    assert sorted(layer_sizes(settings, channels)) == sorted((layer.nodes, layer.width) for layer in graph.layers)
    assert count_weights(settings, channels) == graph.num_parameters
    assert count_nodes(settings, channels) == graph.num_nodes


def kept_by_torch(predictor: StackedPredictor, batch: int, grid: tuple[int, int]) -> int:
    """Numbers that torch keeps for the gradient of two members' two steps, each storage counted once."""
    weights = predictor.graph.read(predictor.module)[None].expand(2, -1).clone().requires_grad_()
    held: list[torch.Tensor] = []  # all of them, so that no storage is used twice

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        held.append(tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        predictor.rollout_error(weights, torch.randn(2, batch, 3, 2, *grid))
    storages = {tensor.untyped_storage().data_ptr(): tensor.untyped_storage().nbytes() for tensor in held}
    return sum(storages.values()) // 4


@named
def test_kept_activations_are_about_those_that_torch_keeps(section: dict[str, Any], grid: tuple[int, int]) -> None:
    settings = PredictorSettings(**section).root
    predictor = StackedPredictor(build_predictor(describe_architecture(settings, 2)))
    # Of twice the batch and once: what is kept of the weights, which no batch makes more, drops out.
    found = (kept_by_torch(predictor, 32, grid) - kept_by_torch(predictor, 16, grid)) / (2 * 16 * 2)
    assert 0.7 * found < kept_activations(settings, 2, grid) < 1.5 * found
