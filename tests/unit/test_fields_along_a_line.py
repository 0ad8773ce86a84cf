"""Fields along a line, a grid of 1 x X: read, predicted, described, fitted by equations, drawn."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from refusals import refused
from torch import Tensor

from weightcast.core.config.predictor import PredictorSettings
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.nets.fno import FNO, SpectralConv2d
from weightcast.core.nets.fourier import forward_transform, inverse_transform
from weightcast.core.nets.sizes import count_weights
from weightcast.environments.baselines.field_terms import FieldTerms
from weightcast.environments.baselines.sparse_equations import coefficients, eliminate, structure
from weightcast.environments.config.equations import EquationsSettings
from weightcast.environments.frame_statistics import frame_moments, low_spectra, responses
from weightcast.environments.plots.environments import plot_environments
from weightcast.environments.plots.rollouts import plot_rollouts
from weightcast.environments.plots.unknown import plot_unknown
from weightcast.environments.predictor import StackedPredictor
from weightcast.trajectories import read_trajectories
from weightcast.trajectories.npy import read_npy_environment
from weightcast.trajectories.record import Trajectories

POINTS = 48
WAVES = torch.arange(1, 6)


def travelling(wind: float, diffusivity: float, frames: int = 9, seed: int = 0, count: int = 4) -> Tensor:
    """u' = -wind du/dx + D d2u/dx2, exact, lengths in points: [trajectory, frame, 1, 1, x]."""
    draws = torch.Generator().manual_seed(seed)
    heights = torch.randn(count, len(WAVES), generator=draws)
    begins = 2 * math.pi * torch.rand(count, len(WAVES), generator=draws)
    number = 2 * math.pi * WAVES / POINTS
    time, place = torch.arange(frames)[:, None, None], torch.arange(POINTS)[None, :, None]
    phase = number * (place - wind * time) + begins[:, None, None]
    waves = heights[:, None, None] * torch.exp(-diffusivity * number.square() * time) * torch.cos(phase)
    return waves.sum(-1)[:, :, None, None]


def test_transforms_are_those_of_one_dimension() -> None:
    fields = torch.randn(3, 1, 20, dtype=torch.double, generator=torch.Generator().manual_seed(0))
    full = torch.fft.rfft(fields[:, 0])
    spectrum = forward_transform(fields, (0, 4))
    torch.testing.assert_close(torch.view_as_complex(spectrum), full[:, :4], rtol=0, atol=1e-12)
    full[:, 4:] = 0
    back = inverse_transform(spectrum, (0, 4), (1, 20))
    torch.testing.assert_close(back[:, 0], torch.fft.irfft(full, n=20), rtol=0, atol=1e-12)


def test_a_spectral_convolution_has_one_weight_a_mode() -> None:
    convolution = SpectralConv2d(2, 3, (0, 4))
    assert convolution.weight.shape == (3, 2, 1, 1, 4, 2)
    settings = PredictorSettings.model_validate({"width": 5, "modes": [0, 4], "depth": 2, "projection": 7}).root
    network = build_predictor(describe_architecture(settings, 2))
    assert sum(weight.numel() for weight in network.parameters()) == count_weights(settings, 2)
    assert network(torch.zeros(3, 2, 1, 20)).shape == (3, 2, 1, 20)


@pytest.mark.parametrize("grid", [(1, 20), (10, 12)])
def test_padding_is_what_layers_see_beyond_the_edge(grid: tuple[int, int]) -> None:
    """With padding the operator is that of a wider domain whose further points are zero behind the lifting."""
    modes = (0, 3) if grid[0] == 1 else (2, 3)
    torch.manual_seed(0)
    padded = FNO(1, 4, modes, depth=1, projection=6, positional=False, residual=False, padding=5)
    plain = FNO(1, 4, modes, depth=1, projection=6, positional=False, residual=False)
    plain.load_state_dict(padded.state_dict())
    with torch.no_grad():
        for network in (padded, plain):
            network.lifting.bias.zero_()  # so that a field of zeros is lifted to zeros
    fields = torch.randn(2, 1, *grid, generator=torch.Generator().manual_seed(1))
    wider = torch.nn.functional.pad(fields, (0, 5, 0, 5 if grid[0] > 1 else 0))
    torch.testing.assert_close(padded(fields), plain(wider)[..., : grid[0], : grid[1]], rtol=0, atol=1e-6)
    assert not torch.allclose(padded(fields), plain(fields), atol=1e-4)
    rolled = torch.roll(fields, 3, -1)  # the opposite side is no neighbour any more
    assert torch.allclose(plain(rolled), torch.roll(plain(fields), 3, -1), atol=1e-6)
    assert not torch.allclose(padded(rolled), torch.roll(padded(fields), 3, -1), atol=1e-4)


def test_without_padding_an_architecture_says_nothing_of_it() -> None:
    settings = PredictorSettings.model_validate({}).root
    assert "padding" not in describe_architecture(settings, 1)
    padded = PredictorSettings.model_validate({"padding": 4}).root
    assert describe_architecture(padded, 1)["padding"] == 4
    assert build_predictor(describe_architecture(padded, 1)).padding == (4, 4)


def test_responses_tell_diffusivity() -> None:
    """The coefficient of the Laplacian, of a fit by the channels and their Laplacian: the sixth from the start."""
    found = [float(_laplacian_response(travelling(0.0, diffusivity))) for diffusivity in (0.1, 0.3, 0.5)]
    np.testing.assert_allclose(found, (0.1, 0.3, 0.5), rtol=0.1)


