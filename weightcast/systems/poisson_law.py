"""Independent Poisson counts: the law of molecules that come at constant rates, and each go their own way."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.linalg import expm
from scipy.stats import poisson

from weightcast.core.seeds import derive_seed
from weightcast.systems.exact_law import Array, checked_number, checked_time, checked_values


@dataclass(frozen=True, eq=False)
class PoissonLaw:
    """The law of a monomolecular system that starts empty.

    Counts are independent Poisson variables at every time, with the means m of

        dm/dt = sources + moves m,    m(0) = 0

    (T. Jahnke and W. Huisinga, J. Math. Biol. 54 (2007) 1).

    Attributes:
        sources: [species], molecules that come per unit of time.
        moves: [species, species]: per molecule of the second, what the first gains per unit of time; below 0 on the
            diagonal.
    """

    sources: Array
    moves: Array

    def mean(self, time: float) -> Array:
        """As `ExactLaw.mean`."""
        size = len(self.sources)
        both = np.zeros((size + 1, size + 1))  # the last one is constantly 1
        both[:size, :size], both[:size, size] = self.moves, self.sources
        found: Array = expm(both * checked_time(time))[:size, size].clip(0)  # rounding may leave one below 0
        return found

    def variance(self, time: float) -> Array:
        """As `ExactLaw.variance`."""
        return self.mean(time)

    def log_prob(self, values: ArrayLike, time: float) -> Array:
        """As `ExactLaw.log_prob`: log probability of counts; minus infinity for what is no count."""
        found: Array = poisson.logpmf(checked_values(values, len(self.sources)), self.mean(time)).sum(axis=1)
        return found

    def exceedance(self, threshold: float, time: float) -> Array:
        """As `ExactLaw.exceedance`."""
        found: Array = poisson.sf(threshold, self.mean(time))
        return found

    def sample(self, time: float, number: int, seed: int) -> Array:
        """As `ExactLaw.sample`."""
        random = np.random.default_rng(derive_seed(seed, "poisson-law"))
        mean = self.mean(time)
        drawn: Array = random.poisson(mean, (checked_number(number), len(mean))).astype(np.float64)
        return drawn
