"""Statistics of observed frames, on fields whose statistics are known, and on fields of which a part is hidden."""

from __future__ import annotations

import math

import pytest
import torch

from weightcast.core.draws import Draws
from weightcast.environments.config.condition import FramesSettings
from weightcast.environments.frame_statistics import (
    frame_moments,
    low_spectra,
    mean_and_trend,
    observed_mean,
    responses,
)
from weightcast.environments.observation import ObservationLayout, draw_observations

NAN = float("nan")
TIMES = torch.arange(6.0)


def wave(size: int = 16) -> torch.Tensor:
    """[1, y, x]: one wave along x."""
    return torch.sin(2.0 * math.pi * torch.arange(size) / size).expand(1, size, size).clone()


def test_moments_of_a_wave_are_exact() -> None:
    size = 16
    moments = frame_moments(torch.cat([3.0 + 2.0 * wave(size), -wave(size)])[None])[0]
    means, products, structure = moments[:2], moments[2:5], moments[5:].unflatten(0, (3, 2))
    torch.testing.assert_close(means, torch.tensor([3.0, 0.0]), atol=1e-6, rtol=0)
    torch.testing.assert_close(products, torch.tensor([9.0 + 2.0, -1.0, 0.5]))
    # Along y nothing changes. Along x the wave is not closed: pairs across the border are not counted.
    x = wave(size)[0, 0]
    for lag, found in zip((1, 2, 4), structure, strict=True):
        along_x = (x[lag:] - x[:-lag]).square().mean()
        torch.testing.assert_close(found, 0.5 * along_x * torch.tensor([4.0, 1.0]))


