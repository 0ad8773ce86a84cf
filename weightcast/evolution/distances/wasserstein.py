"""1-Wasserstein distance between two sets of samples: exact, and sliced for many dimensions."""

from __future__ import annotations

from typing import Any

import numpy as np
import ot
from numpy.typing import ArrayLike, NDArray
from scipy.spatial.distance import cdist

from weightcast.core.errors import InputError
from weightcast.evolution.distances.moments import Array, checked_pair

_MOST_ITERATIONS = 50_000_000
"""Most iterations of the network simplex. For some thousand samples POT's default of 100,000 falls short."""


def optimal_plan(source: Array, target: Array, cost: Array) -> Array:
    """The exact optimal transport plan between two discrete distributions, by the network simplex of POT.

    Args:
        source: weights [n] with a sum of 1.
        target: weights [m] with a sum of 1.
        cost: [n, m] of moving a unit of mass.

    Returns:
        Mass moved [n, m]; at most n + m - 1 entries are not zero.

    Raises:
        RuntimeError: the solver stopped before it found the optimum.
    """
    log: dict[str, Any]
    plan, log = ot.emd(source, target, np.ascontiguousarray(cost), numItermax=_MOST_ITERATIONS, log=True)
    if log["warning"] is not None:
        raise RuntimeError(f"optimal transport of {len(source)} to {len(target)} points failed: {log['warning']}")
    return np.asarray(plan, dtype=np.float64)


def wasserstein(x: ArrayLike, y: ArrayLike) -> float:
    """Exact 1-Wasserstein distance of the empirical distributions, with Euclidean ground cost.

    Identical samples are merged into one weighted point, and mass that both sets have at the same point stays there:
    both are exact (the second by the triangle inequality, for this cost and power only), and both make counts cheaper.

    Two sets of samples of one and the same distribution are at a positive distance, which falls with their number n
    as n^(-1/2) in one dimension and as n^(-1/d) in d > 2 (Fournier and Guillin, Probability Theory and Related Fields
    162, 2015): compare values only between sets of the same size.

    Args:
        x: [n, dimension].
        y: [m, dimension]; n and m may differ.

    Returns:
        The distance, in the state's units.

    Raises:
        InputError: bad or different shapes, NaN or infinity.
        RuntimeError: the solver did not converge.
    """
    x, y = checked_pair(x, y)
    if x.shape[1] == 1:
        return float(_one_dimensional(x, y)[0])  # sorting is all that the optimum takes
    points, which = np.unique(np.concatenate([x, y]), axis=0, return_inverse=True)
    which = which.reshape(-1)  # some versions of numpy return a column
    # In units of 1 / (n m), in which the weights of both sets are whole numbers: nothing is lost in the difference.
    excess = len(y) * np.bincount(which[: len(x)], minlength=len(points))
    excess -= len(x) * np.bincount(which[len(x) :], minlength=len(points))
    from_here, to_here = excess > 0, excess < 0
    moved = int(excess[from_here].sum())
    if moved == 0:
        return 0.0
    cost = cdist(points[from_here], points[to_here])
    plan = optimal_plan(excess[from_here] / moved, -excess[to_here] / moved, cost)
    return float((plan * cost).sum() * (moved / (len(x) * len(y))))


def sliced_wasserstein(x: ArrayLike, y: ArrayLike, projections: int = 200, seed: int = 0) -> float:
    """Mean over random directions of the exact 1-Wasserstein distance of the samples projected onto them.

    Never above `wasserstein`, and equal to it in one dimension (Bonneel et al., Journal of Mathematical Imaging and
    Vision 51, 2015). It stays informative in many dimensions, where the exact distance is mostly sampling noise.

    Args:
        x: [n, dimension].
        y: [m, dimension]; n and m may differ.
        projections: number of directions, uniform on the sphere.
        seed: of the directions; the same for all methods that are compared.

    Returns:
        The mean distance, in the state's units.

    Raises:
        InputError: bad or different shapes, NaN or infinity, no projections.
    """
    x, y = checked_pair(x, y)
    if projections < 1:
        raise InputError(f"projections: found {projections}, expected at least 1")
    directions = np.random.default_rng(seed).normal(size=(x.shape[1], projections))
    directions /= np.linalg.norm(directions, axis=0)
    return float(_one_dimensional(x @ directions, y @ directions).mean())


def _one_dimensional(x: Array, y: Array) -> NDArray[np.float64]:
    """Distance in each column: the area between the two distribution functions; x [n, column], y [m, column]."""
    values = np.concatenate([x, y])
    order = np.argsort(values, axis=0)
    steps = np.concatenate([np.full(len(x), 1 / len(x)), np.full(len(y), -1 / len(y))])
    difference = np.cumsum(steps[order], axis=0)[:-1]
    widths = np.diff(np.take_along_axis(values, order, axis=0), axis=0)
    return np.asarray((np.abs(difference) * widths).sum(axis=0))
