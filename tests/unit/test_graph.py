"""WeightGraph against the modules themselves: exact to the bit, each weight once, each node one output unit."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Callable
from math import prod
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.func import functional_call, stack_module_state, vmap
from torch.nn.utils import parametrizations

from weightcast.errors import InputError
from weightcast.graph import WeightGraph

thorough = settings(deadline=None, max_examples=100)


class SpectralConv2d(nn.Module):
    """Multiplies the lowest Fourier modes, those of positive and those of negative y frequency."""

    def __init__(self, in_channels: int, out_channels: int, modes: tuple[int, int]) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.randn(out_channels, in_channels, 2, *modes, 2))

    def weight_nodes(self) -> dict[str, int]:
        return {"weight": 0}

    def forward(self, x: Tensor) -> Tensor:
        my, mx = self.weight.shape[3:5]
        spectrum = torch.fft.rfft2(x)  # [batch, in, y, x // 2 + 1]
        weight = torch.view_as_complex(self.weight)
        low = torch.einsum("biyx,oiyx->boyx", spectrum[..., :my, :mx], weight[:, :, 0])
        high = torch.einsum("biyx,oiyx->boyx", spectrum[..., -my:, :mx], weight[:, :, 1])
        out = spectrum.new_zeros(len(x), len(weight), *spectrum.shape[2:])
        out[..., :my, :mx] = low
        out[..., -my:, :mx] = high
        return torch.fft.irfft2(out, s=x.shape[-2:])


class FourierLayer(nn.Module):
    def __init__(self, in_channels: int, out_channels: int, modes: tuple[int, int], bias: bool = True) -> None:
        super().__init__()
        self.spectral = SpectralConv2d(in_channels, out_channels, modes)
        self.skip = nn.Linear(in_channels, out_channels, bias=bias)

    def weight_nodes(self) -> dict[str, int]:
        return {"spectral.weight": 0, "skip.weight": 0, "skip.bias": 0}

    def forward(self, x: Tensor) -> Tensor:
        return self.spectral(x) + self.skip(x.movedim(1, -1)).movedim(-1, 1)


def fno(width: int, modes: tuple[int, int], depth: int) -> nn.Sequential:
    """The published predictor's weights: lifting, Fourier blocks, projection without a last bias."""
    blocks = [FourierLayer(width, width, modes) for _ in range(depth)]
    return nn.Sequential(nn.Linear(4, width), *blocks, nn.Linear(width, width), nn.Linear(width, 2, bias=False))


class Trial(nn.Module):
    """A module with an input to try it on; the input is a buffer, so it must not be taken for a weight."""

    def __init__(self, net: nn.Module, *inputs: Tensor) -> None:
        super().__init__()
        self.net = net
        for i, value in enumerate(inputs):
            self.register_buffer(f"input{i}", value)

    def forward(self) -> Tensor:
        out = self.net(*self.buffers(recurse=False))
        return out[0] if isinstance(out, tuple) else out  # recurrent layers and attention return a pair


class Bare(nn.Module):
    """Parameters that no rule knows, one without axes."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(shape))
        self.gain = nn.Parameter(torch.randn(()))

    def forward(self) -> Tensor:
        return self.gain * self.table


class Declared(nn.Module):
    """One parameter whose output axis may be any."""

    def __init__(self, shape: tuple[int, ...], axis: int) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.randn(shape))
        self.axis = axis

    def weight_nodes(self) -> dict[str, int]:
        return {"table": self.axis}

    def forward(self) -> Tensor:
        return 2 * self.table


sizes = st.integers(1, 5)


@st.composite
def trials(draw: st.DrawFn) -> Trial:
    kinds = ["mlp", "conv", "transposed", "recurrent", "cell", "attention", "fourier"]
    kind = draw(st.sampled_from([*kinds, "embedding", "norm", "activation", "parametrized", "bare", "declared"]))
    a, b, c, bias = draw(sizes), draw(sizes), draw(sizes), draw(st.booleans())
    if kind == "mlp":
        return Trial(
            nn.Sequential(nn.Linear(a, b, bias), nn.LayerNorm(b), nn.Tanh(), nn.Linear(b, c)), torch.randn(2, a)
        )
    if kind in ("conv", "transposed"):
        dims, groups = draw(st.integers(1, 2)), draw(st.integers(1, 3))
        name = f"Conv{'Transpose' * (kind == 'transposed')}{dims}d"
        net = getattr(nn, name)(groups * a, groups * b, kernel_size=c, groups=groups, bias=bias)
        return Trial(nn.Sequential(net, nn.GroupNorm(groups, groups * b)), torch.randn(2, groups * a, *[6] * dims))
    if kind == "recurrent":
        cls = draw(st.sampled_from([nn.GRU, nn.LSTM, nn.RNN]))
        net = cls(a, b, num_layers=draw(st.integers(1, 2)), bias=bias, bidirectional=draw(st.booleans()))
        return Trial(net, torch.randn(3, 2, a))
    if kind == "cell":
        return Trial(draw(st.sampled_from([nn.GRUCell, nn.LSTMCell, nn.RNNCell]))(a, b, bias=bias), torch.randn(2, a))
    if kind == "attention":
        heads, kdim, vdim = draw(sizes), draw(st.one_of(st.none(), sizes)), draw(st.one_of(st.none(), sizes))
        embed = heads * a
        extra = draw(st.booleans())
        net = nn.MultiheadAttention(embed, heads, bias=bias, kdim=kdim, vdim=vdim, add_bias_kv=extra)
        return Trial(net, torch.randn(3, 2, embed), torch.randn(4, 2, kdim or embed), torch.randn(4, 2, vdim or embed))
    if kind == "fourier":
        return Trial(FourierLayer(a, b, (draw(st.integers(1, 3)), c), bias), torch.randn(2, a, 8, 10))
    if kind == "declared":
        return Trial(Declared((a, b, c), draw(st.integers(-3, 2))))
    if kind == "parametrized":
        return Trial(parametrizations.weight_norm(nn.Linear(a, b, bias)), torch.randn(2, a))
    if kind == "embedding":
        return Trial(nn.Embedding(a, b), torch.zeros(3, dtype=torch.long))
    if kind == "norm":
        return Trial(nn.BatchNorm1d(a), torch.randn(3, a))
    return Trial(nn.PReLU(a), torch.randn(2, a)) if kind == "activation" else Trial(Bare((a, b, c)))


modules = st.recursive(trials(), lambda inner: st.lists(inner, min_size=1, max_size=3).map(nn.ModuleList), max_leaves=5)


def outputs(module: nn.Module) -> list[Tensor]:
    return [trial() for trial in module.modules() if isinstance(trial, Trial)]


@torch.no_grad()
def scramble(module: nn.Module) -> nn.Module:
    """Random weights everywhere, also where a fresh module has ones and zeros."""
    for parameter in module.parameters():
        parameter.normal_()
    return module.eval()


def bits(x: Tensor) -> list[int]:
    """Equality of these is stricter than that of the numbers: it tells 0 from -0 and one NaN from another."""
    return x.detach().contiguous().view({2: torch.int16, 4: torch.int32, 8: torch.int64}[x.element_size()]).tolist()


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


# Errors


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
