"""Maps from what is known of an environment to a predictor's weights, trained through the predictor's own error.

The pooled network, the conditioned (FiLM) network and the hypernetwork are the same kind of thing - a condition in,
plain weights out - so they share one training, one artifact and one evaluation.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from weightcast.core.graph import WeightGraph
from weightcast.environments.conditions import Condition
from weightcast.environments.config.weight_map import AnyWeightMap, FilmMap, HypernetworkMap, LinearMap, PooledMap


class WeightMap(nn.Module):
    """A condition's coordinates [environment, coordinate] -> weights [environment, weight].

    Attributes:
        condition: whose coordinates they are.
        weights: of the network in the middle of it all [weight].
    """

    def __init__(self, initial: Tensor, condition: Condition) -> None:
        super().__init__()
        self.condition = condition
        self.weights = nn.Parameter(initial.clone())


class PooledWeights(WeightMap):
    """The same weights in every environment: empirical risk minimisation."""

    def forward(self, prepared: Tensor) -> Tensor:
        """Coordinates [environment, coordinate] -> weights [environment, weight], all rows equal."""
        return self.weights.expand(len(prepared), -1)


class FilmWeights(WeightMap):
    """Feature-wise linear modulation (Perez et al., AAAI 2018), folded into plain weights.

    Scaling the pre-activation of a node by (1 + s) and shifting it by t is the same as scaling all weights into the
    node, its bias included, by (1 + s) and adding t to the bias. So a conditioned network is, in each environment, a
    plain network of the same architecture. Nodes without a bias are scaled only.
    """

    node_of: Tensor
    bias_entries: Tensor

    def __init__(self, initial: Tensor, condition: Condition, graph: WeightGraph, width: int) -> None:
        super().__init__(initial, condition)
        self.modulation = _mlp(condition.width, width, 2 * graph.num_nodes)
        for parameter in self.modulation[-1].parameters():
            nn.init.zeros_(parameter)  # training starts from the unmodulated network
        self.register_buffer("node_of", graph.node_of, persistent=False)
        self.register_buffer("bias_entries", graph.bias_entries.to(initial.dtype), persistent=False)

    def scale_and_shift(self, prepared: Tensor) -> tuple[Tensor, Tensor]:
        """Coordinates [environment, coordinate] -> s and t, each [environment, node]."""
        scale, shift = self.modulation(self.condition(prepared)).chunk(2, dim=-1)
        return scale, shift

    def forward(self, prepared: Tensor) -> Tensor:
        """Coordinates [environment, coordinate] -> weights [environment, weight]."""
        scale, shift = self.scale_and_shift(prepared)
        return self.weights * (1.0 + scale[:, self.node_of]) + shift[:, self.node_of] * self.bias_entries


class HypernetworkWeights(WeightMap):
    """Weights as a mean plus a few learned directions, with coefficients from the condition."""

    def __init__(self, initial: Tensor, condition: Condition, graph: WeightGraph, width: int, rank: int) -> None:
        super().__init__(initial, condition)
        self.directions = nn.Parameter(_directions(initial, graph, rank))
        self.coefficients = _mlp(condition.width, width, rank)

    def forward(self, prepared: Tensor) -> Tensor:
        """Coordinates [environment, coordinate] -> weights [environment, weight]."""
        return self.weights + self.coefficients(self.condition(prepared)) @ self.directions


class LinearWeights(WeightMap):
    """Weights as a mean plus a learned direction for each coordinate of the condition (a linear hypernetwork; CoDA,
    Kirchmeyer et al., ICML 2022).

    Attributes:
        entries: which weights depend on the condition; the others are the same everywhere.
    """

    entries: Tensor

    def __init__(self, initial: Tensor, condition: Condition, graph: WeightGraph, scope: str) -> None:
        super().__init__(initial, condition)
        last = graph.node_of >= graph.num_nodes - graph.layers[-1].nodes
        entries = torch.arange(len(initial)) if scope == "all" else last.nonzero()[:, 0]
        self.register_buffer("entries", entries, persistent=False)
        self.directions = nn.Parameter(_directions(initial, graph, condition.width)[:, entries])

    def forward(self, prepared: Tensor) -> Tensor:
        """Coordinates [environment, coordinate] -> weights [environment, weight]."""
        shift = self.condition(prepared) @ self.directions  # [environment, entry]
        if shift.shape[1] == len(self.weights):
            return self.weights + shift
        return self.weights.expand(len(shift), -1).index_add(1, self.entries, shift)


def _directions(initial: Tensor, graph: WeightGraph, count: int) -> Tensor:
    """Random directions [direction, weight], as large as the weights of their own node: all layers move alike."""
    size = torch.zeros(graph.num_nodes).scatter_reduce(0, graph.node_of, initial.square(), "mean").sqrt()
    return 0.3 * torch.randn(count, len(initial)) * size[graph.node_of]


def _mlp(inputs: int, width: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(
        nn.Linear(inputs, width), nn.GELU(), nn.Linear(width, width), nn.GELU(), nn.Linear(width, outputs)
    )


def build_weight_map(settings: AnyWeightMap, condition: Condition, initial: Tensor, graph: WeightGraph) -> WeightMap:
    """An untrained weight map.

    Args:
        settings: its kind and sizes.
        condition: what it is a function of.
        initial: weights of a freshly initialised predictor [weight].
        graph: of the predictor.
    """
    match settings:
        case PooledMap():
            return PooledWeights(initial, condition)
        case FilmMap():
            return FilmWeights(initial, condition, graph, settings.width)
        case HypernetworkMap():
            return HypernetworkWeights(initial, condition, graph, settings.width, settings.rank)
        case LinearMap():
            return LinearWeights(initial, condition, graph, settings.scope)
