"""Regression of the experts' weights on the environment's parameters: what a generator of weights must beat.

Both kinds are linear in the weights, so that these come some columns at a time where they do not fit into memory.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain

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

MOST_COMPONENTS = 64
"""Of weights, that have a Gaussian process each."""
MOST_LEARNED = 256
"""Environments that its scales are learned from."""
LEAST_COMPONENT = 1e-7
"""Size of a principal component that is one, relative to the largest."""


@dataclass(frozen=True)
class Columns:
    """Weights [environment, weight], some columns at a time.

    Attributes:
        count: of the columns.
        blocks: begins again with each call: [environment, column], in their order.
    """

    count: int
    blocks: Callable[[], Iterator[Array]]

    @classmethod
    def of(cls, weights: Array) -> Columns:
        """All of them at once."""
        return cls(weights.shape[1], lambda: iter([weights]))


@dataclass(frozen=True)
class Regression:
    """A fitted regression.

    Attributes:
        predict: scaled parameters [environment, parameter] -> weights [environment, column], some columns at a time.
        numbers: that must be kept to use it.
        choice: what cross-validation chose, for the report.
    """

    predict: Callable[[Array], Iterator[Array]]
    numbers: int
    choice: str


def nearest_environment(seen: Array, wanted: Array) -> NDArray[np.intp]:
    """For each wanted environment, the seen one with the nearest scaled parameters: positions [wanted]."""
    distance = ((wanted[:, None] - seen[None]) ** 2).sum(-1)
    return np.asarray(distance.argmin(1))


def polynomial_regression(parameters: Array, weights: Columns, degrees: Sequence[int], folds: int) -> Regression:
    """Least squares on monomials, with the degree of least cross-validated squared error in the weights.

    Args:
        parameters: scaled, of the visible environments [environment, parameter].
        weights: mean expert of each.
        degrees: candidates; those with more monomials than a fold's environments are left out.
        folds: of the cross-validation over environments; at most one an environment.
    """
    folds = min(folds, len(parameters))
    split = KFold(folds, shuffle=True, random_state=0)
    training = len(parameters) - -(-len(parameters) // folds)
    scores: dict[int, float] = {}
    for degree in degrees:
        if not scores or PolynomialFeatures(degree).fit(parameters).n_output_features_ <= max(training, 1):
            scores[degree] = 0.0  # the others have more unknowns than equations
    for block in weights.blocks():
        for degree in scores:
            model = make_pipeline(PolynomialFeatures(degree), LinearRegression())
            error = cross_val_score(model, parameters, block, cv=split, scoring="neg_mean_squared_error")
            scores[degree] += block.shape[1] / weights.count * float(error.mean())
    best = max(scores, key=lambda degree: scores[degree])

    def predict(wanted: Array) -> Iterator[Array]:
        for block in weights.blocks():
            model = make_pipeline(PolynomialFeatures(best), LinearRegression()).fit(parameters, block)
            yield np.asarray(model.predict(wanted))

    numbers = weights.count * PolynomialFeatures(best).fit(parameters).n_output_features_
    return Regression(predict, int(numbers), f"degree {best}")


def gaussian_process_regression(parameters: Array, weights: Columns) -> Regression:
    """A Gaussian process for each principal component of the weights, with a length scale a parameter.

    The largest components of the visible environments are kept, of up to 65 environments all that there are, so that
    nothing is lost but what the processes take for noise. What a process costs grows with the cube of the number of
    environments: scales are learned from no more than 256, spread over the table, and what all of them say is then
    asked for with these scales.

    Args:
        parameters: scaled, of the visible environments [environment, parameter].
        weights: mean expert of each.
    """
    scores, whole = _principal_components(weights)  # [environment, component]
    count = min(scores.shape[1], MOST_COMPONENTS)
    few = np.unique(np.linspace(0, len(parameters) - 1, min(len(parameters), MOST_LEARNED)).round().astype(int))
    kernels = []
    for component in range(count):
        kernel = ConstantKernel(1.0, (1e-3, 1e3)) * RBF(np.ones(parameters.shape[1]), (1e-1, 1e2)) + WhiteKernel(
            1e-3, (1e-8, 1e1)
        )
        process = GaussianProcessRegressor(kernel, normalize_y=True, n_restarts_optimizer=0, random_state=0)
        with warnings.catch_warnings():
            # A component without noise drives the noise to its bound, which is right and not worth a warning each.
            warnings.simplefilter("ignore", ConvergenceWarning)
            kernels.append(process.fit(parameters[few], scores[few, component]).kernel_)

    def predict(wanted: Array) -> Iterator[Array]:
        found = np.zeros((len(wanted), scores.shape[1]))
        for component, kernel in enumerate(kernels):  # one at a time: each holds a matrix of all environments
            process = GaussianProcessRegressor(kernel, optimizer=None, normalize_y=True)
            found[:, component] = process.fit(parameters, scores[:, component]).predict(wanted)
        yield from whole(found)

    numbers = weights.count * (1 + count) + scores[:, :count].size
    return Regression(predict, int(numbers), f"{count} components")


def _principal_components(weights: Columns) -> tuple[Array, Callable[[Array], Iterator[Array]]]:
    """Scores of the environments [environment, component], and what makes weights of scores, block by block.

    Of a single block they are from its singular value decomposition. Of several, from that of the triangle that QR
    decompositions of one block after the other leave: as exact, where a Gram matrix would square what is small.
    """
    blocks = weights.blocks()
    first = next(blocks)
    if first.shape[1] == weights.count:
        mean = first.mean(0)
        _, size, directions = np.linalg.svd(first - mean, full_matrices=False)
        directions = directions[size > LEAST_COMPONENT * size[0]]
        return (first - mean) @ directions.T, lambda scores: iter([np.asarray(mean + scores @ directions)])
    triangle = np.zeros((0, len(first)))
    for block in chain([first], blocks):
        triangle = np.asarray(np.linalg.qr(np.concatenate([triangle, (block - block.mean(0)).T]), mode="r"))
    left, size, _ = np.linalg.svd(triangle.T, full_matrices=False)
    kept = size > LEAST_COMPONENT * size[0]
    left, size = left[:, kept], size[kept]

    def whole(scores: Array) -> Iterator[Array]:
        shares = (scores / size) @ left.T  # of the seen environments [environment, seen]
        for block in weights.blocks():
            mean = block.mean(0)
            yield np.asarray(mean + shares @ (block - mean))

    return left * size, whole
