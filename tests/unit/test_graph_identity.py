"""What a WeightGraph refuses, in one line, and when two graphs are the same."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from math import prod
from typing import Any

import pytest
import torch
from graph_trials import (
    fno,
    modules,
    scramble,
    thorough,
)
from hypothesis import given
from torch import nn

from weightcast.core.errors import InputError
from weightcast.core.graph import WeightGraph


def test_modules_without_a_graph_are_refused() -> None:
    with pytest.raises(InputError, match="ReLU has no parameters"):
        WeightGraph(nn.ReLU())
    with pytest.raises(InputError, match=r"parameter '0\.weight' has no shape yet"):
        WeightGraph(nn.Sequential(nn.LazyLinear(3)))
    integers = nn.ParameterList([nn.Parameter(torch.arange(3), requires_grad=False)])
    with pytest.raises(TypeError, match=r"parameter '0' is torch\.int64"):
        WeightGraph(integers)
    with pytest.raises(TypeError, match=r"parameter '0' is torch\.complex64"):
        WeightGraph(nn.ParameterList([nn.Parameter(torch.zeros(3, dtype=torch.complex64))]))
    with pytest.raises(TypeError, match=r"parameter '1\.weight' is torch\.float64, parameter '0\.weight' is torch\.fl"):
        WeightGraph(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2).double()))


def test_a_wrong_size_is_named() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    graph = WeightGraph(net)  # 9 + 4 weights
    tokens = graph.tokens(torch.zeros(13))
    state = graph.unflatten(torch.zeros(5, 13))
    refused: list[tuple[Callable[[], Any], str]] = [
        (lambda: graph.tokens(torch.zeros(2, 12)), "flat weights: shape [2, 12], expected [..., 13]"),
        (lambda: graph.padded_tokens(torch.tensor(0.0)), "flat weights: shape [], expected [..., 13]"),
        (lambda: graph.unflatten(torch.zeros(14)), "flat weights: shape [14], expected [..., 13]"),
        (lambda: graph.from_padded(torch.zeros(4, 3)), "padded tokens: shape [4, 3], expected [..., 4, 4]"),
        (lambda: graph.flat(tokens[:1]), "tokens of 1 layers, expected 2"),
        (lambda: graph.flat(tokens[::-1]), "tokens of layer '0': shape [1, 4], expected [..., 3, 3]"),
        (lambda: graph.flat([tokens[0], tokens[1][None]]), "layer '1' has leading axes (1,), layer '0' has ()"),
        (lambda: graph.flatten({**state, "2.bias": torch.zeros(1)}), "parameter '2.bias' is not of this architecture"),
        (lambda: graph.flatten({"0.weight": state["0.weight"]}), "parameter '0.bias' is missing"),
        (
            lambda: graph.flatten({**state, "0.bias": torch.zeros(2)}),
            "parameter '0.bias': shape [2], expected [..., 3]",
        ),
        (lambda: graph.flatten({**state, "1.bias": torch.zeros(1)}), "parameter '1.bias' has leading axes ()"),
        (lambda: graph.write(net, torch.zeros(1, 13)), "weights to write: shape [1, 13], expected [13]"),
        (lambda: graph.read(net[0]), "module of another architecture: parameter '0.weight' has shape None"),
        (
            lambda: graph.read(nn.Sequential(*net, net[1], nn.PReLU())),
            "parameter '3.weight' has shape (1,), expected None",
        ),
    ]
    for attempt, message in refused:
        with pytest.raises(InputError, match=re.escape(message)):
            attempt()


def test_a_mixture_of_dtypes_is_named() -> None:
    net = nn.Sequential(nn.Linear(2, 3), nn.Linear(3, 1))
    graph = WeightGraph(net)
    first, last = graph.tokens(torch.zeros(13))
    with pytest.raises(TypeError, match=r"layer '1' is torch\.float64, layer '0' is torch\.float32"):
        graph.flat([first, last.double()])
    before = graph.read(net)
    with pytest.raises(
        TypeError, match=r"parameter '0\.weight' is torch\.float32, the weights to write are torch\.floa"
    ):
        graph.write(net, torch.zeros(13, dtype=torch.float64))
    assert torch.equal(graph.read(net), before)


# Identity


@thorough
@given(modules)
def test_equal_structure_has_an_equal_digest(module: nn.Module) -> None:
    twin = scramble(copy.deepcopy(module)).double()
    graph = WeightGraph(module)
    assert WeightGraph(twin).digest() == graph.digest()
    assert json.loads(json.dumps(graph.describe())) == graph.describe()


@thorough
@given(modules, modules)
def test_digests_differ_where_structures_do(one: nn.Module, other: nn.Module) -> None:
    a, b = WeightGraph(one), WeightGraph(other)
    assert (a.digest() == b.digest()) == (a.shapes == b.shapes and a.layers == b.layers)


def test_the_digest_sees_what_shapes_do_not() -> None:
    alike = [
        nn.Conv1d(4, 4, 3, bias=False),
        nn.ConvTranspose1d(4, 4, 3, bias=False),  # the same shape, but the other axis is the output
        nn.Linear(3, 4, bias=False),
        nn.Sequential(nn.Linear(3, 4, bias=False)),  # another name
        nn.Linear(4, 3, bias=False),
        nn.Linear(3, 4),
    ]
    assert len({WeightGraph(module).digest() for module in alike}) == len(alike)
    grouped = nn.ConvTranspose1d(4, 4, 3, groups=2, bias=False), nn.ConvTranspose1d(4, 2, 3, bias=False)
    assert grouped[0].weight.shape == grouped[1].weight.shape
    assert WeightGraph(grouped[0]).digest() != WeightGraph(grouped[1]).digest()


def test_the_digest_does_not_see_what_holds_no_weights() -> None:
    tanh, dropout = (nn.Sequential(nn.Linear(2, 3), middle, nn.Linear(3, 1)) for middle in (nn.Tanh(), nn.Dropout()))
    assert WeightGraph(tanh).digest() == WeightGraph(dropout).digest()


def test_the_digest_stays_what_it_is() -> None:
    # Artifacts carry the digest: whoever changes it here makes every stored zoo a stranger to its architecture.
    assert WeightGraph(fno(2, (1, 1), 1)).digest() == "0bd5a8df153e4c523eb79e91a6c3694227992d488a8a753f01ac5b80d628ca6b"


def test_index_tensors_move_with_the_graph() -> None:
    graph = WeightGraph(nn.GRU(2, 3))
    assert graph.mask.device.type == "cpu"  # now cached
    moved = graph.to("meta")
    names = ("mask", "layer_index", "node_of", "bias_entries")
    assert {getattr(moved, name).device.type for name in names} == {"meta"}
    assert {getattr(graph, name).device.type for name in names} == {"cpu"}
    assert {name: getattr(moved, name).shape for name in names} == {name: getattr(graph, name).shape for name in names}


def test_shapes_are_in_flat_order() -> None:
    module = nn.Sequential(nn.Linear(2, 3), nn.GRU(3, 2))
    graph = WeightGraph(module)
    assert graph.shapes == {name: tuple(parameter.shape) for name, parameter in module.named_parameters()}
    flat = graph.read(module)
    assert torch.equal(flat, nn.utils.parameters_to_vector(module.parameters()))
    assert graph.unflatten(flat)["0.weight"].data_ptr() == flat.data_ptr()  # a view
    assert sum(map(prod, graph.shapes.values())) == graph.num_parameters
