"""Modules of every kind that a WeightGraph knows, each with an input to try it on."""

from __future__ import annotations

import torch
from hypothesis import settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations

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
