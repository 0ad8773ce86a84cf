"""Moments of a set of samples, and how far a forecast's are from the truth's."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weightcast.core.errors import InputError

Array = NDArray[np.float64]

ORDERS = (1, 2, 3, 4)
"""Orders of the moments, in the order of the rows of `moments`."""


def checked_samples(samples: ArrayLike, name: str = "samples") -> Array:
    """A set of samples as an array of floats [sample, dimension].

    Args:
        samples: [sample, dimension], of any numeric type.
        name: what the caller calls them, for the message.

    Raises:
        InputError: not two axes, nothing along one of them, or numbers that are not finite.
    """
    array = np.asarray(samples, dtype=np.float64)
    if array.ndim != 2 or array.size == 0:
        raise InputError(f"{name}: shape: found {array.shape}, expected (samples, dimensions), at least one of each")
    bad = array.size - int(np.isfinite(array).sum())
    if bad:
        raise InputError(f"{name}: found {bad} NaN or infinite numbers of {array.size}, expected finite ones")
    return array


def checked_pair(x: ArrayLike, y: ArrayLike) -> tuple[Array, Array]:
    """Two sets of samples [n, dimension] and [m, dimension] of the same space, as arrays of floats.

    Raises:
        InputError: as `checked_samples`, or the dimensions differ.
    """
    first, second = checked_samples(x, "x"), checked_samples(y, "y")
    if first.shape[1] != second.shape[1]:
        raise InputError(f"y: dimensions: found {second.shape[1]}, expected {first.shape[1]} as in x")
    return first, second


def moments(x: ArrayLike) -> Array:
    """Mean and the second, third and fourth central moments of each dimension, without corrections for bias.

    Args:
        x: samples [sample, dimension].

    Returns:
        [order, dimension]: mean, variance, third and fourth central moment, in powers 1 to 4 of the state's units.

    Raises:
        InputError: a bad shape, NaN or infinity.
    """
    samples = checked_samples(x, "x")
    # Taken relative to the first sample, so that a constant has moments of exactly zero, not of rounding errors.
    shifted = samples - samples[0]
    mean = shifted.mean(axis=0)
    central = shifted - mean
    return np.stack([samples[0] + mean, *((central**order).mean(axis=0) for order in ORDERS[1:])])


def relative_moment_error(x: ArrayLike, y: ArrayLike, scale: ArrayLike | None = None) -> Array:
    """Error of the first four moments relative to the truth's, mean over dimensions.

    In each dimension the error of the moment of order k is ``|moment(x) - moment(y)| / max(|moment(y)|, scale^k)``.
    The scale keeps a moment that is zero by symmetry (the mean or skew of a centred distribution) from making a small
    error infinite. With the default scale, the truth's standard deviation, it changes nothing in orders 2 and 4.

    Args:
        x: forecast [n, dimension].
        y: truth [m, dimension].
        scale: [dimension], typical deviation, in the state's units. Give it (the standard deviation over all times,
            say) where the truth may be constant in a dimension, as at the fixed start of a simulation: without it, an
            error relative to a moment of zero is infinite, or 0 if the forecast is constant as well.

    Returns:
        [4], one error an order, without units.

    Raises:
        InputError: bad or different shapes, NaN or infinity, a negative scale.
    """
    x, y = checked_pair(x, y)
    forecast, truth = moments(x), moments(y)
    deviation = np.sqrt(truth[1]) if scale is None else np.asarray(scale, dtype=np.float64)
    if deviation.shape != truth[1].shape:
        raise InputError(f"scale: shape: found {deviation.shape}, expected {truth[1].shape}, one for each dimension")
    if not (np.isfinite(deviation) & (deviation >= 0)).all():
        raise InputError(f"scale: found {deviation.tolist()}, expected finite numbers of at least 0")
    size = np.maximum(np.abs(truth), deviation ** np.array(ORDERS)[:, None])
    difference = np.abs(forecast - truth)
    error = np.full_like(difference, np.inf)
    error[difference == 0] = 0.0
    np.divide(difference, size, out=error, where=size > 0)
    return np.asarray(error.mean(axis=1))
