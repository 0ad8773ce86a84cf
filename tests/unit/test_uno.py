"""The U-shaped neural operator: what makes it an operator, and what makes it U-shaped."""

from __future__ import annotations

import pytest
import torch

from weightcast.core.nets.fourier import resample
from weightcast.core.nets.grids import level_grids
from weightcast.core.nets.uno import UNO


def network(**settings) -> UNO:
    torch.manual_seed(0)
    made = UNO(2, 4, [(4, 4), (2, 2)], 8, **({"positional": False} | settings)).double()
    for layer in made.layers:  # as large as the skips: freshly initialised, the spectral paths hardly show
        torch.nn.init.normal_(layer.spectral.weight, std=0.5)
    return made


def smooth_frames(points: int) -> torch.Tensor:
    """The same two frames of two channels on any grid, of waves that five points hold."""
    coarse = torch.randn(2, 2, 5, 5, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    return resample(coarse, (points, points))


def test_levels_halve_the_grid():
    assert level_grids((24, 13), 3) == [(24, 13), (12, 7), (6, 4), (3, 2)]
    assert level_grids((1, 1), 2) == [(1, 1)] * 3


@pytest.mark.parametrize("grid", [(16, 16), (13, 11), (9, 24)])
def test_a_frame_keeps_its_grid_whether_or_not_it_can_be_halved(grid):
    assert network(positional=True)(torch.randn(3, 2, *grid, dtype=torch.double)).shape == (3, 2, *grid)


def test_the_same_weights_are_the_same_operator_on_any_grid():
    """Up to the waves that the activations make and a grid cannot hold: the finer, the closer."""
    net = network().requires_grad_(False)
    finest = net(smooth_frames(128))
    errors = {
        points: net(smooth_frames(points)) - finest[..., :: 128 // points, :: 128 // points] for points in (32, 64)
    }

    assert errors[32].std() < 0.03 * (finest - smooth_frames(128)).std()
    assert errors[64].std() < 0.1 * errors[32].std()


def test_without_positions_the_map_commutes_with_moves_by_the_coarsest_grid():
    frames = torch.randn(2, 2, 16, 16, dtype=torch.double, generator=torch.Generator().manual_seed(2))
    moved = frames.roll((4, 8), dims=(-2, -1))
    free, fixed = network(), network(positional=True)

    torch.testing.assert_close(free(moved), free(frames).roll((4, 8), dims=(-2, -1)), atol=1e-10, rtol=0)
    assert (fixed(moved) - fixed(frames).roll((4, 8), dims=(-2, -1))).abs().max() > 1e-3


def test_expanding_layers_read_the_contracting_layer_of_their_grid():
    """Without the way through the coarsest grid, what the skips carry is left; without the skips, something else."""
    net, frames = network(residual=False), smooth_frames(16)
    whole = net(frames)
    contracting, expanding = net.layers[:2], net.layers[2:]
    assert [layer.skip.in_features for layer in net.layers] == [4, 8, 16, 16]
    with torch.no_grad():
        for layer in (contracting[1], expanding[0]):
            for parameter in layer.parameters():
                parameter.zero_()
    fine = net(frames)
    assert (fine - whole).abs().max() > 1e-3
    assert fine.std(dim=(-2, -1)).min() > 1e-3  # still a field: the first contracting layer, by its skip
    with torch.no_grad():
        expanding[1].spectral.weight[:, 8:] = 0.0
        expanding[1].skip.weight[:, 8:] = 0.0
    lifted = net(frames)
    assert (lifted - fine).abs().max() > 1e-3
    with torch.no_grad():
        net.hidden.weight[:, 4:] = 0.0  # the lifted frame, which the projection reads beside the last layer
    assert net(frames).std(dim=(-2, -1)).max() < 1e-12


def test_residual_network_with_zero_output_weights_stands_still():
    net, frames = network(), smooth_frames(8)
    torch.nn.init.zeros_(net.output.weight)

    torch.testing.assert_close(net(frames), frames)
