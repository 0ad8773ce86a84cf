"""The FNO's transforms against torch.fft, and the operator's own properties."""

from __future__ import annotations

import pytest
import scipy.signal
import torch
from torch.func import functional_call, vmap

from weightcast.core.nets.fno import FNO, FourierLayer, SpectralConv2d
from weightcast.core.nets.fourier import forward_transform, inverse_transform, resample


@pytest.mark.parametrize(("grid", "modes"), [((16, 12), (4, 3)), ((9, 10), (4, 5)), ((8, 8), (1, 1))])
def test_transforms_equal_the_fft_on_the_kept_modes(grid, modes):
    fields = torch.randn(3, 2, *grid, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    full = torch.fft.rfft2(fields)
    kept = torch.zeros_like(full)
    blocks = (slice(0, modes[0]), slice(grid[0] - modes[0], grid[0]))
    for block in blocks:
        kept[..., block, : modes[1]] = full[..., block, : modes[1]]
    expected = torch.cat([full[..., block, : modes[1]] for block in blocks], dim=-2).flatten(-2)

    spectrum = forward_transform(fields, modes)

    torch.testing.assert_close(torch.view_as_complex(spectrum), expected, rtol=0, atol=1e-12)
    back = inverse_transform(spectrum, modes, grid)
    torch.testing.assert_close(back, torch.fft.irfft2(kept, s=grid), rtol=0, atol=1e-12)


def test_spectral_convolution_multiplies_complex_weights():
    convolution = SpectralConv2d(2, 3, (2, 2)).double()
    fields = torch.randn(2, 4, 8, 8, dtype=torch.double, generator=torch.Generator().manual_seed(1))
    weight = torch.view_as_complex(convolution.weight.detach())  # [out, in, block, y, x]
    spectrum = torch.fft.rfft2(fields)
    out = torch.zeros(3, 4, 8, 5, dtype=torch.cdouble)
    out[..., :2, :2] = torch.einsum("oiyx,ibyx->obyx", weight[:, :, 0], spectrum[..., :2, :2])
    out[..., -2:, :2] = torch.einsum("oiyx,ibyx->obyx", weight[:, :, 1], spectrum[..., -2:, :2])

    torch.testing.assert_close(convolution(fields), torch.fft.irfft2(out, s=(8, 8)), atol=1e-12, rtol=0)


@pytest.mark.parametrize(
    ("grid", "wanted"), [((8, 9), (4, 5)), ((8, 8), (4, 4)), ((5, 6), (9, 12)), ((3, 4), (6, 4)), ((2, 7), (1, 4))]
)
def test_resampling_is_that_of_scipy_along_each_axis(grid, wanted):
    fields = torch.randn(3, 2, *grid, dtype=torch.double, generator=torch.Generator().manual_seed(4))
    expected = scipy.signal.resample(scipy.signal.resample(fields.numpy(), wanted[0], axis=-2), wanted[1], axis=-1)

    torch.testing.assert_close(resample(fields, wanted), torch.from_numpy(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("grid", [(24, 36), (6, 6), (12, 6)])
def test_a_fourier_layer_is_the_same_function_on_another_grid(grid):
    """Where both grids hold the field: the values at the points that they share are the same."""
    layer = FourierLayer(2, 3, (2, 2)).double()
    torch.nn.init.normal_(layer.spectral.weight)
    coarse = torch.randn(2, 4, 5, 5, dtype=torch.double, generator=torch.Generator().manual_seed(5))
    fields = resample(coarse, (12, 12))  # two waves along each axis: as many as 6 points hold

    there, here = layer(fields, grid), layer(fields)

    assert there.shape == (3, 4, *grid)
    finer, coarser = [max(1, points // 12) for points in grid], [max(1, 12 // points) for points in grid]
    shared = there[..., :: finer[0], :: finer[1]], here[..., :: coarser[0], :: coarser[1]]
    torch.testing.assert_close(*shared, rtol=0, atol=1e-12)


def test_without_positions_the_map_is_translation_equivariant_and_with_them_it_is_not():
    frames = torch.randn(2, 2, 8, 8, generator=torch.Generator().manual_seed(2))
    moved = frames.roll((3, 5), dims=(-2, -1))
    torch.manual_seed(0)
    free = FNO(2, 6, (2, 2), 2, 8, positional=False)
    fixed = FNO(2, 6, (2, 2), 2, 8, positional=True)

    torch.testing.assert_close(free(moved), free(frames).roll((3, 5), dims=(-2, -1)), atol=1e-5, rtol=1e-5)
    assert (fixed(moved) - fixed(frames).roll((3, 5), dims=(-2, -1))).abs().max() > 1e-3


def test_residual_network_with_zero_output_weights_stands_still():
    network = FNO(1, 4, (2, 2), 1, 4, residual=True)
    torch.nn.init.zeros_(network.output.weight)
    frames = torch.randn(3, 1, 8, 8)

    torch.testing.assert_close(network(frames), frames)


def test_a_stack_of_networks_equals_the_networks_one_by_one():
    networks = [FNO(2, 6, (2, 2), 2, 8) for _ in range(3)]
    frames = torch.randn(3, 4, 2, 8, 8)
    names = [name for name, _ in networks[0].named_parameters()]
    stacked = {name: torch.stack([network.get_parameter(name) for network in networks]) for name in names}

    together = vmap(lambda state, batch: functional_call(networks[0], state, (batch,)))(stacked, frames)

    alone = torch.stack([network(batch) for network, batch in zip(networks, frames, strict=True)])
    torch.testing.assert_close(together, alone, atol=1e-5, rtol=1e-5)
