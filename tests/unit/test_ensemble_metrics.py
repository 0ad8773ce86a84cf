"""Scores of ensembles against closed forms and brute force."""

from __future__ import annotations

import math

import pytest
import torch

from weightcast.environments.ensemble_metrics import LIMIT, ensemble_metrics
from weightcast.environments.ensemble_quantiles import tails, weighted_quantiles
from weightcast.environments.forecast_metrics import forecast_metrics
from weightcast.environments.transform import Transform


def numbers(seed):
    return torch.Generator().manual_seed(seed)


def scored(forecasts, weights, truth, horizons=(3,), noise=None):
    return {(name, h): value for name, h, value in ensemble_metrics(forecasts, weights, truth, horizons, noise)}


@pytest.fixture
def truth():
    """[trajectory, step, channel, y, x], standard deviations 1 and 50."""
    fields = torch.randn(2, 3, 2, 5, 4, generator=numbers(0), dtype=torch.float64)
    fields = fields / fields.std((0, 1, 3, 4), keepdim=True)
    return fields * torch.tensor([1.0, 50.0])[:, None, None]


@pytest.fixture
def ensemble(truth):
    """Seven members about the truth, with weights of which one is zero."""
    size = torch.tensor([0.7, 30.0])[:, None, None]
    members = truth + size * torch.randn(7, *truth.shape, generator=numbers(1), dtype=torch.float64)
    return members, torch.tensor([0.3, 0.05, 0.0, 0.2, 0.15, 0.2, 0.1])


def scaled_by_truth(truth):
    return truth.movedim(2, 0).flatten(1).std(1)[:, None, None]


def mean_distance(mu, sigma):
    """E |N(mu, sigma)|."""
    standard = torch.distributions.Normal(0.0, 1.0)
    ratio = mu / sigma
    return 2 * sigma * standard.log_prob(ratio).exp() + mu * (2 * standard.cdf(ratio) - 1)


def test_a_single_member_is_scored_by_its_absolute_error(truth, ensemble):
    member = ensemble[0][:1]
    found = scored(member, torch.ones(1), truth, (1, 3))
    error = (member[0] - truth).abs() / scaled_by_truth(truth)
    assert found["crps", 3] == pytest.approx(float(error.mean()), rel=1e-9)
    assert found["crps", 1] == pytest.approx(float(error[:, :1].mean()), rel=1e-9)
    assert found["spread_skill", 3] == 0.0
    of_forecast = {(name, h): value for name, h, value in forecast_metrics(member[0], truth, (1, 3))}
    assert found["rmse_mean", 1] == pytest.approx(of_forecast["rmse", 1], rel=1e-9)
    assert found["rmse_mean", 3] == pytest.approx(of_forecast["rmse", 3], rel=1e-9)


def test_crps_is_that_of_all_pairs(truth, ensemble):
    members, weights = ensemble
    found = scored(members, weights, truth)
    scale = scaled_by_truth(truth)
    share = weights.double() / weights.double().sum()
    to_truth = torch.einsum("m,m...->...", share, (members - truth).abs())
    to_each_other = torch.einsum("m,n,mn...->...", share, share, (members[:, None] - members[None]).abs())
    assert found["crps", 3] == pytest.approx(float(((to_truth - to_each_other / 2) / scale).mean()), rel=1e-9)


@pytest.mark.parametrize("size", [0.01, 0.5, 20.0])
@pytest.mark.parametrize("shape", ["number", "channel", "step and channel"])
def test_crps_with_noise_is_that_of_the_gaussian_mixture(truth, ensemble, size, shape):
    members, weights = ensemble
    by_channel = torch.tensor([1.0, 50.0])
    noise = {
        "number": torch.tensor(size),
        "channel": size * by_channel,
        "step and channel": size * torch.tensor([1.0, 2.0, 3.0])[:, None] * by_channel,
    }[shape]
    found = scored(members, weights, truth, noise=noise)
    sigma = noise.double().expand(3, 2)[:, :, None, None]
    share = weights.double() / weights.double().sum()
    to_truth = torch.einsum("m,m...->...", share, mean_distance(members - truth, sigma))
    pairs = mean_distance(members[:, None] - members[None], math.sqrt(2.0) * sigma)
    score = (to_truth - torch.einsum("m,n,mn...->...", share, share, pairs) / 2) / scaled_by_truth(truth)
    assert found["crps", 3] == pytest.approx(float(score.mean()), rel=1e-9)


