"""The Ornstein-Uhlenbeck process in one or two dimensions: a normal law that moves and spreads, known at every time.

    dX = -relaxation (X - mean) dt + rotation J (X - mean) dt + noise dB

J turns by a quarter, from the first dimension to the second: with a rotation, the mean of the law runs in on a spiral,
which no straight line between snapshots follows. B are Brownian motions with the given correlation. The start is
normal, with the same correlation. In one dimension (G. E. Uhlenbeck and L. S. Ornstein, Phys. Rev. 36 (1930) 823)

    mean + (start - mean) exp(-relaxation t)
    spread^2 exp(-2 relaxation t) + noise^2 (1 - exp(-2 relaxation t)) / (2 relaxation)

are mean and variance at time t; in two, linear_diffusion.py says what they are.
"""

from __future__ import annotations

import numpy as np

from weightcast.core.errors import InputError
from weightcast.systems.linear_diffusion import LinearDiffusion

SPECIES = ("x", "y")


def ornstein_uhlenbeck(
    *,
    relaxation: float = 0.6,
    noise: float = 0.8,
    mean: float = 0.0,
    rotation: float = 0.0,
    correlation: float = 0.0,
    start: float = 3.0,
    spread: float = 0.3,
    dimensions: int = 2,
    horizon: float = 5.0,
) -> LinearDiffusion:
    """The process.

    Args:
        relaxation: rate at which the distance from the mean falls, per unit of time.
        noise: standard deviation that noise adds to a dimension in the root of a unit of time.
        mean: of every dimension in the long run.
        rotation: radians per unit of time, from the first dimension to the second.
        correlation: of the noise, and of the start, in two dimensions; between -1 and 1.
        start: mean of the first dimension at time 0; the second starts at `mean`.
        spread: standard deviation of every dimension at time 0. With 0 the start is a point, which has no density.
        dimensions: 1 or 2.
        horizon: in units of time.

    Raises:
        InputError: a number of dimensions other than these; a rotation or a correlation in one dimension.
    """
    if dimensions not in (1, 2):
        raise InputError(f"settings of ornstein-uhlenbeck: dimensions: found {dimensions}, expected 1 or 2")
    for name, value in (("rotation", rotation), ("correlation", correlation)):
        if dimensions == 1 and value != 0:
            raise InputError(f"settings of ornstein-uhlenbeck: {name}: found {value}, expected 0 in one dimension")
    together = np.array([[1, correlation], [correlation, 1]])[:dimensions, :dimensions]
    drift = relaxation * np.eye(2) - rotation * np.array([[0, -1], [1, 0]])
    return LinearDiffusion(
        "ornstein-uhlenbeck",
        SPECIES[:dimensions],
        mean=np.full(dimensions, float(mean)),
        drift=drift[:dimensions, :dimensions],
        noise=noise**2 * together,
        start=np.array([start, mean], np.float64)[:dimensions],
        start_covariance=spread**2 * together,
        horizon=horizon,
    )
