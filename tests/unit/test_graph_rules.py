"""Kinds of layers that the weight graph is told of: declared by the module, or by a rule for its type."""

from __future__ import annotations

import re

import pytest
import torch
from torch import nn

from weightcast.core.errors import InputError
from weightcast.core.graph import Part, WeightGraph, register


class Outer(nn.Module):
    """Stores its weight input first."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.arange(6.0).reshape(2, 3))
        self.norm = nn.LayerNorm(3)


def test_a_registered_rule_serves_its_type_and_subclasses() -> None:
    class Kind(Outer):
        pass

    class Special(Kind):
        pass

    @register(Kind)
    def kind(module: Kind) -> dict[str, list[Part]]:
        norm = [Part(f"norm.{name}", (3,), bias=name == "bias") for name in ("weight", "bias")]
        return {"units": [Part("weight", (2, 3), units=(1,)), *norm]}

    graph = WeightGraph(Special())
    (tokens,) = graph.tokens(graph.read(Special()))
    assert [layer.name for layer in graph.layers] == ["units"]
    assert tokens.tolist() == [[0, 3, 1, 0], [1, 4, 1, 0], [2, 5, 1, 0]]
    with pytest.raises(ValueError, match="Kind has a node rule already: kind"):
        register(Kind)(kind)


def test_parts_may_take_a_parameter_in_any_order() -> None:
    class Backwards(Outer):
        pass

    @register(Backwards)
    def rows(module: Backwards) -> dict[str, list[Part]]:
        return {"second": [Part("weight", (3,), offset=3)], "first": [Part("weight", (3,))]}

    graph = WeightGraph(Backwards())
    flat = graph.read(Backwards())
    assert [token.flatten().tolist() for token in graph.tokens(flat)[:2]] == [[3, 4, 5], [0, 1, 2]]
    assert torch.equal(graph.flat(graph.tokens(flat)), flat)


@pytest.mark.parametrize(
    ("declared", "message"),
    [
        ({"wieght": 0}, "Mistaken.weight_nodes() names 'wieght', which Mistaken does not have"),
        ({"norm": 0}, "Mistaken.weight_nodes() names 'norm', a LayerNorm, expected a parameter"),
        ({"weight": 2}, "Mistaken.weight_nodes() names axis 2 of 'weight', whose shape is [2, 3]"),
        ({"weight": 0, "norm.bias": 0}, "the same number of nodes, 'weight' has 2, 'norm.bias' has 3"),
    ],
)
def test_a_wrong_declaration_is_named(declared: dict[str, int], message: str) -> None:
    class Mistaken(Outer):
        def weight_nodes(self) -> dict[str, int]:
            return declared

    with pytest.raises(InputError, match=re.escape(message)):
        WeightGraph(Mistaken())


@pytest.mark.parametrize(
    ("layers", "message"),
    [
        ({"": [Part("weight", (1, 3))]}, "parameter 'weight': its nodes cover 3 of 6 entries"),
        ({"a": [Part("weight", (2, 3))], "b": [Part("weight", (2, 3))]}, "parameter 'weight': its node rule leaves"),
        ({"": [Part("weight", (1, 3), offset=3)]}, "parameter 'weight': its node rule leaves entries missing at 3"),
        ({"": [Part("other", (1, 3))]}, "layer '(root)': its node rule names 'other', which is no parameter"),
        ({"norm": [Part("weight", (2, 3))]}, "layer 'norm' is declared twice"),
    ],
)
def test_a_rule_that_loses_or_doubles_weights_is_refused(layers: dict[str, list[Part]], message: str) -> None:
    class Wrong(Outer):
        pass

    register(Wrong)(lambda module: layers)
    with pytest.raises(InputError, match=re.escape(message)):
        WeightGraph(Wrong())
