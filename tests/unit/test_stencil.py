"""The local rule, against finite differences and the symmetries that a local rule has."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from weightcast.core.nets.stencil import Stencil


def network(**settings) -> Stencil:
    torch.manual_seed(0)
    return Stencil(
        **({"channels": 2, "width": 5, "depth": 2, "substeps": 3, "padding": "circular"} | settings)
    ).double()


def fields(*grid: int) -> Tensor:
    return torch.randn(2, 2, *grid, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def test_on_a_periodic_domain_it_moves_with_the_field() -> None:
    net, frames = network(), fields(7, 9)
    moved = net(frames.roll((2, -3), (-2, -1)))
    torch.testing.assert_close(moved, net(frames).roll((2, -3), (-2, -1)))


@pytest.mark.parametrize("substeps", [1, 3])
def test_it_sees_as_many_points_away_as_it_has_substeps(substeps) -> None:
    net, frames = network(substeps=substeps), fields(11, 11)
    poked = frames.clone()
    poked[..., 5, 5] += 1.0
    changed = (net(poked) - net(frames)).abs().amax((0, 1)) > 0
    rows, columns = changed.nonzero().unbind(1)
    assert (int(rows.min()), int(rows.max())) == (5 - substeps, 5 + substeps)
    assert (int(columns.min()), int(columns.max())) == (5 - substeps, 5 + substeps)


def test_beyond_the_edge_lie_zeros_where_it_is_told_so() -> None:
    net, frames = network(substeps=1), fields(6, 6)
    walled = network(substeps=1, padding="zeros")
    torch.testing.assert_close(walled(frames)[..., 1:-1, 1:-1], net(frames)[..., 1:-1, 1:-1])
    around = torch.nn.functional.pad(frames, (1, 1, 1, 1))
    torch.testing.assert_close(walled(frames), net(around)[..., 1:-1, 1:-1])


def test_as_the_five_point_laplacian_it_is_explicit_diffusion() -> None:
    """SiLU is half its argument, but for a part that is even: the difference of two of them is linear."""
    net = network(channels=1, width=2, depth=1, substeps=4)
    laplacian = torch.tensor([0.0, 1.0, 0.0, 1.0, -4.0, 1.0, 0.0, 1.0, 0.0], dtype=torch.float64)
    with torch.no_grad():
        net.layers[0].weight.copy_(torch.stack([laplacian, -laplacian]))
        net.layers[0].bias.zero_()
        net.output.weight.copy_(torch.tensor([[0.4, -0.4]]))
    wave = torch.cos(2 * torch.pi * torch.arange(8, dtype=torch.float64) / 8)[None, None, :, None].expand(1, 1, 8, 5)
    decay = 1.0 + 0.1 * (2.0 * torch.cos(torch.tensor(2 * torch.pi / 8, dtype=torch.float64)) - 2.0)
    torch.testing.assert_close(net(wave), wave * decay**4)
