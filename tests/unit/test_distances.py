"""Distances and statistics of sets of samples, against distributions for which they are known."""

from __future__ import annotations

import math

import numpy as np
import ot
import pytest
from refusals import refused
from scipy.spatial.distance import cdist, jensenshannon

from weightcast.evolution.distances.marginals import jensen_shannon, marginal_frequencies, paper_w
from weightcast.evolution.distances.maximum_mean_discrepancy import maximum_mean_discrepancy
from weightcast.evolution.distances.moments import moments, relative_moment_error
from weightcast.evolution.distances.tails import tail_error, tail_probability
from weightcast.evolution.distances.wasserstein import optimal_plan, sliced_wasserstein, wasserstein

COUNTS = np.array([[0, 1], [1, 1], [1, 2], [3, 2]])
PAIRWISE = {
    "wasserstein": wasserstein,
    "sliced_wasserstein": sliced_wasserstein,
    "maximum_mean_discrepancy": maximum_mean_discrepancy,
    "jensen_shannon": jensen_shannon,
    "jensen_shannon of counts": lambda x, y: jensen_shannon(x, y, states=60),
    "paper_w": lambda x, y: paper_w(x, y, states=60),
    "relative_moment_error": lambda x, y: relative_moment_error(x, y).sum(),
    "tail_error": tail_error,
}


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture(params=PAIRWISE.values(), ids=PAIRWISE.keys())
def distance(request):
    return request.param


def plain_wasserstein(x, y):
    """By POT's own function, every sample a point of its own."""
    cost = cdist(x, y)
    return ot.emd2(np.full(len(x), 1 / len(x)), np.full(len(y), 1 / len(y)), cost, numItermax=10**7)


# --- what all have in common ---


def test_a_set_is_at_no_distance_from_itself_in_any_order(distance, random):
    x = random.poisson(3, (80, 3))
    assert distance(random.permutation(x), x) == pytest.approx(0, abs=1e-12)


def test_the_order_of_samples_does_not_matter(distance, random):
    x, y = random.poisson(3, (80, 3)), random.poisson(4, (60, 3))
    shuffled = distance(random.permutation(x), random.permutation(y))
    assert shuffled == pytest.approx(distance(x, y), rel=1e-9)
    assert shuffled > 0


def test_bad_samples_are_refused(distance):
    good = COUNTS.astype(float)
    for bad in (np.nan, np.inf):
        broken = good.copy()
        broken[1, 1] = bad
        with refused("x", "1 NaN or infinite", "of 8"):
            distance(broken, good)
        with refused("y", "1 NaN or infinite"):
            distance(good, broken)
    with refused("x: shape", "(4,)"):
        distance(good[:, 0], good)
    with refused("y: shape", "(0, 2)"):
        distance(good, good[:0])
    with refused("y: dimensions", "found 1", "expected 2"):
        distance(good, good[:, :1])


# --- Wasserstein ---


def test_a_shift_is_its_own_length(random):
    x = random.normal(size=(200, 3))
    assert wasserstein(x + np.array([2.0, -1.0, 2.0]), x) == pytest.approx(3.0)


def test_two_gaussians_in_one_dimension(random):
    """Of standard deviations s and t, the distance is |s - t| E|N(0, 1)| = |s - t| sqrt(2 / pi)."""
    x, y = random.normal(0, 1, (2000, 1)), random.normal(0, 3, (2000, 1))
    assert wasserstein(x, y) == pytest.approx(2 * math.sqrt(2 / math.pi), rel=0.05)


@pytest.mark.parametrize(("n", "m"), [(150, 150), (100, 170)])
@pytest.mark.parametrize("mean", [0.5, 30])
def test_merging_identical_samples_changes_nothing(n, m, mean, random):
    x, y = random.poisson(mean, (n, 3)), random.poisson(1.2 * mean, (m, 3))
    assert wasserstein(x, y) == pytest.approx(plain_wasserstein(x, y), rel=1e-9)


def test_duplicates_are_weights(random):
    x, y = random.normal(size=(20, 2)), random.normal(size=(30, 2))
    assert wasserstein(np.repeat(x, 3, axis=0), y) == pytest.approx(plain_wasserstein(x, y), rel=1e-9)


def test_mass_that_both_sets_have_at_a_point_can_stay():
    """On a line, points 0, 0, 1 against 0, 1, 5: one third moves by 5 in all, by whichever way."""
    assert wasserstein([[0, 0], [0, 0], [1, 0]], [[0, 0], [1, 0], [5, 0]]) == pytest.approx(5 / 3)


def test_a_plan_has_the_given_marginals(random):
    source, target = random.dirichlet(np.ones(8)), random.dirichlet(np.ones(5))
    plan = optimal_plan(source, target, random.random((8, 5)))
    assert plan.sum(axis=1) == pytest.approx(source)
    assert plan.sum(axis=0) == pytest.approx(target)


