"""Regression of the experts' weights on the environment's parameters: what a generator of weights must beat."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.exceptions import ConvergenceWarning
from sklearn.gaussian_process import GaussianProcessRegressor
from sklearn.gaussian_process.kernels import RBF, ConstantKernel, WhiteKernel
from sklearn.linear_model import LinearRegression
from sklearn.model_selection import KFold, cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Regression:
    """A fitted regression.

    Attributes:
        predict: scaled parameters [environment, parameter] -> weights [environment, weight].
        numbers: that must be kept to use it.
        choice: what cross-validation chose, for the report.
    """

    predict: Callable[[Array], Array]
    numbers: int
    choice: str


def nearest_environment(seen: Array, wanted: Array) -> NDArray[np.intp]:
    """For each wanted environment, the seen one with the nearest scaled parameters: positions [wanted]."""
    distance = ((wanted[:, None] - seen[None]) ** 2).sum(-1)
    return np.asarray(distance.argmin(1))


def polynomial_regression(parameters: Array, weights: Array, degrees: Sequence[int], folds: int) -> Regression:
    """Least squares on monomials, with the degree of least cross-validated squared error in the weights.

    Args:
        parameters: scaled, of the visible environments [environment, parameter].
        weights: mean expert of each [environment, weight].
        degrees: candidates; those with more monomials than a fold's environments are left out.
        folds: of the cross-validation over environments; at most one an environment.
    """
    folds = min(folds, len(parameters))
    split = KFold(folds, shuffle=True, random_state=0)
    training = len(parameters) - -(-len(parameters) // folds)
    scores: dict[int, float] = {}
    for degree in degrees:
        features = PolynomialFeatures(degree)
        if features.fit(parameters).n_output_features_ > max(training, 1) and scores:
            continue  # more unknowns than equations
        model = make_pipeline(features, LinearRegression())
        error = cross_val_score(model, parameters, weights, cv=split, scoring="neg_mean_squared_error")
        scores[degree] = float(error.mean())
    best = max(scores, key=lambda degree: scores[degree])
    model = make_pipeline(PolynomialFeatures(best), LinearRegression()).fit(parameters, weights)
    numbers = weights.shape[1] * PolynomialFeatures(best).fit(parameters).n_output_features_
    return Regression(lambda wanted: np.asarray(model.predict(wanted)), int(numbers), f"degree {best}")


def gaussian_process_regression(parameters: Array, weights: Array) -> Regression:
    """A Gaussian process for each principal component of the weights, with a length scale a parameter.

    All components of the visible environments are kept, so nothing is lost but what the processes take for noise.
    """
    mean = weights.mean(0)
    _, size, directions = np.linalg.svd(weights - mean, full_matrices=False)
    directions = directions[size > 1e-7 * size[0]]
    scores = (weights - mean) @ directions.T  # [environment, component]
    processes = []
    for component in range(scores.shape[1]):
        kernel = ConstantKernel(1.0, (1e-3, 1e3)) * RBF(np.ones(parameters.shape[1]), (1e-1, 1e2)) + WhiteKernel(
            1e-3, (1e-8, 1e1)
        )
        process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=0, random_state=0)
        with warnings.catch_warnings():
            # A component without noise drives the noise to its bound, which is right and not worth a warning each.
            warnings.simplefilter("ignore", ConvergenceWarning)
            processes.append(process.fit(parameters, scores[:, component]))

    def predict(wanted: Array) -> Array:
        return np.asarray(mean + np.stack([process.predict(wanted) for process in processes], axis=1) @ directions)

    return Regression(predict, int(mean.size + directions.size + scores.size), f"{scores.shape[1]} components")
