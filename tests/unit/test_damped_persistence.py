from __future__ import annotations

import pytest
import torch
from torch import Tensor

from weightcast.environments.baselines.damped_persistence import DampedPersistence
from weightcast.environments.evaluation import TestSet
from weightcast.environments.stages.evaluate_without_network import evaluate_forecast


def autoregressive(damping: Tensor, frames: int, trajectories: int = 4000) -> Tensor:
    """Stationary processes of unit variance, a damping for each channel: [1, trajectory, frame, channel, 1, 1]."""
    generator = torch.Generator().manual_seed(0)
    noise = torch.randn(trajectories, frames, len(damping), generator=generator, dtype=torch.double)
    values = [noise[:, 0]]
    for frame in range(1, frames):
        values.append(damping * values[-1] + (1 - damping**2).sqrt() * noise[:, frame])
    return torch.stack(values, dim=1)[None, ..., None, None]


def test_damping_of_an_autoregressive_process_is_a_power_of_the_lag() -> None:
    truth = torch.tensor([0.9, 0.5], dtype=torch.double)
    fitted = DampedPersistence.fit(autoregressive(truth, 8))
    lags = torch.arange(1, 13)[:, None]
    # 4000 trajectories of 7 or fewer starts each: standard error of a coefficient about 1 / sqrt(4000) at most.
    torch.testing.assert_close(fitted.damping_at(12), truth**lags, rtol=0, atol=0.05)
    assert fitted.damping.shape == (7, 2)
    torch.testing.assert_close(fitted.damping_at(3), fitted.damping[:3])


def test_beyond_the_longest_lag_it_decays_on() -> None:
    fitted = DampedPersistence(torch.zeros(3, 1, 1), torch.tensor([[0.9, 0.5, 1.2], [0.64, -0.3, 1.1]]))
    expected = [[0.9, 0.5, 1.2], [0.64, -0.3, 1.1], [0.512, 0, 1], [0.4096, 0, 1]]
    torch.testing.assert_close(fitted.damping_at(4), torch.tensor(expected))


def test_a_wave_is_forecast_at_every_lag_by_its_own_coefficient() -> None:
    """A standing wave that oscillates: the coefficient at lag h is cos(omega h), negative ones included."""
    omega = 0.7
    starts = 2 * torch.pi * torch.arange(40, dtype=torch.double) / 40
    time = torch.arange(10, dtype=torch.double)
    shape = torch.sin(torch.arange(8, dtype=torch.double))[None, None, None, :] * torch.ones(1, 1, 3, 1).double()
    frames = 5 + torch.cos(starts[:, None] + omega * time)[:, :, None, None, None] * shape
    fitted = DampedPersistence.fit(frames[None])
    torch.testing.assert_close(fitted.climatology, torch.full((1, 3, 8), 5.0, dtype=torch.double))
    torch.testing.assert_close(fitted.damping[:, 0], torch.cos(omega * time[1:]))


def test_it_beats_persistence_and_climatology_on_what_it_was_fitted_to() -> None:
    frames = 3 + autoregressive(torch.tensor([0.8], dtype=torch.double), 6)
    fitted = DampedPersistence.fit(frames)
    first, truth = frames[0, :, 0], frames[0, :, 1:]
    forecast = fitted(first, 5)
    assert forecast.shape == truth.shape
    error = (forecast - truth).square().mean((0, 2, 3, 4))
    # Of an anomaly of unit variance, persistence is 2 (1 - damping) off, climatology 1, this 1 - damping^2.
    expected = 1 - 0.64 ** torch.arange(1, 6, dtype=torch.double)
    torch.testing.assert_close(error, expected, rtol=0, atol=0.06)
    assert (error < (first[:, None] - truth).square().mean((0, 2, 3, 4))).all()
    assert (error < (fitted.climatology - truth).square().mean((0, 2, 3, 4))).all()


def test_no_damping_is_persistence_and_full_damping_is_climatology() -> None:
    initial = torch.randn(4, 2, 3, 3, generator=torch.Generator().manual_seed(0))
    mean = torch.full((2, 3, 3), 0.5)
    torch.testing.assert_close(
        DampedPersistence(mean, torch.ones(1, 2))(initial, 3), initial[:, None].expand(-1, 3, -1, -1, -1)
    )
    torch.testing.assert_close(DampedPersistence(mean, torch.zeros(1, 2))(initial, 3), mean.expand(4, 3, 2, 3, 3))


def test_a_channel_that_never_varies_is_forecast_as_it_is() -> None:
    frames = torch.stack([torch.full((2, 3, 4, 5, 5), 7.0), torch.rand(2, 3, 4, 5, 5)], dim=3)
    fitted = DampedPersistence.fit(frames)
    assert (fitted.damping[:, 0] == 0).all()
    assert (fitted(frames[0, :, 0], 9)[:, :, 0] == 7).all()
    assert torch.isfinite(fitted.damping).all()
    with pytest.raises(ValueError, match="two or more"):
        DampedPersistence.fit(frames[:, :, :1])


def test_it_is_evaluated_as_the_other_forecasts_without_network() -> None:
    frames = autoregressive(torch.tensor([0.8]), 6, trajectories=50).float()
    test = TestSet("study", {"a": "visible"}, frames, (1, 5))
    rows = list(evaluate_forecast("damped-persistence", test, DampedPersistence.fit(frames), ["a"]))
    assert {row["horizon"] for row in rows} == {1, 5}
    errors = {row["horizon"]: row["value"] for row in rows if row["metric"] == "rmse_physical"}
    assert errors[1] < errors[5] < 1.1