def test_crps_of_a_gaussian_sample_is_the_analytic_one():
    """Of N(mu, sigma): sigma (z (2 Phi(z) - 1) + 2 phi(z) - 1 / sqrt(pi)); a sample of M adds E|X - X'| / (2 M)."""
    truth = torch.randn(4, 1, 1, 16, 16, generator=numbers(2), dtype=torch.float64)
    count, mu, sigma = 64, 0.4, 0.8
    members = mu + sigma * torch.randn(count, *truth.shape, generator=numbers(3), dtype=torch.float64)
    found = scored(members, torch.ones(count), truth, (1,))
    analytic = mean_distance(truth - mu, torch.tensor(sigma, dtype=torch.float64)) - sigma / math.sqrt(math.pi)
    expected = (float(analytic.mean()) + sigma / math.sqrt(math.pi) / count) / float(truth.std())
    assert found["crps", 1] == pytest.approx(expected, rel=0.01)
    # The same distribution as noise about a single member has no sample, and no error of it.
    exact = scored(torch.full_like(truth, mu)[None], torch.ones(1), truth, (1,), noise=sigma)
    assert exact["crps", 1] == pytest.approx(float(analytic.mean()) / float(truth.std()), rel=1e-9)


@pytest.mark.parametrize("count", [4, 19, 64])
def test_a_truth_that_is_one_more_member_is_covered_and_spread_as_it_must_be(count):
    drawn = torch.randn(count + 1, 8, 2, 2, 20, 20, generator=numbers(4))
    found = scored(drawn[1:], torch.ones(count), drawn[0], (2,))
    assert found["spread_skill", 2] == pytest.approx(1.0, abs=0.03)
    for name, probability in (("coverage_50", 0.5), ("coverage_90", 0.9)):
        rank = math.ceil(count * (1 - probability) / 2 - 1e-9)  # of the member that is the lower end
        assert found[name, 2] == pytest.approx((count + 1 - 2 * rank) / (count + 1), abs=0.015)


def test_weights_and_noise_are_counted_in_the_spread():
    """Members with errors of their own about a centre that is off by noise: 1 in expectation whatever the weights."""
    count, noise = 12, 0.7
    drawn = torch.randn(count + 1, 16, 1, 1, 24, 24, generator=numbers(5))
    truth = drawn[0] + noise * torch.randn(drawn[0].shape, generator=numbers(6))
    weights = torch.linspace(1.0, 6.0, count)
    found = scored(drawn[1:], weights, truth, (1,), noise=noise)
    assert found["spread_skill", 1] == pytest.approx(1.0, abs=0.03)


def test_a_mixture_with_the_right_noise_covers_what_it_says():
    centres = torch.randn(3, 1, 1, 1, 1, 1, generator=numbers(7)) * 2
    weights = torch.tensor([0.5, 0.3, 0.2])
    drawn = torch.multinomial(weights, 40_000, replacement=True, generator=numbers(8))
    truth = centres.flatten()[drawn] + 0.5 * torch.randn(40_000, generator=numbers(9))
    truth = truth.reshape(1, 1, 1, 200, 200)
    found = scored(centres.expand(3, *truth.shape), weights, truth, (1,), noise=0.5)
    assert found["coverage_50", 1] == pytest.approx(0.5, abs=0.01)
    assert found["coverage_90", 1] == pytest.approx(0.9, abs=0.01)


def test_weighted_quantiles_without_noise_are_members():
    members = torch.tensor([3.0, 1.0, 2.0, 4.0])
    weights = torch.tensor([0.1, 0.2, 0.3, 0.4])  # sorted: 1 (0.2), 2 (0.3), 3 (0.1), 4 (0.4)
    levels = [0.1, 0.2, 0.25, 0.5, 0.55, 0.7, 0.95]
    assert weighted_quantiles(members, weights, levels).tolist() == [1.0, 1.0, 2.0, 2.5, 3.0, 4.0, 4.0]
    # A weight is as good as so many members of a tenth.
    repeated = torch.repeat_interleave(members, torch.tensor([1, 2, 3, 4]))
    tenths = weighted_quantiles(repeated, torch.ones(10), levels)
    assert torch.equal(tenths, weighted_quantiles(members, weights, levels))
    mirrored = weighted_quantiles(-members, weights, [1 - level for level in levels])
    assert torch.equal(-mirrored, weighted_quantiles(members, weights, levels))