def test_statistics_of_masked_frames_are_those_of_what_was_seen() -> None:
    frames = torch.randn(2, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    masked = frames.clone()
    masked[..., :, 5:] = NAN
    torch.testing.assert_close(frame_moments(masked), frame_moments(frames[..., :5]))
    masked = frames.clone()
    masked[..., 1::2, :] = NAN
    masked[..., :, 1::2] = NAN
    coarse = frames[..., ::2, ::2]
    torch.testing.assert_close(frame_moments(masked)[..., :9], frame_moments(coarse)[..., :9])
    # Points two apart are one apart among those that were seen; no two neighbours were.
    assert frame_moments(masked)[..., 9:12].isnan().all()
    torch.testing.assert_close(frame_moments(masked)[..., 12:15], frame_moments(coarse)[..., 9:12])
    torch.testing.assert_close(low_spectra(masked, 2), low_spectra(coarse, 2), atol=1e-6, rtol=1e-4)


def test_moments_do_not_depend_on_where_on_the_grid_points_lie() -> None:
    frames = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    order = torch.randperm(36, generator=torch.Generator().manual_seed(2))
    shuffled = frames.flatten(2)[..., order].unflatten(2, (6, 6))
    torch.testing.assert_close(frame_moments(shuffled)[:, :5], frame_moments(frames)[:, :5])
    assert not torch.allclose(frame_moments(shuffled)[:, 5:], frame_moments(frames)[:, 5:])


@pytest.mark.parametrize("scale", [0.1, 7.0])
def test_moments_scale_as_their_powers(scale: float) -> None:
    frames = torch.randn(1, 2, 6, 6, generator=torch.Generator().manual_seed(1))
    found, scaled = frame_moments(frames), frame_moments(scale * frames)
    torch.testing.assert_close(scaled[:, :2], scale * found[:, :2])
    torch.testing.assert_close(scaled[:, 2:], scale**2 * found[:, 2:])


def test_spectra_are_the_discrete_fourier_transform_over_the_number_of_points() -> None:
    frames = torch.randn(2, 3, 8, 6, generator=torch.Generator().manual_seed(3))
    wanted = torch.fft.fft2(frames) / 48
    found = low_spectra(frames, 2).unflatten(-1, (3, 2, -1))  # channel, part, mode
    for mode, (y, x) in enumerate([(-1, 0), (-1, 1), (0, 0), (0, 1), (1, 0), (1, 1)]):
        torch.testing.assert_close(found[..., 0, mode], wanted[..., y, x].real)
        torch.testing.assert_close(found[..., 1, mode], wanted[..., y, x].imag)
    assert low_spectra(torch.full((1, 1, 4, 4), NAN), 2).eq(0).all()


def test_trends_are_least_squares_of_the_frames_that_were_seen() -> None:
    values = (2.0 + 0.5 * TIMES)[:, None]
    torch.testing.assert_close(mean_and_trend(values, TIMES), torch.tensor([3.25, 0.5]))
    values[1:3] = NAN
    torch.testing.assert_close(mean_and_trend(values, TIMES)[1], torch.tensor(0.5))
    assert mean_and_trend(values[:1], TIMES[:1])[1].isnan()
    assert observed_mean(torch.tensor([NAN, NAN]), (0,)).isnan()


def test_responses_find_the_rate_of_a_known_equation() -> None:
    """du/dt = -0.3 u + 0.05 Laplacian u, on waves, whose rates are known exactly."""
    size, time = 16, torch.tensor([0.0, 0.1, 0.2])
    angle = 2.0 * math.pi * torch.arange(size) / size
    fields = torch.zeros(3, size, size)
    for count, amplitude in ((1, 1.0), (2, 0.7), (3, -0.4)):
        eigenvalue = 2.0 * (math.cos(2.0 * math.pi * count / size) - 1.0)  # of the five-point Laplacian
        decay = torch.exp((-0.3 + 0.05 * eigenvalue) * time)
        fields += amplitude * decay[:, None, None] * torch.sin(count * angle + count).expand(size, size)
    frames = fields[None, :, None]

    found = responses(frames, time[None])[0]
    sizes = [2, 3, 4, 3, 4, 5, 4]  # linear, cubic, local; each with a Laplacian; cubic with a coarser one
    linear_with_laplacian = found.split(sizes)[3]
    torch.testing.assert_close(linear_with_laplacian, torch.tensor([0.0, -0.3, 0.05]), atol=0.01, rtol=0)

    hidden = frames.clone()
    hidden[..., 10:, :] = NAN
    part = responses(hidden, time[None])[0].split(sizes)[3]
    torch.testing.assert_close(part, torch.tensor([0.0, -0.3, 0.05]), atol=0.01, rtol=0)
    assert responses(frames[:, :1], time[None, :1]).isnan().all()
    every_other = torch.full_like(frames, NAN)
    every_other[..., ::2, ::2] = frames[..., ::2, ::2]
    coarse = responses(every_other, time[None])[0].split(sizes)[3]
    # Squares of twice the spacing see the Laplacian of long waves a little too small.
    torch.testing.assert_close(coarse, torch.tensor([0.0, -0.3, 0.05]), atol=0.03, rtol=0)


def test_an_observation_holds_the_frames_that_show_anything() -> None:
    layout = ObservationLayout(slots=3, channels=1, grid=(1, 2))
    frames = torch.arange(10.0).reshape(1, 5, 1, 1, 2)
    frames[0, [0, 2]] = NAN
    frames[0, 1, 0, 0, 1] = NAN
    times, shown = layout.unpack(layout.observe(frames)[None])
    assert times[0, 0].tolist() == [0.0, 2.0, 3.0]
    torch.testing.assert_close(shown[0, 0, :, 0, 0], torch.tensor([[2.0, NAN], [6.0, 7.0], [8.0, 9.0]]), equal_nan=True)
    times, shown = layout.unpack(layout.observe(frames[:, :2], times=torch.tensor([0.0, 4.5]))[None])
    assert times[0, 0, 0] == 0.0 and times[0, 0, 1:].isnan().all()
    assert shown[0, 0, 1:].isnan().all()


def test_drawn_observations_are_pieces_of_trajectories() -> None:
    # Each number tells where it comes from: environment, trajectory, frame.
    places = torch.arange(3.0)[:, None, None] * 100 + torch.arange(2.0)[:, None] * 10 + torch.arange(6.0)
    pool = places[..., None, None, None].expand(3, 2, 6, 1, 4, 4).clone()
    pool[2, 1] = NAN  # a trajectory that the last environment lacks
    pool[1, :, 4:] = NAN  # frames that the second lacks
    layout, rows = ObservationLayout(4, 1, (4, 4)), torch.arange(3).repeat(200)
    settings = FramesSettings(frames=4, noise=[0.0], masked=0.5, spacings=[1, 2], strides=[1, 2])
    drawn = draw_observations(layout, pool, rows, torch.ones(1), settings, Draws("cpu", 0))
    times, frames = (each[:, 0] for each in layout.unpack(drawn))
    counts, starts, hidden = set(), set(), set()
    for row, when, seen in zip(rows.tolist(), times, frames, strict=True):
        count = int((~when.isnan()).sum())
        values = seen[:count].flatten(1).nanmean(1)
        first = int(values[0])
        assert first // 100 == row and first % 100 // 10 < (1 if row == 2 else 2)
        assert torch.equal(values - first, when[:count])  # of one trajectory, in order, with the times told
        assert first % 10 + when[count - 1] < (4 if row == 1 else 6)
        assert seen[count:].isnan().all()
        counts.add(count)
        starts.add(first % 10)
        hidden.add(int(seen[0].isnan().sum()))
    assert counts == {1, 2, 3, 4} and starts == {0, 1, 2, 3, 4, 5}
    assert len(hidden) > 4 and max(hidden) < 16


def test_noise_is_relative_to_the_channels_spread() -> None:
    pool = torch.zeros(1, 1, 5, 2, 16, 16)
    layout = ObservationLayout(5, 2, (16, 16))
    settings = FramesSettings(frames=5, noise=[0.1], masked=0.0, spacings=[1], strides=[1])
    spread = torch.tensor([1.0, 20.0])
    drawn = draw_observations(layout, pool, torch.zeros(50, dtype=torch.long), spread, settings, Draws("cpu", 0))
    frames = layout.unpack(drawn)[1]
    for channel, wanted in enumerate((0.1, 2.0)):
        found = frames[:, :, :, channel]
        assert float(found[~found.isnan()].std()) == pytest.approx(wanted, rel=0.02)
