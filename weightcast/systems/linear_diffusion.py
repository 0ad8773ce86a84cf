"""Real vectors that drift back to a mean in proportion to their distance, driven by noise: simulated exactly.

    dX = -drift (X - mean) dt + dB,    Cov(dB) = noise dt,    X(0) normal

Given X(s), the state at time s + lag is normal with the mean `mean + F (X(s) - mean)`, F = exp(-drift lag), and the
covariance S - F S F', where S is the stationary covariance: drift S + S drift' = noise (C. W. Gardiner, Handbook of
Stochastic Methods, 3rd edition, Springer 2004, section 4.4.6). Trajectories are drawn from these transitions, from each
time to the next: there is no time step, and so no error of one (D. T. Gillespie, Phys. Rev. E 54 (1996) 2084).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.linalg import expm, solve_continuous_lyapunov, solve_triangular
from scipy.stats import norm

from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.systems.exact_law import Array, checked_number, checked_time, checked_values
from weightcast.systems.times import checked_times


@dataclass(frozen=True, eq=False)
class LinearDiffusion:
    """A linear stochastic differential equation with a normal start.

    Attributes:
        name: of the system, for errors and for its random numbers.
        species: names of the dimensions.
        mean: [dimension], that the state is drawn to.
        drift: [dimension, dimension], per unit of time; its eigenvalues have positive real parts.
        noise: [dimension, dimension], covariance that noise adds per unit of time.
        start: [dimension], mean at time 0.
        start_covariance: [dimension, dimension], at time 0.
        horizon: the time up to which the system is of interest, in the units of the rates.

    Raises:
        InputError: a horizon that is not positive and finite.
        ValueError: shapes that do not fit together, or a drift that does not lead back.
    """

    counts: ClassVar[bool] = False

    name: str
    species: tuple[str, ...]
    mean: Array
    drift: Array
    noise: Array
    start: Array
    start_covariance: Array
    horizon: float

    def __post_init__(self) -> None:
        size = len(self.species)
        vectors, matrices = (self.mean, self.start), (self.drift, self.noise, self.start_covariance)
        if any(part.shape != (size,) for part in vectors) or any(part.shape != (size, size) for part in matrices):
            raise ValueError(f"{self.name}: arrays do not fit the dimensions {self.species}")
        if np.linalg.eigvals(self.drift).real.min() <= 0:
            raise ValueError(f"{self.name}: the drift {self.drift.tolist()} does not lead back to the mean")
        if not 0 < self.horizon < np.inf:
            raise InputError(f"system {self.name}: horizon: found {self.horizon}, expected a positive number")

    @property
    def law(self) -> NormalLaw:
        """The distribution of the state at any time."""
        return NormalLaw(self)

    @cached_property
    def stationary_covariance(self) -> Array:
        """Covariance of the dimensions in the long run, [dimension, dimension]."""
        found: Array = solve_continuous_lyapunov(self.drift, self.noise)
        return found

    def transition(self, lag: float) -> tuple[Array, Array]:
        """How the state at one time decides that at a later one.

        Args:
            lag: between the two, at least 0.

        Returns:
            F [dimension, dimension], which multiplies the distance from the mean, and the covariance of what noise
            adds, [dimension, dimension].
        """
        matrix: Array = expm(-self.drift * lag)
        stationary = self.stationary_covariance
        return matrix, stationary - matrix @ stationary @ matrix.T


@dataclass(frozen=True, eq=False)
class NormalLaw:
    """The law of a linear diffusion: normal at every time.

    Attributes:
        process: whose law it is.
    """

    process: LinearDiffusion

    def mean(self, time: float) -> Array:
        """As `ExactLaw.mean`."""
        matrix, _ = self.process.transition(checked_time(time))
        found: Array = self.process.mean + matrix @ (self.process.start - self.process.mean)
        return found

    def covariance(self, time: float) -> Array:
        """Covariance of the dimensions, [dimension, dimension]."""
        matrix, added = self.process.transition(checked_time(time))
        return matrix @ self.process.start_covariance @ matrix.T + added

    def variance(self, time: float) -> Array:
        """As `ExactLaw.variance`."""
        return np.diag(self.covariance(time)).copy()

    def log_prob(self, values: ArrayLike, time: float) -> Array:
        """As `ExactLaw.log_prob`: log density, in nats, of values [sample, dimension].

        Raises:
            InputError: values of another shape; a law without a density, as that of a point at time 0.
        """
        size = len(self.process.species)
        apart = checked_values(values, size) - self.mean(time)
        try:
            root = np.linalg.cholesky(self.covariance(time))
        except np.linalg.LinAlgError:
            raise InputError(
                f"law of {self.process.name} at time {time:g}: found a distribution without a density, expected a "
                "later time, or a start that is spread"
            ) from None
        standard = solve_triangular(root, apart.T, lower=True)
        found: Array = -0.5 * (standard**2).sum(0) - np.log(np.diag(root)).sum() - 0.5 * size * np.log(2 * np.pi)
        return found

    def exceedance(self, threshold: float, time: float) -> Array:
        """As `ExactLaw.exceedance`."""
        mean, deviation = self.mean(time), np.sqrt(self.variance(time))
        point = deviation == 0
        spread = norm.sf((threshold - mean) / np.where(point, 1, deviation))
        return np.where(point, (mean > threshold).astype(np.float64), spread)

    def sample(self, time: float, number: int, seed: int) -> Array:
        """As `ExactLaw.sample`."""
        random = np.random.default_rng(derive_seed(seed, "normal-law", self.process.name))
        normal = random.standard_normal((checked_number(number), len(self.process.species)))
        return self.mean(time) + normal @ _root(self.covariance(time)).T


def simulate_diffusion(
    process: LinearDiffusion, times: NDArray[np.float64], trajectories: int, seed: int
) -> NDArray[np.float64]:
    """Simulate independent trajectories, and record their states at the given times.

    The trajectories draw from one stream: another number of them, or other times, give other trajectories.

    Args:
        process: what to simulate, from its start at time 0.
        times: [time], at least 0 and ascending, in the units of the rates.
        trajectories: how many.
        seed: of the study; the same arguments give the same states.

    Returns:
        [trajectory, time, dimension].

    Raises:
        InputError: a negative number of trajectories, or times that cannot be used.
    """
    times = checked_times(times)
    if trajectories < 0:
        raise InputError(f"trajectories of {process.name}: found {trajectories}, expected at least 0")
    random = np.random.default_rng(derive_seed(seed, "diffusion", process.name))
    shape = (trajectories, len(process.species))
    record = np.empty((trajectories, len(times), len(process.species)))
    apart = process.start - process.mean + random.standard_normal(shape) @ _root(process.start_covariance).T
    before = 0.0
    for position, time in enumerate(times):
        matrix, added = process.transition(time - before)
        apart = apart @ matrix.T + random.standard_normal(shape) @ _root(added).T
        record[:, position] = process.mean + apart
        before = time
    return record


def _root(covariance: Array) -> Array:
    """R with R R' = covariance, also where that has no inverse."""
    values, vectors = np.linalg.eigh(covariance)
    return vectors * np.sqrt(np.clip(values, 0, None))  # rounding may leave one below 0