def test_a_solver_that_stops_early_is_an_error(random, monkeypatch):
    monkeypatch.setattr("weightcast.evolution.distances.wasserstein._MOST_ITERATIONS", 3)
    with pytest.warns(UserWarning), pytest.raises(RuntimeError, match="200 to 200 points"):
        wasserstein(random.normal(size=(200, 2)), random.normal(size=(200, 2)))


@pytest.mark.parametrize(("n", "m"), [(100, 100), (100, 73)])
def test_both_are_exact_in_one_dimension(n, m, random):
    x, y = random.normal(0, 1, (n, 1)), random.normal(1, 2, (m, 1))
    assert wasserstein(x, y) == pytest.approx(plain_wasserstein(x, y), rel=1e-9)
    assert sliced_wasserstein(x, y, projections=3) == pytest.approx(plain_wasserstein(x, y), rel=1e-9)


def test_sliced_distance_of_a_shift(random):
    """The mean over directions u of the plane of |<u, shift>| is 2 / pi times the shift's length."""
    x, shift = random.normal(size=(50, 2)), np.array([3.0, 4.0])
    found = sliced_wasserstein(x + shift, x, projections=5000)
    assert found == pytest.approx(5 * 2 / math.pi, rel=0.02)
    assert found == sliced_wasserstein(x + shift, x, projections=5000)
    with refused("projections", "found 0"):
        sliced_wasserstein(x, x, projections=0)


# --- maximum mean discrepancy ---


def test_discrepancy_of_two_points():
    """Squared, with kernel k between the two points: 1 + 1 - 2 k."""
    x, y = [[0.0, 0.0]], [[3.0, 4.0]]
    assert maximum_mean_discrepancy(x, y, bandwidths=[5.0]) == pytest.approx(2 - 2 * math.exp(-0.5))
    expected = np.mean([2 - 2 * math.exp(-25 / (2 * s**2)) for s in (0.1, 1.0, 10.0)])
    assert maximum_mean_discrepancy(x, y) == pytest.approx(expected)


def test_the_unbiased_estimate_is_zero_on_average(random):
    pairs = [(random.normal(size=(40, 2)), random.normal(size=(30, 2))) for _ in range(200)]
    unbiased = [maximum_mean_discrepancy(x, y, bandwidths=[0.01], unbiased=True) for x, y in pairs]
    assert np.mean(unbiased) == pytest.approx(0, abs=3 * np.std(unbiased) / math.sqrt(200))
    biased = [maximum_mean_discrepancy(x, y, bandwidths=[0.01]) for x, y in pairs]
    assert np.mean(biased) == pytest.approx(1 / 40 + 1 / 30, rel=0.02)


def test_bad_bandwidths_are_refused():
    for bad in ([], [1.0, 0.0], [math.nan]):
        with refused("bandwidths", "positive"):
            maximum_mean_discrepancy(COUNTS, COUNTS, bandwidths=bad)
    with refused("1 and 4 samples"):
        maximum_mean_discrepancy(COUNTS[:1], COUNTS, unbiased=True)


# --- marginals ---


def test_frequencies_of_counts():
    expected = [[0.25, 0.5, 0.0, 0.25], [0.0, 0.5, 0.5, 0.0]]
    assert marginal_frequencies(COUNTS, states=4).tolist() == expected


def test_what_is_no_count_is_refused():
    with refused("0.5", "whole"):
        marginal_frequencies([[0.5]], states=4)
    with refused("from 0 to 3", "0..2"):
        marginal_frequencies(COUNTS, states=3)
    with refused("from -1 to 2", "0..3"):
        marginal_frequencies(COUNTS - 1, states=4)


def test_divergence_of_disjoint_distributions_is_log_2(random):
    assert jensen_shannon([[0], [1]], [[2], [3]], states=4) == pytest.approx(math.log(2))
    assert jensen_shannon(random.random((50, 2)), random.random((70, 2)) + 5) == pytest.approx(math.log(2))


def test_divergence_is_the_mean_over_species_of_the_squared_distance(random):
    x, y = random.poisson([2, 8], (90, 2)), random.poisson([3, 5], (70, 2))
    pairs = zip(marginal_frequencies(x, 30), marginal_frequencies(y, 30), strict=True)
    expected = np.mean([jensenshannon(p, q) ** 2 for p, q in pairs])
    assert jensen_shannon(x, y, states=30) == pytest.approx(expected)


def test_divergence_of_two_gaussians_from_a_histogram(random):
    """Against the integral over the densities; the histogram adds about (bins - 1) (1/n + 1/m) / 8."""
    grid = np.linspace(-8, 10, 20_000)
    p, q = (np.exp(-((grid - mean) ** 2) / 2) for mean in (0.0, 1.5))
    x, y = random.normal(0, 1, (20_000, 1)), random.normal(1.5, 1, (20_000, 1))
    assert jensen_shannon(x, y) == pytest.approx(jensenshannon(p, q) ** 2, abs=0.003)


