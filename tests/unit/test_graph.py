"""WeightGraph against the modules themselves: exact to the bit, each weight once, each node one output unit."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from graph_trials import (
    Declared,
    FourierLayer,
    SpectralConv2d,
    Trial,
    bits,
    fno,
    modules,
    outputs,
    scramble,
    thorough,
)
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap

from weightcast.core.graph import WeightGraph

# Round trips


@thorough
@given(modules, st.sampled_from([torch.float32, torch.float64, torch.bfloat16]))
def test_module_to_padded_tokens_to_fresh_module_is_exact(module: nn.Module, dtype: torch.dtype) -> None:
    scramble(module)
    low_precision = dtype == torch.bfloat16  # without kernels for some layers, so there the weights only
    if not low_precision:
        module.to(dtype)
    graph = WeightGraph(module)
    flat = graph.read(module).to(dtype)
    tokens = graph.flat(graph.tokens(flat))
    padded = graph.from_padded(graph.padded_tokens(flat))
    assert tokens.dtype == padded.dtype == dtype
    assert bits(tokens) == bits(padded) == bits(flat)
    if low_precision:
        return

    fresh = copy.deepcopy(module)
    graph.write(fresh, torch.full_like(flat, torch.nan))
    graph.write(fresh, padded)
    for (name, old), (_, new) in zip(module.named_parameters(), fresh.named_parameters(), strict=True):
        assert bits(old) == bits(new), name
    assert all(torch.equal(old, new) for old, new in zip(outputs(module), outputs(fresh), strict=True))


@thorough
@given(modules)
def test_every_weight_stands_in_exactly_one_place(module: nn.Module) -> None:
    graph = WeightGraph(module)
    entries = torch.arange(1, graph.num_parameters + 1)
    padded = graph.padded_tokens(entries)  # [num_nodes, max_width]
    assert graph.num_parameters == sum(parameter.numel() for parameter in module.parameters())
    assert torch.equal(padded[graph.mask].sort().values, entries)
    assert torch.equal(padded != 0, graph.mask)
    assert sum(layer.nodes * layer.width for layer in graph.layers) == graph.num_parameters
    assert torch.equal(graph.from_padded(padded.where(graph.mask, -1)), entries)

    rows = torch.arange(graph.num_nodes)[:, None].expand_as(padded)
    assert torch.equal(graph.node_of[padded[graph.mask] - 1], rows[graph.mask])
    assert graph.layer_index.bincount().tolist() == [layer.nodes for layer in graph.layers]
    named_bias = [
        "bias" in name and parameter.ndim == 1 and "bias_k" not in name and "bias_v" not in name
        for name, parameter in module.named_parameters()
        for _ in range(parameter.numel())
    ]
    assert graph.bias_entries.tolist() == named_bias


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
def test_any_bit_pattern_survives(dtype: torch.dtype) -> None:
    graph = WeightGraph(nn.Sequential(nn.GRU(3, 4), nn.ConvTranspose2d(4, 6, 3, groups=2)))
    patterns = torch.randint(0, 256, (3, graph.num_parameters * dtype.itemsize), dtype=torch.uint8)
    flat = patterns.view(dtype)  # NaNs with payloads, infinities, subnormals, negative zeros
    assert bits(graph.flat(graph.tokens(flat))) == bits(flat)
    assert bits(graph.from_padded(graph.padded_tokens(flat))) == bits(flat)
    assert bits(graph.flatten(graph.unflatten(flat))) == bits(flat)


@thorough
@given(modules, st.lists(st.integers(0, 3), max_size=2))
def test_leading_axes_pass_through(module: nn.Module, lead: list[int]) -> None:
    graph = WeightGraph(module)
    flat = torch.randn(*lead, graph.num_parameters)
    state = graph.unflatten(flat)
    assert {name: tuple(value.shape) for name, value in state.items()} == {
        name: (*lead, *parameter.shape) for name, parameter in module.named_parameters()
    }
    assert torch.equal(graph.flatten(state), flat)
    tokens, padded = graph.tokens(flat), graph.padded_tokens(flat)
    assert padded.shape == (*lead, graph.num_nodes, graph.max_width)
    assert torch.equal(graph.flat(tokens), flat)
    assert torch.equal(graph.from_padded(padded), flat)
    for member in torch.cartesian_prod(*map(torch.arange, lead)).reshape(-1, len(lead)) if lead else []:
        one = tuple(member.tolist())
        assert torch.equal(graph.padded_tokens(flat[one]), padded[one])
        assert all(torch.equal(a, b[one]) for a, b in zip(graph.tokens(flat[one]), tokens, strict=True))


def test_members_of_a_zoo_stack_and_map() -> None:
    members = [nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)) for _ in range(4)]
    graph = WeightGraph(members[0])
    flat = graph.flatten(stack_module_state(members)[0])
    assert torch.equal(flat, torch.stack([graph.read(member) for member in members]))
    assert torch.equal(vmap(graph.padded_tokens)(flat), graph.padded_tokens(flat))
    assert torch.equal(vmap(graph.from_padded)(graph.padded_tokens(flat)), flat)


def test_flatten_takes_a_state_dict_whatever_its_order() -> None:
    module = nn.Sequential(nn.Conv1d(2, 3, 1), nn.BatchNorm1d(3))
    graph = WeightGraph(module)
    state = dict(reversed(module.state_dict().items()))  # with running_mean and its like
    assert torch.equal(graph.flatten(state), graph.read(module))


# Gradients


@thorough
@given(modules)
def test_gradients_are_the_same_rearrangement(module: nn.Module) -> None:
    graph = WeightGraph(module)
    flat, cotangent = torch.randn(2, graph.num_parameters, requires_grad=True), torch.randn(2, graph.num_parameters)

    (gradient,) = torch.autograd.grad(graph.tokens(flat), flat, graph.tokens(cotangent))
    assert torch.equal(gradient, cotangent)
    (gradient,) = torch.autograd.grad(graph.padded_tokens(flat), flat, graph.padded_tokens(cotangent))
    assert torch.equal(gradient, cotangent)

    padded = torch.full((2, graph.num_nodes, graph.max_width), torch.nan, requires_grad=True)  # NaN: also as padding
    (gradient,) = torch.autograd.grad(graph.from_padded(padded), padded, cotangent)
    assert torch.equal(gradient, graph.padded_tokens(cotangent))


def test_gradients_reach_the_weights_through_the_module() -> None:
    trial = Trial(fno(4, (2, 3), 1)[1], torch.randn(2, 4, 8, 8))
    graph = WeightGraph(trial)
    flat = graph.read(trial).requires_grad_()
    assert not graph.read(trial).requires_grad
    by_call = functional_call(trial, graph.unflatten(graph.flat(graph.tokens(flat))), ()).square().sum()
    (gradient,) = torch.autograd.grad(by_call, flat)
    expected = torch.autograd.grad(trial().square().sum(), list(trial.parameters()))
    torch.testing.assert_close(gradient, nn.utils.parameters_to_vector(expected))


# What a node is


@pytest.mark.parametrize(
    ("net", "inputs"),
    [
        (nn.Linear(3, 4), [torch.randn(5, 3)]),
        (nn.Bilinear(2, 3, 4), [torch.randn(5, 2), torch.randn(5, 3)]),
        (nn.Conv1d(4, 6, 3, groups=2), [torch.randn(2, 4, 7)]),
        (nn.Conv2d(3, 4, (2, 3), bias=False), [torch.randn(2, 3, 7, 7)]),
        (nn.ConvTranspose1d(4, 5, 3), [torch.randn(2, 4, 7)]),
        (nn.ConvTranspose2d(4, 6, 3, groups=2), [torch.randn(2, 4, 7, 7)]),
        (nn.GroupNorm(2, 4), [torch.randn(5, 4)]),
        (SpectralConv2d(3, 4, (2, 2)), [torch.randn(2, 3, 8, 8)]),
        (FourierLayer(3, 4, (2, 2)), [torch.randn(2, 3, 8, 8)]),
        (nn.RNNCell(3, 4), [torch.randn(5, 3), torch.randn(5, 4)]),
        (nn.GRUCell(3, 4), [torch.randn(5, 3), torch.randn(5, 4)]),
        (nn.LSTMCell(3, 4), [torch.randn(5, 3)]),
        # One step, so that no unit acts upon another yet. The channels of both directions follow each other.
        (nn.GRU(3, 4, bidirectional=True, batch_first=True), [torch.randn(1, 3), torch.randn(2, 4)]),
    ],
    ids=lambda value: str(value) if isinstance(value, nn.Module) else "",
)
def test_an_output_unit_depends_on_its_own_node_only(net: nn.Module, inputs: list[Tensor]) -> None:
    trial = Trial(scramble(net), *inputs)
    graph = WeightGraph(trial)
    flat = graph.read(trial).requires_grad_()
    out = functional_call(trial, graph.unflatten(flat), ())  # [batch, unit, ...]
    assert graph.num_nodes == out.shape[1]
    for unit, channel in enumerate(out.unbind(1)):
        (gradient,) = torch.autograd.grad(channel, flat, torch.randn_like(channel), retain_graph=True)
        assert graph.node_of[gradient != 0].unique().tolist() == [unit]


def test_the_published_fno_has_386_nodes() -> None:
    graph = WeightGraph(fno(64, (12, 6), 4))
    assert graph.num_nodes == 386 == 64 + 4 * 64 + 64 + 2
    assert [layer.nodes for layer in graph.layers] == [64] * 6 + [2]
    assert [layer.width for layer in graph.layers] == [5] + [64 * 2 * 12 * 6 * 2 + 64 + 1] * 4 + [65, 64]
    assert "386 nodes" in repr(graph)


def test_a_fourier_block_merges_spectrum_skip_and_bias() -> None:
    layer = FourierLayer(3, 4, (2, 5))
    (tokens,) = WeightGraph(layer).tokens(WeightGraph(layer).read(layer))
    rows = [layer.spectral.weight.flatten(1), layer.skip.weight, layer.skip.bias[:, None]]
    assert torch.equal(tokens, torch.cat(rows, dim=1))


def test_a_gru_unit_merges_its_gates() -> None:
    gru: Any = nn.GRU(3, 4, num_layers=2, bidirectional=True)  # Any: its parameters' names are made up at run time
    graph = WeightGraph(nn.ModuleDict({"gru": gru}))
    widths = {"gru.l0": 3, "gru.l0_reverse": 3, "gru.l1": 8, "gru.l1_reverse": 8}
    assert [(layer.name, layer.nodes, layer.width) for layer in graph.layers] == [
        (name, 4, 3 * (inputs + 4 + 2)) for name, inputs in widths.items()
    ]
    first = WeightGraph(gru).tokens(WeightGraph(gru).read(gru))[0]  # [unit, 3 gates x (3 + 4 + 1 + 1)]
    assert torch.equal(first[2, :9], gru.weight_ih_l0[[2, 6, 10]].flatten())
    assert torch.equal(first[2, -3:], gru.bias_hh_l0[[2, 6, 10]])


def test_a_projected_lstm_has_nodes_for_its_projection() -> None:
    graph = WeightGraph(nn.LSTM(3, 5, proj_size=2))
    assert [(layer.name, layer.nodes, layer.width) for layer in graph.layers] == [
        ("l0", 5, 4 * (3 + 2 + 2)),
        ("weight_hr_l0", 2, 5),
    ]


@pytest.mark.parametrize("kdim", [None, 6, 7])
def test_attention_has_the_same_nodes_packed_or_apart(kdim: int | None) -> None:
    attention = nn.MultiheadAttention(6, 2, kdim=kdim, add_bias_kv=True)
    scramble(attention)
    graph = WeightGraph(attention)
    assert [(layer.name, layer.nodes, layer.width) for layer in graph.layers] == [
        ("q", 6, 7),
        ("k", 6, (kdim or 6) + 2),
        ("v", 6, 8),
        ("out_proj", 6, 7),
    ]
    tokens = graph.tokens(graph.read(attention))
    weights = (
        attention.in_proj_weight.split(6)
        if attention.in_proj_weight is not None
        else (attention.q_proj_weight, attention.k_proj_weight, attention.v_proj_weight)
    )
    for token, weight, bias in zip(tokens, weights, attention.in_proj_bias.split(6), strict=False):
        assert torch.equal(token[:, : weight.shape[1] + 1], torch.cat([weight, bias[:, None]], dim=1))


def test_parameters_without_a_rule_are_layers_of_their_leading_rows() -> None:
    class Positions(nn.Linear):
        def __init__(self) -> None:
            super().__init__(2, 3)
            self.table = nn.Parameter(torch.randn(5, 2, 2))
            self.gain = nn.Parameter(torch.tensor(1.0))

    assert [(layer.name, layer.nodes, layer.width) for layer in WeightGraph(Positions()).layers] == [
        ("(root)", 3, 3),
        ("table", 5, 4),
        ("gain", 1, 1),
    ]


def test_frozen_parameters_are_weights() -> None:
    assert WeightGraph(nn.Linear(2, 3).requires_grad_(False)).num_parameters == 9


def test_scale_and_shift_of_the_units_fold_into_the_weights() -> None:
    trial = Trial(scramble(FourierLayer(3, 4, (2, 2))), torch.randn(2, 3, 8, 8)).double()
    graph = WeightGraph(trial)
    scale, shift = torch.randn(2, graph.num_nodes, dtype=torch.double)
    flat = graph.read(trial)
    before = trial()
    graph.write(trial, flat * (1 + scale[graph.node_of]) + shift[graph.node_of] * graph.bias_entries)
    torch.testing.assert_close(trial(), before * (1 + scale[:, None, None]) + shift[:, None, None])


# Tied parameters


def test_a_tied_parameter_is_one_parameter() -> None:
    net = nn.Sequential(nn.Embedding(5, 3), nn.Linear(3, 5))
    net[1].weight = net[0].weight
    graph = WeightGraph(net)
    assert [(layer.name, layer.nodes, layer.width) for layer in graph.layers] == [("0", 5, 3), ("1", 5, 1)]
    assert graph.num_parameters == 20

    flat = torch.randn(20)
    assert torch.equal(graph.flatten(net.state_dict()), graph.read(net))
    tokens = torch.tensor([0, 3])
    by_call = functional_call(net, graph.unflatten(flat), (tokens,))
    graph.write(net, flat)
    assert net[1].weight is net[0].weight
    assert torch.equal(net(tokens), by_call)


def test_a_shared_module_is_one_module() -> None:
    block = nn.Linear(3, 3)
    assert WeightGraph(nn.Sequential(block, nn.Tanh(), block)).digest() == WeightGraph(nn.Sequential(block)).digest()


def test_weights_tied_inside_one_module_are_kept_once() -> None:
    cell = nn.GRUCell(4, 4)
    cell.weight_hh = cell.weight_ih
    graph = WeightGraph(cell)
    assert graph.num_parameters == 12 * 4 + 2 * 12
    assert torch.equal(graph.flat(graph.tokens(graph.read(cell))), graph.read(cell))


@pytest.mark.parametrize("axis", [0, 1, 2, -1])
def test_any_axis_may_be_the_output(axis: int) -> None:
    module = Declared((2, 3, 4), axis)
    graph = WeightGraph(module)
    flat = graph.read(module)
    (tokens,) = graph.tokens(flat)
    assert torch.equal(tokens, module.table.movedim(axis, 0).flatten(1))
    assert torch.equal(graph.flat([tokens]), flat)
