"""Interpolation across environments: weights of the visible ones, and their samples displaced by optimal transport."""

from __future__ import annotations

import numpy as np
import pytest
from families_kit import normal_family

from weightcast.families.baselines.barycentric import likelihood_weights, parameter_weights
from weightcast.families.baselines.environment_displacement import EnvironmentDisplacement
from weightcast.families.inference import ShownSamples
from weightcast.families.snapshots import EnvironmentSnapshots, FamilySnapshots

GRID = np.array([[x, y] for x in (-1.0, 0.0, 1.0) for y in (-1.0, 0.0, 1.0)])
"""Nine environments, the fifth in the middle."""


def snapshots(states: int | None = None, **environments: dict[float, np.ndarray]) -> FamilySnapshots:
    """Samples of environments by time."""
    found = {
        id: EnvironmentSnapshots(
            np.array(list(samples)),
            np.ones(len(samples), bool),
            tuple(samples.values()),
            tuple(samples.values()),
            False,
        )
        for id, samples in environments.items()
    }
    dimensions = next(iter(next(iter(environments.values())).values())).shape[1]
    return FamilySnapshots(found, tuple("xyz"[:dimensions]), states)


def displaced(family: FamilySnapshots, weights: list[float], time: float, count: int = 200) -> np.ndarray:
    return EnvironmentDisplacement(family, list(family.environments), 400, 0).sample(np.array(weights), time, count, 1)


# --- weights


def test_weights_by_parameters_are_those_of_the_triangle_around_them() -> None:
    """Inside they reproduce the parameters, from corners of the grid's own square and no others."""
    random = np.random.default_rng(0)
    for place in random.uniform(-1, 1, (20, 2)):
        weights = parameter_weights(GRID, place)
        np.testing.assert_allclose(weights @ GRID, place, atol=1e-9)
        assert weights.sum() == pytest.approx(1) and weights.min() >= 0
        assert np.count_nonzero(weights > 1e-9) <= 3
        assert (np.abs(GRID[weights > 1e-9] - place) <= 1 + 1e-9).all()
    assert parameter_weights(GRID, GRID[4])[4] == pytest.approx(1)


def test_weights_outside_are_those_of_the_nearest_edge() -> None:
    np.testing.assert_allclose(parameter_weights(GRID, np.array([1.5, 0.25])) @ GRID, [1.0, 0.25], atol=1e-9)
    assert parameter_weights(GRID, np.array([2.0, 2.0]))[8] == pytest.approx(1)


def test_weights_by_likelihood_have_the_mean_of_normal_samples() -> None:
    """Of a family whose weights are linear in the code, laws N(z, 0.7^2): interpolated paths have the interpolated
    mean, and the likeliest one is the samples' own. Beyond all codes it is the last one."""
    family = normal_family(0.7, [-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
    random = np.random.default_rng(1)
    inside, beyond = (random.normal(mean, 0.7, (50, 1)) for mean in (0.8, 5.0))
    shown = ShownSamples.of([([1.0, 2.0], [inside[:20], inside[20:]]), ([3.0], [beyond])])
    weights = likelihood_weights(family, shown, nearest=3, steps=200)

    assert weights.shape == (2, 6)
    assert float((weights @ family.codes)[0, 0]) == pytest.approx(inside.mean(), abs=0.01)
    assert float((weights @ family.codes)[1, 0]) > 1.9
    assert ((weights > 0).sum(1) == 3).all()


# --- samples


def test_samples_in_one_dimension_have_interpolated_quantiles() -> None:
    """The barycentre of laws on a line has the weighted mean of their quantile functions: exactly, of as many samples
    of each, whatever the laws are."""
    random = np.random.default_rng(2)
    laws = [random.normal(0, 1, 200), random.exponential(3, 200), random.uniform(5, 6, 200)]
    family = snapshots(**{f"e{place}": {1.0: values[:, None]} for place, values in enumerate(laws)})
    weights = [0.5, 0.3, 0.2]
    expected = sum(weight * np.sort(values) for weight, values in zip(weights, laws, strict=True))
    np.testing.assert_allclose(np.sort(displaced(family, weights, 1.0)[:, 0]), expected, atol=1e-9)


def test_samples_that_are_moved_as_a_whole_are_moved_by_their_weights() -> None:
    random = np.random.default_rng(3)
    cloud, shift = random.normal(size=(200, 2)), np.array([4.0, -2.0])
    family = snapshots(a={1.0: cloud}, b={1.0: random.permutation(cloud + shift)})
    found = displaced(family, [0.25, 0.75], 1.0)
    expected = cloud + 0.75 * shift
    np.testing.assert_allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)], atol=1e-9)


def test_between_snapshots_samples_are_moved_along_time() -> None:
    """Each environment has times of its own; before the first and after the last one nothing moves."""
    cloud = np.random.default_rng(4).normal(size=(200, 2))
    family = snapshots(a={0.0: cloud, 2.0: cloud + 2.0}, b={1.0: cloud + 10.0})
    for time, moved in ((1.0, 0.5 * 1.0 + 0.5 * 10), (0.0, 5.0), (3.0, 0.5 * 2 + 5), (0.5, 0.5 * 0.5 + 5)):
        found, expected = displaced(family, [0.5, 0.5], time), cloud + moved
        np.testing.assert_allclose(found[np.lexsort(found.T)], expected[np.lexsort(expected.T)], atol=1e-9)


def test_counts_stay_whole_and_keep_their_mean() -> None:
    """2000 samples of counts that are rounded at random: three standard errors of the mean are 0.1."""
    random = np.random.default_rng(5)
    low, high = random.poisson(3, (400, 1)).astype(float), random.poisson(8, (300, 1)).astype(float)
    found = displaced(snapshots(40, a={1.0: low}, b={1.0: high}), [0.3, 0.7], 1.0, 2000)
    assert (found == np.round(found)).all() and found.min() >= 0 and found.max() <= high.max()
    assert found.mean() == pytest.approx(0.3 * low.mean() + 0.7 * high.mean(), abs=0.1)


def test_what_is_drawn_does_not_depend_on_what_was_asked_before() -> None:
    cloud = np.random.default_rng(6).normal(size=(50, 2))
    family = snapshots(a={0.0: cloud, 2.0: cloud[::-1] * 2}, b={0.0: cloud + 1, 2.0: cloud - 3})
    both = EnvironmentDisplacement(family, ["a", "b"], 40, 0)
    both.sample(np.array([0.9, 0.1]), 0.5, 30, 5)
    np.testing.assert_array_equal(
        both.sample(np.array([0.4, 0.6]), 1.5, 30, 1),
        EnvironmentDisplacement(family, ["a", "b"], 40, 0).sample(np.array([0.4, 0.6]), 1.5, 30, 1),
    )
