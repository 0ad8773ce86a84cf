"""Folding a conditioned network into plain weights, against the network modulated at its activations."""

from __future__ import annotations

import pytest
import torch
from tiny_conditions import on_parameters

from weightcast.core.graph import WeightGraph
from weightcast.core.nets.fno import FNO
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import FilmWeights, HypernetworkWeights, LinearWeights, PooledWeights

CONDITION = on_parameters(beta=(0.0, 1.0), D=(0.1, 0.3))


@pytest.fixture
def network() -> FNO:
    torch.manual_seed(0)
    return FNO(2, 6, (3, 2), 2, 8)


def random_film(network: FNO) -> FilmWeights:
    graph = WeightGraph(network)
    film = FilmWeights(graph.read(network), CONDITION, graph, width=16)
    for parameter in film.modulation.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return film.requires_grad_(False)


def modulated(network: FNO, film: FilmWeights, parameters: torch.Tensor, frames: torch.Tensor) -> torch.Tensor:
    """FiLM as it is usually done: each layer's pre-activation is scaled and shifted by hooks."""
    scale, shift = film.scale_and_shift(parameters[None])
    first, hooks = 0, []
    for layer in WeightGraph(network).layers:
        rows = slice(first, first + layer.nodes)
        first += layer.nodes
        module = network.get_submodule(layer.name)
        s, t = scale[0, rows], shift[0, rows]
        if layer.name == "output":
            t = torch.zeros_like(t)  # it has no bias to shift
        hooks.append((module, s, t))
    return _forward_by_hand(network, {id(module): (s, t) for module, s, t in hooks}, frames)


def _forward_by_hand(network, modulation, frames):
    from torch.nn import functional as F

    from weightcast.core.nets.fno import map_channels, positions

    def film(module, values):
        s, t = modulation[id(module)]
        return values * (1 + s[:, None, None, None]) + t[:, None, None, None]

    fields = torch.cat([frames.transpose(0, 1), positions(frames.transpose(0, 1))])
    fields = film(network.lifting, map_channels(network.lifting, fields))
    for index, layer in enumerate(network.layers):
        fields = film(layer, layer(fields))
        if index < len(network.layers) - 1:
            fields = F.gelu(fields)
    fields = F.gelu(film(network.hidden, map_channels(network.hidden, fields)))
    return frames + film(network.output, map_channels(network.output, fields)).transpose(0, 1)


def test_folded_weights_equal_modulated_activations(network):
    film = random_film(network)
    frames = torch.randn(3, 2, 8, 8)
    for parameters in (torch.tensor([0.3, -0.7]), torch.tensor([1.4, 1.1])):
        folded = StackedPredictor(network)(film(parameters[None]), frames[None])[0]
        expected = modulated(network, film, parameters, frames)
        assert (expected - network(frames)).abs().max() > 1e-2  # the modulation does something
        torch.testing.assert_close(folded, expected, atol=1e-5, rtol=1e-5)


def test_film_starts_as_the_pooled_network(network):
    graph = WeightGraph(network)
    initial = graph.read(network)
    parameters = torch.randn(4, 2)

    film, pooled = FilmWeights(initial, CONDITION, graph, 16), PooledWeights(initial, CONDITION)
    torch.testing.assert_close(film(parameters), pooled(parameters))


def test_hypernetwork_weights_lie_in_the_span_of_its_directions(network):
    graph = WeightGraph(network)
    hypernetwork = HypernetworkWeights(graph.read(network), CONDITION, graph, 16, rank=3)
    with torch.no_grad():
        delta = hypernetwork(torch.randn(20, 2)) - hypernetwork.weights

    assert torch.linalg.matrix_rank(delta.double(), rtol=1e-5) == 3


@pytest.mark.parametrize("scope", ["all", "output"])
def test_a_linear_map_moves_the_weights_of_its_scope_alone_and_in_proportion(network, scope):
    graph = WeightGraph(network)
    linear = LinearWeights(graph.read(network), CONDITION, graph, scope).requires_grad_(False)
    nothing, one, other = linear(torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.3, -2.0]]))
    torch.testing.assert_close(nothing, graph.read(network))
    first = (one - nothing).clone()
    second = linear(torch.tensor([[0.0, 1.0]]))[0] - nothing
    torch.testing.assert_close(other - nothing, 0.3 * first - 2.0 * second, rtol=1e-4, atol=1e-5)
    last = {layer.name for layer in graph.layers[-1:]}
    for name, moved in graph.unflatten(first).items():
        assert bool((moved != 0).all()) == (scope == "all" or name.rpartition(".")[0] in last), name
