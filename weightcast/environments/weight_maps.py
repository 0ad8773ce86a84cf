"""Maps from an environment's parameters to a predictor's weights, trained through the predictor's own error.

The pooled network, the conditioned (FiLM) network and the hypernetwork are the same kind of thing - parameters in,
plain weights out - so they share one training, one artifact and one evaluation.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from weightcast.core.artifacts import Artifact
from weightcast.core.graph import WeightGraph


class PooledWeights(nn.Module):
    """The same weights in every environment: empirical risk minimisation."""

    def __init__(self, initial: Tensor) -> None:
        super().__init__()
        self.weights = nn.Parameter(initial.clone())

    def forward(self, parameters: Tensor) -> Tensor:
        """Scaled parameters [environment, parameter] -> weights [environment, weight], all rows equal."""
        return self.weights.expand(len(parameters), -1)


class FilmWeights(nn.Module):
    """Feature-wise linear modulation (Perez et al., AAAI 2018), folded into plain weights.

    Scaling the pre-activation of a node by (1 + s) and shifting it by t is the same as scaling all weights into the
    node, its bias included, by (1 + s) and adding t to the bias. So a conditioned network is, in each environment, a
    plain network of the same architecture. Nodes without a bias are scaled only.
    """

    node_of: Tensor
    bias_entries: Tensor

    def __init__(self, initial: Tensor, graph: WeightGraph, parameters: int, width: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(initial.clone())
        self.modulation = _mlp(parameters, width, 2 * graph.num_nodes)
        for parameter in self.modulation[-1].parameters():
            nn.init.zeros_(parameter)  # training starts from the unmodulated network
        self.register_buffer("node_of", graph.node_of, persistent=False)
        self.register_buffer("bias_entries", graph.bias_entries.to(initial.dtype), persistent=False)

    def scale_and_shift(self, parameters: Tensor) -> tuple[Tensor, Tensor]:
        """Scaled parameters [environment, parameter] -> s and t, each [environment, node]."""
        scale, shift = self.modulation(parameters).chunk(2, dim=-1)
        return scale, shift

    def forward(self, parameters: Tensor) -> Tensor:
        """Scaled parameters [environment, parameter] -> weights [environment, weight]."""
        scale, shift = self.scale_and_shift(parameters)
        return self.weights * (1.0 + scale[:, self.node_of]) + shift[:, self.node_of] * self.bias_entries


class HypernetworkWeights(nn.Module):
    """Weights as a mean plus a few learned directions, with coefficients from the environment's parameters."""

    def __init__(self, initial: Tensor, graph: WeightGraph, parameters: int, width: int, rank: int) -> None:
        super().__init__()
        self.weights = nn.Parameter(initial.clone())
        # Directions start as large as the weights of their own node, so that small and large layers move alike.
        size = torch.zeros(graph.num_nodes).scatter_reduce(0, graph.node_of, initial.square(), "mean").sqrt()
        self.directions = nn.Parameter(0.3 * torch.randn(rank, len(initial)) * size[graph.node_of])
        self.coefficients = _mlp(parameters, width, rank)

    def forward(self, parameters: Tensor) -> Tensor:
        """Scaled parameters [environment, parameter] -> weights [environment, weight]."""
        return self.weights + self.coefficients(parameters) @ self.directions


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, outputs)
    )


def build_weight_map(description: dict[str, Any], initial: Tensor, graph: WeightGraph) -> nn.Module:
    """A weight map from its description: kind (pooled, film, hypernetwork), parameters, and its own settings.

    Args:
        description: JSON values, as stored in artifacts.
        initial: weights of a freshly initialised predictor [weight].
        graph: of the predictor.
    """
    kind, parameters = description["kind"], int(description["parameters"])
    if kind == "pooled":
        return PooledWeights(initial)
    if kind == "film":
        return FilmWeights(initial, graph, parameters, int(description["width"]))
    if kind == "hypernetwork":
        return HypernetworkWeights(initial, graph, parameters, int(description["width"]), int(description["rank"]))
    raise ValueError(f"unknown kind of weight map: {kind!r}")


def load_weight_map(artifact: Artifact, graph: WeightGraph) -> nn.Module:
    """The trained weight map of a ``base`` artifact."""
    weight_map = build_weight_map(artifact.metadata["weight_map"], torch.zeros(graph.num_parameters), graph)
    weight_map.load_state_dict(artifact.tensors)
    return weight_map.requires_grad_(False)