def test_sampling_noise_of_the_divergence_is_as_documented(random):
    found = [jensen_shannon(random.random((1000, 1)), random.random((500, 1)), bins=20) for _ in range(100)]
    assert np.mean(found) == pytest.approx(19 * (1 / 1000 + 1 / 500) / 8, rel=0.1)


def test_a_histogram_tells_rare_values_from_a_constant():
    """Nearly all samples are 0, so the quantiles are; and a dimension may be constant in both."""
    x, y = np.zeros((1000, 2)), np.zeros((1000, 2))
    y[0, 0] = 1.0
    assert 0 < jensen_shannon(x, y) < 0.01
    assert jensen_shannon(x, x) == 0


def test_paper_w_cannot_see_that_species_are_swapped(random):
    x = random.poisson([2, 20], (100, 2))
    assert paper_w(x[:, ::-1], x, states=50) == 0
    assert wasserstein(x[:, ::-1], x) > 10


def test_paper_w_by_hand():
    """Three species always at 0, 1 and 2, against 0, 1 and 3: two points match, one is sqrt(2) away."""
    assert paper_w([[0, 1, 2]], [[3, 0, 1]], states=4) == pytest.approx(math.sqrt(2) / 3)
    # half of the samples at 0 and half at 1, against all at 0: |(0.5, 0.5) - (1, 0)|
    assert paper_w([[0], [1]], [[0], [0]], states=2) == pytest.approx(math.sqrt(0.5))


def test_paper_w_is_what_optimal_transport_between_the_frequencies_gives(random):
    x, y = random.poisson([2, 4, 8, 3], (100, 4)), random.poisson([3, 5, 7, 9], (120, 4))
    expected = plain_wasserstein(marginal_frequencies(x, 40), marginal_frequencies(y, 40))
    assert paper_w(x, y, states=40) == pytest.approx(expected)


# --- moments ---


def test_moments_of_a_normal_and_a_poisson_distribution(random):
    """Poisson of mean a: variance and third central moment a, fourth a + 3 a^2."""
    samples = np.column_stack([random.normal(3, 2, 400_000), random.poisson(4, 400_000)])
    found = moments(samples)
    assert found[:, 0] == pytest.approx([3, 4, 0, 48], rel=0.02, abs=0.15)
    assert found[:, 1] == pytest.approx([4, 4, 4, 52], rel=0.03)


def test_moments_of_a_constant_are_exactly_zero():
    assert moments(np.full((7, 1), 0.1))[:, 0].tolist() == [0.1, 0, 0, 0]


def test_relative_errors_of_known_size():
    """Truth -1 and 1: moments 0, 1, 0, 1, and scale 1; the forecast is twice as wide and shifted by 1/2."""
    truth = np.array([[-1.0], [1.0]])
    assert relative_moment_error(2 * truth + 0.5, truth) == pytest.approx([0.5, 3, 0, 15])
    assert relative_moment_error(2 * truth + 0.5, truth, scale=[2]) == pytest.approx([0.25, 0.75, 0, 15 / 16])


def test_relative_errors_do_not_depend_on_units(random):
    x, y = random.gamma(2, 1, (50, 2)), random.gamma(3, 1, (60, 2))
    assert relative_moment_error(x * [1e-3, 1e3], y * [1e-3, 1e3]) == pytest.approx(relative_moment_error(x, y))


def test_a_constant_truth_needs_a_scale():
    truth, forecast = np.zeros((4, 1)), np.array([[-0.1], [0.1], [-0.1], [0.1]])
    assert relative_moment_error(forecast, truth).tolist() == [0, np.inf, 0, np.inf]
    assert relative_moment_error(forecast, truth, scale=[1]) == pytest.approx([0, 0.01, 0, 0.0001])
    assert relative_moment_error(truth, truth).tolist() == [0, 0, 0, 0]
    with refused("scale: shape", "(2,)"):
        relative_moment_error(truth, truth, scale=[1, 1])
    with refused("scale", "-1"):
        relative_moment_error(truth, truth, scale=[-1])


# --- tails ---


def test_tail_probability_counts_what_is_strictly_above():
    assert tail_probability(COUNTS, [1, 2]).tolist() == [0.25, 0.0]
    with refused("thresholds: shape", "(1,)"):
        tail_probability(COUNTS, [1])
    with refused("thresholds", "NaN"):
        tail_probability(COUNTS, [1, math.nan])


def test_tail_error_of_known_size():
    truth = np.arange(100.0)[:, None]
    assert tail_error(truth - 1000, truth) == pytest.approx(0.05)
    assert tail_error(truth + 1000, truth) == pytest.approx(0.95)
    assert tail_error(truth + 10, truth, level=0.8) == pytest.approx(0.10)
    with refused("level", "found 1"):
        tail_error(truth, truth, level=1.0)
