"""Maximum mean discrepancy: the distance of two distributions' mean embeddings by Gaussian kernels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy.spatial.distance import cdist

from weightcast.core.errors import InputError
from weightcast.evolution.distances.moments import Array, checked_pair


def maximum_mean_discrepancy(
    x: ArrayLike, y: ArrayLike, bandwidths: Sequence[float] = (0.1, 1.0, 10.0), unbiased: bool = False
) -> float:
    """*Squared* maximum mean discrepancy with the kernel exp(-|x - y|^2 / (2 s^2)), mean over bandwidths s.

    Gretton et al., "A kernel two-sample test", JMLR 13, 2012: by default their biased estimate (eq. 5, squared), which
    is never negative and exactly zero for equal sets; its mean for two sets of one distribution is about
    (1/n + 1/m) (1 - mean kernel value), nearly 1/n + 1/m where the bandwidth is far below the spacing of the samples.

    The square, not its root, because WeightFlow's published figures are squares: its code takes the unbiased estimate
    and the *sum* over the bandwidths 0.1, 1 and 10, that is ``3 * maximum_mean_discrepancy(x, y, unbiased=True)``.

    Args:
        x: [n, dimension].
        y: [m, dimension]; n and m may differ.
        bandwidths: s, in the state's units.
        unbiased: leave out the kernel of each sample with itself (their eq. 3); may be negative; needs two samples.

    Returns:
        Between 0 and 2 (unbiased: from slightly below 0), without units.

    Raises:
        InputError: bad or different shapes, NaN or infinity, no bandwidth or one that is not positive.
    """
    x, y = checked_pair(x, y)
    if not bandwidths or not all(0 < bandwidth < np.inf for bandwidth in bandwidths):
        raise InputError(f"bandwidths: found {tuple(bandwidths)}, expected at least one, all positive")
    if unbiased and min(len(x), len(y)) < 2:
        raise InputError(f"x, y: found {len(x)} and {len(y)} samples, expected at least 2 for the unbiased estimate")
    within_x, within_y, between = cdist(x, x, "sqeuclidean"), cdist(y, y, "sqeuclidean"), cdist(x, y, "sqeuclidean")
    values = [
        _mean_kernel(within_x, bandwidth, unbiased)
        + _mean_kernel(within_y, bandwidth, unbiased)
        - 2 * _mean_kernel(between, bandwidth, False)
        for bandwidth in bandwidths
    ]
    value = float(np.mean(values))
    return value if unbiased else max(value, 0.0)  # rounding may leave -1e-16


def _mean_kernel(squared_distance: Array, bandwidth: float, without_diagonal: bool) -> float:
    """Mean kernel value over pairs [n, m], or over pairs of different samples [n, n]."""
    kernel = np.exp(squared_distance / (-2 * bandwidth**2))
    if not without_diagonal:
        return float(kernel.mean())
    n = len(kernel)
    return float((kernel.sum() - n) / (n * (n - 1)))  # each sample's kernel with itself is 1
