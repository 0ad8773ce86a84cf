"""The convolutional U-Net, against torch's own convolutions and against what its padding means."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from weightcast.core.nets.unet import Convolution, UNet

DOWNSAMPLINGS = pytest.mark.parametrize("downsampling", ["pooled", "strided"])


def network(padding: str = "circular", downsampling: str = "pooled", levels: int = 2, **settings) -> UNet:
    torch.manual_seed(0)
    return UNet(2, 4, levels, padding, downsampling, **({"positional": False} | settings)).double()


def frames(*grid: int) -> torch.Tensor:
    return torch.randn(3, 2, *grid, dtype=torch.double, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("grid", [(8, 12), (2, 2), (1, 4)])
@pytest.mark.parametrize("stride", [1, 2])
@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_convolution_is_that_of_torch(padding, stride, grid):
    convolution = Convolution(2, 5, padding, stride).double()
    expected = nn.Conv2d.forward(convolution, frames(*grid))

    torch.testing.assert_close(convolution(frames(*grid)), expected, rtol=0, atol=1e-12)


@DOWNSAMPLINGS
def test_periodic_and_without_positions_the_map_commutes_with_moves_by_the_coarsest_grid(downsampling):
    first = frames(8, 16)
    moved = first.roll((4, -4), dims=(-2, -1))

    def broken(net: UNet) -> float:
        return float((net(moved) - net(first).roll((4, -4), dims=(-2, -1))).detach().abs().max())

    assert broken(network("circular", downsampling)) < 1e-12
    assert broken(network("zeros", downsampling)) > 1e-3
    assert broken(network("circular", downsampling, positional=True)) > 1e-3


@DOWNSAMPLINGS
@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_opposite_edges_are_neighbours_only_where_padding_is_circular(padding, downsampling):
    net, first = network(padding, downsampling, levels=1), frames(32, 32)
    touched = first.clone()
    touched[..., 0, 0] += 1.0
    change = (net(touched) - net(first)).detach().abs().amax((0, 1))  # [y, x]

    assert change[0, 0] > 1e-3
    assert change[14:18, 14:18].max() == 0.0  # out of reach
    assert (change[-1, -1] > 1e-9) == (padding == "circular")


def test_more_levels_reach_further():
    first = frames(64, 64)
    touched = first.clone()
    touched[..., 0, 0] += 1.0
    reached = [
        int(((net(touched) - net(first)).detach().abs().amax((0, 1, 3)) > 0).sum())
        for net in (network("zeros", levels=levels) for levels in (1, 2, 3))
    ]

    assert reached[0] < reached[1] < reached[2] < 64


def test_blocks_on_the_way_up_read_those_on_the_way_down():
    net, first = network(residual=False), frames(8, 8)
    assert [block.first.in_channels for block in net.layers] == [2, 4, 8, 16, 8]
    with torch.no_grad():
        for up in net.up:
            for parameter in up.parameters():
                parameter.zero_()
    assert net(first).std(dim=(-2, -1)).min() > 1e-6  # nothing comes from below, and still there is a field
    with torch.no_grad():
        net.layers[-1].first.weight[:, :4] = 0.0
    assert net(first).std(dim=(-2, -1)).max() < 1e-12


def test_residual_network_with_zero_output_weights_stands_still():
    net, first = network(), frames(8, 8)
    nn.init.zeros_(net.output.weight)

    torch.testing.assert_close(net(first), first)
