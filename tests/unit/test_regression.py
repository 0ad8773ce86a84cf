"""Regression baselines on weights that depend on the environment in a known way."""

from __future__ import annotations

import numpy as np
import pytest

from weightcast.environments.baselines import regression as regression_module
from weightcast.environments.baselines.regression import (
    Columns,
    Regression,
    gaussian_process_regression,
    nearest_environment,
    polynomial_regression,
)


def family(degree: int, noise: float = 0.0):
    """Weights [25, 40] that are polynomials of a known degree on a 5 x 5 grid, and the truth off the grid."""
    draw = np.random.default_rng(0)
    axis = np.linspace(-1, 1, 5)
    seen = np.stack(np.meshgrid(axis, axis), -1).reshape(-1, 2)
    wanted = draw.uniform(-1, 1, (10, 2))
    powers = [(i, j) for i in range(degree + 1) for j in range(degree + 1 - i)]
    coefficients = draw.standard_normal((len(powers), 40))

    def weights(parameters):
        return np.stack([parameters[:, 0] ** i * parameters[:, 1] ** j for i, j in powers], 1) @ coefficients

    return seen, weights(seen) + noise * draw.standard_normal((25, 40)), wanted, weights(wanted)


def in_blocks(weights: np.ndarray, together: int = 7) -> Columns:
    """Weights as they come where they do not fit into memory."""
    return Columns(
        weights.shape[1], lambda: (weights[:, left : left + together] for left in range(0, weights.shape[1], together))
    )


def predicted(regression: Regression, wanted: np.ndarray) -> np.ndarray:
    return np.concatenate(list(regression.predict(wanted)), axis=1)


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_cross_validation_finds_the_degree_and_the_fit_is_exact(degree):
    seen, weights, wanted, truth = family(degree)
    regression = polynomial_regression(seen, Columns.of(weights), [1, 2, 3], folds=5)

    np.testing.assert_allclose(predicted(regression, wanted), truth, atol=1e-8)
    # A higher degree is exact too where there is no noise; with noise the true one is best.
    noisy = polynomial_regression(seen, Columns.of(family(degree, noise=0.3)[1]), [1, 2, 3], folds=5)
    assert noisy.choice == f"degree {degree}"


def test_degrees_with_more_unknowns_than_environments_are_left_out():
    seen, weights, *_ = family(1, noise=0.1)
    chosen = polynomial_regression(seen[::5], Columns.of(weights[::5]), [1, 2, 3], folds=5)

    assert chosen.choice == "degree 1"


def test_gaussian_process_interpolates_a_smooth_family():
    seen, weights, wanted, truth = family(3)
    regression = gaussian_process_regression(seen, Columns.of(weights))

    error = np.sqrt(np.mean((predicted(regression, wanted) - truth) ** 2)) / truth.std()
    assert error < 0.02
    np.testing.assert_allclose(predicted(regression, seen), weights, atol=0.05 * weights.std())


def test_nearest_environment_in_scaled_parameters():
    seen = np.array([[-1.0, -1.0], [0.0, 0.0], [1.0, 1.0]])

    assert nearest_environment(seen, np.array([[0.1, -0.2], [5.0, 5.0], [-0.9, -0.6]])).tolist() == [1, 2, 0]


@pytest.mark.parametrize("noise", [0.0, 0.3])
def test_weights_that_come_column_by_column_are_regressed_alike(noise):
    seen, weights, wanted, _ = family(2, noise)
    for regress in (
        lambda columns: polynomial_regression(seen, columns, [1, 2, 3], folds=5),
        lambda columns: gaussian_process_regression(seen, columns),
    ):
        whole, parts = regress(Columns.of(weights)), regress(in_blocks(weights))
        assert (parts.choice, parts.numbers) == (whole.choice, whole.numbers)
        assert len(list(parts.predict(wanted))) == 6
        np.testing.assert_allclose(predicted(parts, wanted), predicted(whole, wanted), atol=1e-6 * weights.std())


def test_gaussian_process_of_many_environments_learns_its_scales_from_some(monkeypatch):
    """Each of twenty weights is another smooth function, with some noise; six components are nearly all of them."""
    monkeypatch.setattr(regression_module, "MOST_COMPONENTS", 6)
    monkeypatch.setattr(regression_module, "MOST_LEARNED", 40)
    random = np.random.default_rng(0)
    mixture = random.normal(size=(3, 20))

    def truth(parameters):
        x, y = parameters.T
        return np.stack([np.sin(2 * x), np.cos(x + y), x * y], axis=1) @ mixture

    seen, wanted = random.uniform(-1, 1, (160, 2)), random.uniform(-0.9, 0.9, (50, 2))
    noisy = truth(seen) + 0.1 * random.normal(size=(160, 20))

    def error(environments):
        regression = gaussian_process_regression(seen[:environments], Columns.of(noisy[:environments]))
        assert regression.choice == "6 components"
        return np.sqrt(np.square(predicted(regression, wanted) - truth(wanted)).mean())

    # Three smooth functions of 160 noisy values each: all speak, and not only the 40 that the scales are learned from.
    assert error(160) < 0.75 * error(40) < 0.04
