"""Metrics against errors that are known."""

from __future__ import annotations

import math

import pytest
import torch

from weightcast.environments.ensemble_metrics import ensemble_metrics
from weightcast.environments.forecast_metrics import forecast_metrics


def compute(forecast, truth, horizons=(2, 4)):
    return {(metric, horizon): value for metric, horizon, value in forecast_metrics(forecast, truth, horizons)}


@pytest.fixture
def truth():
    """Two channels of very different size: standard deviations 1 and 100."""
    fields = torch.randn(3, 4, 2, 16, 16, generator=torch.Generator().manual_seed(0))
    fields = (fields - fields.mean((0, 1, 3, 4), keepdim=True)) / fields.std((0, 1, 3, 4), keepdim=True)
    return fields * torch.tensor([1.0, 100.0])[:, None, None]


def test_a_perfect_forecast(truth):
    found = compute(truth, truth)

    for horizon in (2, 4):
        assert found["rmse", horizon] == 0
        assert found["nmse", horizon] == 0
        assert found["ssim", horizon] == pytest.approx(1.0, abs=1e-5)


def test_a_known_offset(truth):
    offset = torch.tensor([0.5, 50.0])[:, None, None]  # half a standard deviation in each channel
    found = compute(truth + offset, truth)

    assert found["rmse", 4] == pytest.approx(0.5, rel=1e-3)
    assert found["rmse_physical", 4] == pytest.approx(math.sqrt((0.5**2 + 50.0**2) / 2), rel=1e-3)
    assert found["nmse", 4] == pytest.approx((0.5**2 + 50.0**2) / (1.0 + 100.0**2), rel=1e-3)


def test_zero_is_about_as_good_as_the_field_is_large(truth):
    assert compute(torch.zeros_like(truth), truth)["rmse", 4] == pytest.approx(1.0, rel=1e-3)
    assert compute(torch.zeros_like(truth), truth)["nmse", 4] == pytest.approx(1.0, rel=1e-3)


def test_errors_are_over_the_frames_up_to_the_horizon(truth):
    late = truth.clone()
    late[:, 2:] += torch.tensor([1.0, 100.0])[:, None, None]
    found = compute(late, truth)

    assert found["rmse", 2] == 0
    assert found["rmse", 4] == pytest.approx(math.sqrt(0.5), rel=1e-3)


def test_a_channel_that_is_one_number_counts_for_nothing_beside_others(truth):
    truth[:, :, 1] = 7.0
    forecast = truth + torch.tensor([0.5, 1e-3])[:, None, None]
    assert compute(forecast, truth)["rmse", 4] == pytest.approx(0.5, rel=1e-3)
    forecast[0, 3, 1, 0, 0] = math.nan
    assert compute(forecast, truth)["rmse", 2] == pytest.approx(0.5, rel=1e-3)
    assert compute(forecast, truth)["rmse", 4] == math.inf


def test_where_nothing_changes_errors_are_in_units_of_its_size() -> None:
    """Not of a spread that is none, which made a metre off of 100 a billion."""
    truth = torch.full((3, 4, 1, 2, 2), 100.0)
    assert compute(truth + 1, truth)["rmse", 4] == pytest.approx(0.01, rel=1e-5)
    assert compute(torch.ones(3, 4, 1, 2, 2), torch.zeros(3, 4, 1, 2, 2))["rmse", 4] == pytest.approx(1.0)
    gappy = truth.clone()
    gappy[0, 1:] = torch.nan
    assert compute(truth + 1, gappy)["rmse", 4] == pytest.approx(0.01, rel=1e-5)
    scores = {name: value for name, _, value in ensemble_metrics((truth + 1)[None], torch.ones(1), truth, [4])}
    assert scores["rmse_mean"] == pytest.approx(0.01, rel=1e-5) and scores["crps"] == pytest.approx(0.01, rel=1e-5)


def test_beside_others_what_is_one_number_does_not_count_with_gaps_either(truth) -> None:
    still = torch.cat([truth, torch.full_like(truth[:, :, :1], 5.0)], dim=2)
    forecast = still + 0.1
    still[0, 1, :, 0, 0] = torch.nan
    alone = still[:, :, : truth.shape[2]]
    assert compute(forecast, still)["rmse", 4] == pytest.approx(
        compute(forecast[:, :, : truth.shape[2]], alone)["rmse", 4]
    )


def test_what_one_channel_misses_is_no_error_of_another(truth) -> None:
    gappy = truth.clone()
    gappy[:, 1:, 0, ::2] = torch.nan
    found = {(name, horizon): value for name, horizon, value in forecast_metrics(truth + 0.5, gappy, [truth.shape[1]])}
    assert found["rmse_physical", truth.shape[1]] == pytest.approx(0.5, rel=1e-5)
    assert 0.0 < found["rmse", truth.shape[1]] < 10.0


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_a_forecast_that_blows_up_has_infinite_error_from_then_on(truth, bad):
    forecast = truth.clone()
    forecast[0, 3, 0, 0, 0] = bad
    found = compute(forecast, truth)

    assert found["rmse", 2] == 0
    assert math.isinf(found["rmse", 4]) and math.isinf(found["rmse_physical", 4]) and math.isinf(found["nmse", 4])
    assert found["ssim", 4] == 0


def test_similarity_falls_with_noise(truth):
    draw = torch.Generator().manual_seed(1)
    noise = torch.randn(truth.shape, generator=draw) * torch.tensor([1.0, 100.0])[:, None, None]
    values = [compute(truth + size * noise, truth)["ssim", 4] for size in (0.1, 0.5, 2.0)]

    assert values == sorted(values, reverse=True) and values[0] > 0.9 > values[2]


def test_a_state_without_a_grid_has_errors_but_no_structural_similarity() -> None:
    truth = torch.arange(24.0).reshape(2, 6, 2, 1, 1)
    found = {metric: value for metric, _, value in forecast_metrics(truth + 1.0, truth, [3])}
    assert set(found) == {"rmse", "rmse_physical", "nmse"}
    assert found["rmse_physical"] == pytest.approx(1.0)
