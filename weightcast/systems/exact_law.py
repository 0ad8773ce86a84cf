"""What theory knows of a stochastic system whose law is known at every time."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weightcast.core.errors import InputError

Array = NDArray[np.float64]


class ExactLaw(Protocol):
    """The distribution of a system's state at any time from 0, also beyond its horizon.

    Times are in the units of the system's rates. Every function raises `InputError` for a time that is negative or not
    finite.
    """

    def mean(self, time: float) -> Array:
        """Mean of every dimension, [dimension]."""

    def variance(self, time: float) -> Array:
        """Variance of every dimension, [dimension]."""

    def log_prob(self, values: ArrayLike, time: float) -> Array:
        """Log probability of counts, log density of real numbers.

        Args:
            values: [sample, dimension].
            time: of the law.

        Returns:
            [sample]; minus infinity for counts that cannot be.

        Raises:
            InputError: values of another shape, or a law that has no density (a point) at this time.
        """

    def exceedance(self, threshold: float, time: float) -> Array:
        """Probability that a dimension is above a threshold, for each dimension alone, [dimension]."""

    def sample(self, time: float, number: int, seed: int) -> Array:
        """Independent draws [sample, dimension], in double precision; the same seed gives the same ones.

        Raises:
            InputError: a negative number.
        """


def checked_time(time: float) -> float:
    """The time, if a law has one there.

    Raises:
        InputError: it is negative or not finite.
    """
    if not 0 <= time < np.inf:
        raise InputError(f"time of a law: found {time:g}, expected a finite number of at least 0")
    return float(time)


def checked_values(values: ArrayLike, dimensions: int) -> Array:
    """Values [sample, dimension] as numbers in double precision.

    Raises:
        InputError: they are of another shape.
    """
    array = np.asarray(values, np.float64)
    if array.ndim != 2 or array.shape[1] != dimensions:
        raise InputError(f"values of a law: found the shape {array.shape}, expected (samples, {dimensions})")
    return array


def checked_number(number: int) -> int:
    """How many draws are asked for.

    Raises:
        InputError: it is negative.
    """
    if number < 0:
        raise InputError(f"draws of a law: found {number}, expected at least 0")
    return number
