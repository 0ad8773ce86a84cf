"""Forecasts after the last snapshot, against laws that are known: a normal one whose mean and deviation move."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.density import Density, Laws, StackedDensity
from weightcast.evolution.forecast import DampedTrends, fit_damped_trends, last_velocity
from weightcast.evolution.state_space import LEAST_SCALE, Reals
from weightcast.systems.stochastic import build_stochastic_system

DENSITY = StackedDensity.new(DensitySettings(hidden=2, components=1), Reals((0.0,), (1.0,), 1), 0)


def normal_weights(mean: float, deviation: float) -> Tensor:
    """Weights [parameter] of a normal law: all zero but for the last layer's bias."""
    state = DENSITY.graph.unflatten(torch.zeros(DENSITY.graph.num_parameters))
    (bias,) = (value for value in state.values() if value.shape == (3,))
    bias[1] = mean
    bias[2] = np.log(np.expm1(deviation - LEAST_SCALE))
    return DENSITY.graph.flatten(state)


def path_of(means, deviations) -> Tensor:
    return torch.stack([normal_weights(*each) for each in zip(means, deviations, strict=True)])


def samples_of(means, deviations, count=300):
    random = np.random.default_rng(0)
    return [random.normal(mean, scale, (count, 1)) for mean, scale in zip(means, deviations, strict=True)]


def fitted(times, means, deviations) -> tuple[DampedTrends, Tensor]:
    weights = path_of(means, deviations)
    return fit_damped_trends(DENSITY, times, weights, samples_of(means, deviations), 0), weights


def forecast(trends: DampedTrends, times, weights: Tensor, ahead: float) -> Density:
    moved = trends.weights(weights[-1], last_velocity(times, weights), ahead)
    return Density(Laws(DENSITY, (moved,), (torch.tensor(trends.shares, dtype=torch.float64),)), times[-1] + ahead)


def test_the_weights_of_these_tests_are_the_normal_law_that_they_say():
    law = Density(Laws.of(DENSITY, normal_weights(1.5, 0.4)[None]), 0.0)
    expected = torch.distributions.Normal(1.5, 0.4).log_prob(torch.tensor([0.7, 2.0]))
    torch.testing.assert_close(law.log_prob(torch.tensor([[0.7], [2.0]])), expected, atol=1e-5, rtol=0)


def test_dampings_come_to_rest_where_they_should():
    trends = DampedTrends((0.0, 2.0, 8.0), (0.5, 0.25, 0.25))
    last, velocity = torch.tensor([1.0, -1.0]), torch.tensor([0.5, 0.0])
    assert torch.equal(trends.weights(last, velocity, 0.0), last.expand(3, -1))
    one = trends.weights(last, velocity, 2.0)
    assert one[:, 0].tolist() == pytest.approx([1.0, 1 + 1 - np.exp(-1), 1 + 4 * (1 - np.exp(-0.25))], abs=1e-6)
    assert trends.weights(last, velocity, 1e9)[:, 0].tolist() == pytest.approx([1.0, 2.0, 5.0], abs=1e-6)


def test_motion_that_goes_on_is_followed_and_motion_to_and_fro_is_not():
    times = np.arange(8.0)
    trends, _ = fitted(times, times, np.ones(8))
    assert trends.dampings == (0.0, 0.5, 1.0, 2.0, 4.0)
    assert trends.shares[-1] > 0.5
    assert trends.shares[0] < 0.4
    trends, _ = fitted(times, times % 2, np.full(8, 0.5))
    assert trends.shares[0] > 0.6
    assert min(trends.shares) > 0


def test_two_snapshots_leave_the_prior_which_speaks_for_the_last_law():
    trends, weights = fitted(np.array([0.0, 2.0]), [0.0, 1.0], [1.0, 1.0])
    assert trends == DampedTrends.unlearned([0.0, 2.0])
    assert trends.shares == pytest.approx((0.8, 0.05, 0.05, 0.05, 0.05))
    assert DampedTrends.described(trends.describe()) == trends
    assert len(weights) == 2


def test_a_forecast_widens_with_time_and_never_leaves_the_last_law_for_good():
    times = np.arange(5.0)
    trends, weights = fitted(times, [0, 1.0, 1.5, 1.9, 2.1], np.full(5, 0.3))
    variances = []
    for ahead in (0.5, 1.0, 2.0, 4.0, 8.0, 1e6):
        law = forecast(trends, times, weights, ahead)
        mean, covariance = law.moments(100_000)
        variances.append(float(covariance))
        assert 2.1 - 0.02 < float(mean) < 2.1 + 0.2 * 4 + 0.02  # at most the last velocity times the longest damping
    assert (np.diff(variances) > -0.002).all()
    assert variances[-1] > 0.09 + 0.01


@pytest.mark.filterwarnings("error")
def test_an_ornstein_uhlenbeck_process_keeps_its_width_and_is_met_better_than_by_the_last_law():
    """Its law is known: from 3 it relaxes to 0, and its deviation to noise / sqrt(2 relaxation)."""
    settings = {"relaxation": 0.6, "noise": 0.8, "start": 3.0, "spread": 0.3, "dimensions": 1, "horizon": 5}
    law = build_stochastic_system("ornstein-uhlenbeck", settings).law
    times = np.array([0.0, 1.0, 2.0, 3.0, 4.0])
    means = [float(law.mean(time)[0]) for time in times]
    deviations = [float(law.variance(time)[0]) ** 0.5 for time in times]
    trends, weights = fitted(times, means, deviations)
    for later in (5.0, 6.0, 8.0, 12.0):
        found = forecast(trends, times, weights, later - 4.0)
        kept = Density(Laws.of(DENSITY, weights[-1:]), later)
        truth = torch.from_numpy(law.sample(later, 4000, seed=1))
        deviation = float(found.moments(40_000)[1]) ** 0.5
        assert deviation == pytest.approx(float(law.variance(later)[0]) ** 0.5, rel=0.1)
        assert found.log_prob(truth).mean() > kept.log_prob(truth).mean() - 0.005
    assert found.log_prob(truth).mean() > kept.log_prob(truth).mean() + 0.005


def test_samples_and_densities_of_a_mixture_agree():
    weights = torch.stack([normal_weights(0.0, 0.2), normal_weights(3.0, 0.2)])
    laws = Laws(DENSITY, (normal_weights(9.0, 1.0)[None], weights), (torch.ones(1), torch.tensor([0.25, 0.75])))
    drawn = laws.sample(20_000, 3, ["a", "b"])
    assert float((drawn[1] > 1.5).double().mean()) == pytest.approx(0.75, abs=0.01)
    assert torch.equal(laws.chosen([1]).sample(20_000, 3, ["b"])[0], drawn[1])  # whatever else is drawn
    grid = torch.linspace(-3, 6, 9001)[:, None]
    with torch.no_grad():
        assert float(torch.trapezoid(laws.log_prob(1, grid).exp(), grid[:, 0])) == pytest.approx(1.0, abs=1e-4)
        assert float(laws.log_prob(1, torch.tensor([[3.0]])).exp()) == pytest.approx(
            0.75 / 0.2 / np.sqrt(2 * np.pi), rel=1e-3
        )


def test_a_path_that_is_broken_is_no_reason_to_leave_the_last_law():
    times = np.arange(4.0)
    weights = path_of([0, 1, 2, 3.0], np.ones(4))
    weights[1] = torch.nan
    trends = fit_damped_trends(DENSITY, times, weights, samples_of([0, 1, 2, 3.0], np.ones(4)), 0)
    assert np.isfinite(trends.shares).all()