def _laplacian_response(frames: Tensor) -> Tensor:
    """Of one channel: constants, then the channel, of the linear fit with a Laplacian, behind those without one."""
    plain = 2 + 3 + 4  # numbers of terms in the fits without: linear, cubic, and all products
    return responses(frames[:1], torch.arange(9.0)[None])[0, plain + 2]


def test_statistics_are_finite() -> None:
    frames = travelling(0.5, 0.1)[:1]
    assert torch.isfinite(frame_moments(frames)).all() and torch.isfinite(low_spectra(frames, 3)).all()


def test_the_true_equation_is_found() -> None:
    terms = FieldTerms.of(["u"], (1, POINTS), 2, 1)
    assert len(terms.names) == EquationsSettings(degree=2, waves=1).terms(1, (1, POINTS))
    assert not any("dy" in name or "flow" in name for name in terms.names)
    winds = (0.3, 0.6, 0.9)
    seen = terms.increments(torch.stack([travelling(wind, 0.2, seed=number) for number, wind in enumerate(winds)]))
    chosen = structure([eliminate(seen, seen, 0)], 2.0, 24)
    assert {terms.names[term] for term in np.flatnonzero(chosen[0])} == {"du/dx", "laplacian(u)"}
    found = dict(zip(np.array(terms.names)[chosen[0]], coefficients(seen, chosen).T, strict=True))
    np.testing.assert_allclose(found["du/dx"], [-wind for wind in winds], rtol=0.01)
    np.testing.assert_allclose(found["laplacian(u)"], 0.2, rtol=0.02)
    predictor = StackedPredictor(build_predictor(terms.architecture(chosen, substeps=2)))
    order = [terms.names[term] for term in np.flatnonzero(chosen[0])]
    weights = torch.tensor([[{"du/dx": -0.6, "laplacian(u)": 0.2}[name] for name in order]])
    frames = travelling(0.6, 0.2, seed=5)
    rolled = predictor.rollout(weights, frames[None, :, 0], 8)[0]
    torch.testing.assert_close(rolled, frames[:, 1:], rtol=0, atol=1e-4)


@pytest.mark.parametrize("name", ["x", "lon", "y", "depth"])
def test_files_with_one_dimension_of_space(tmp_path: Path, name: str) -> None:
    values = travelling(0.5, 0.1)[:, :, 0, 0].numpy()
    dataset = xr.Dataset({"u": (("time", "trajectory", name), values.swapaxes(0, 1))}, {name: 0.5 * np.arange(POINTS)})
    dataset.to_netcdf(tmp_path / "a.nc")
    found = read_trajectories(tmp_path / "a.nc", grid=(1, POINTS))
    np.testing.assert_array_equal(found.values[:, :, 0, 0], values)
    np.testing.assert_array_equal(found.x, 0.5 * np.arange(POINTS))
    assert found.y.tolist() == [0.0]


def test_arrays_along_a_line(tmp_path: Path) -> None:
    values = np.stack([travelling(wind, 0.1)[0, :, 0, 0].numpy() for wind in (0.2, 0.4)], 1)  # [time, channel, x]
    np.save(tmp_path / "wind_0.2.npy", values)
    found = read_npy_environment(tmp_path / "wind_0.2.npy", ["u", "v"], grid=(1, POINTS))
    np.testing.assert_array_equal(found.values[0, :, :, 0], values)
    with refused(tmp_path / "wind_0.2.npy", "3 dimensions", "(time, channel, x) along a line"):
        read_npy_environment(tmp_path / "wind_0.2.npy", ["u"])


def test_pictures_show_place_and_time() -> None:
    values = travelling(0.5, 0.1)
    x, time = np.arange(float(POINTS)), np.arange(9.0)
    shown = [
        Trajectories(values.numpy(), ("u",), time, np.zeros(1), x, f"{wind}", {"wind": wind}) for wind in (0.2, 0.4)
    ]
    pictures = [axes.images[0] for axes in plot_environments(shown).axes if axes.images]
    assert [axes.get_array().shape for axes in pictures[:2]] == 2 * [(9, POINTS)]
    np.testing.assert_array_equal(pictures[0].get_array(), values[0, :, 0, 0])

    methods = ["truth", "generator-paper", "one-per-env-erm"]
    fields = xr.DataArray(
        np.stack([values[0, :, 0], values[0, :, 0] + 0.1, values[0, :, 0]]),
        dims=("method", "time", "y", "x"),
        coords={"method": methods, "time": time},
        name="u",
    )
    titles = [axes.get_title("left") for axes in plot_rollouts(fields, *methods[1:]).axes if axes.images]
    assert titles[:3] == ["truth", "generated", "One-per-Env"] and len(titles) == 5

    forecast = xr.DataArray(
        np.stack([values[0].numpy()] * 4),
        dims=("statistic", "time", "channel", "y", "x"),
        coords={"statistic": ["truth", "mean", "low", "high"], "time": time, "channel": ["u"]},
    )
    seen = forecast[0, :2].drop_vars("statistic").rename(time="frame")
    drawn = [axes.images[0].get_array().shape for axes in plot_unknown(seen, forecast).axes if axes.images]
    assert drawn == [(2, POINTS), (9, POINTS), (9, POINTS), (9, POINTS)]