def test_quantiles_of_a_mixture_are_where_its_distribution_function_has_their_level():
    members = torch.randn(5, 3, 2, generator=numbers(10), dtype=torch.float64)
    weights = torch.rand(5, generator=numbers(11))
    levels = [0.01, 0.3, 0.5, 0.95]
    quantiles = weighted_quantiles(members, weights, levels, noise=0.3)
    for level, quantile in zip(levels, quantiles, strict=True):
        below, above = tails(members, weights, quantile, noise=0.3)
        assert torch.allclose(below, torch.full_like(below, level), atol=1e-12)
        assert torch.allclose(above, 1 - below)
    # With less and less noise they become those of the points.
    points = weighted_quantiles(members, weights, [0.3, 0.9])
    assert torch.allclose(weighted_quantiles(members, weights, [0.3, 0.9], noise=1e-9), points, atol=1e-7)
    single = weighted_quantiles(torch.zeros(1, 1), torch.ones(1), [0.975], noise=2.0)
    assert float(single) == pytest.approx(2 * 1.959963985, rel=1e-8)


def test_an_interval_holds_what_lies_between_its_quantiles():
    members = torch.randint(0, 6, (9, 4000), generator=numbers(12)).double()  # with ties, among them and with truths
    truth = torch.randint(-1, 7, (4000,), generator=numbers(13)).double()
    weights = torch.rand(9, generator=numbers(14))
    below, above = tails(members, weights, truth)
    low, high = weighted_quantiles(members, weights, [0.05, 0.95])
    assert torch.equal((below >= 0.05) & (above >= 0.05), (low <= truth) & (truth <= high))


def test_levels_are_checked():
    with pytest.raises(ValueError, match="expected above 0 and below 1"):
        weighted_quantiles(torch.zeros(2, 1), torch.ones(2), [1.0])


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf, 1e30])
@pytest.mark.parametrize("noise", [None, 0.3])
def test_a_member_that_breaks_down_is_as_wrong_as_can_be_and_no_more(truth, ensemble, bad, noise):
    members, weights = ensemble
    members, weights = members.float(), weights.clone()
    weights[1] = 0.02
    whole = scored(members, weights, truth, noise=noise)
    members[1, :, 1:] = bad
    found = scored(members, weights, truth, noise=noise)
    assert all(math.isfinite(value) for value in found.values())
    share = 0.02 / float(weights.sum())
    assert whole["crps", 3] < found["crps", 3] < whole["crps", 3] + share * (LIMIT + 7)
    assert scored(members, weights, truth, (1,), noise=noise)["crps", 1] < whole["crps", 3] * 1.5
    # Beyond the limit it does not matter how far.
    members[1, :, 1:] = -1e6 if bad == -math.inf else 1e6
    if not math.isnan(bad):
        assert scored(members, weights, truth, noise=noise)["crps", 3] == pytest.approx(found["crps", 3], rel=1e-6)


def test_an_interval_whose_tail_is_broken_holds_nothing_and_nothing_left_is_infinitely_wrong(truth, ensemble):
    members, _ = ensemble
    members = members.clone()
    members[0] = math.nan
    weights = torch.tensor([0.1, *[0.15] * 6])
    found = scored(members, weights, truth)
    assert found["coverage_90", 3] == 0.0  # a tenth is more than a tail
    assert found["coverage_50", 3] > 0.0
    members[:] = math.inf
    lost = scored(members, weights, truth)
    assert lost["crps", 3] == math.inf and lost["rmse_mean", 3] == math.inf
    assert lost["spread_skill", 3] == lost["coverage_50", 3] == lost["coverage_90", 3] == 0.0


def test_only_ratios_of_weights_count(truth, ensemble):
    members, weights = ensemble
    assert scored(members, weights, truth) == pytest.approx(scored(members, 10 * weights, truth))


def test_a_perfect_forecast(truth):
    found = scored(truth[None], torch.ones(1), truth)
    assert found["crps", 3] == found["rmse_mean", 3] == 0.0 and found["coverage_50", 3] == 1.0
    assert found["spread_skill", 3] == 1.0


@pytest.mark.parametrize("transform", [None, Transform("log", 1e-3)])
def test_intervals_alone_are_those_of_all_scores(truth, ensemble, transform):
    (members, weights), noise = ensemble, torch.tensor([0.3, 0.4])
    told = (members.abs(), weights, truth.abs(), (1, 3), noise, (transform, None))
    whole, alone = (
        {(name, h): value for name, h, value in ensemble_metrics(*told, intervals_alone=so)} for so in (False, True)
    )
    assert alone == {key: value for key, value in whole.items() if key[0].startswith("coverage")} and len(alone) == 4
