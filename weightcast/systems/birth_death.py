"""Births at a constant rate, and deaths of each molecule: the law is known at every time.

    0 -> X    birth
    X -> 0    death X

Molecules neither meet nor multiply, so each has a fate of its own. Of those at the start each is still there at time t
with probability exp(-death t): a binomial number. Those born since and still there are a Poisson number with the mean
birth (1 - exp(-death t)) / death. The two are independent, and the count is their sum (T. Jahnke and W. Huisinga, J.
Math. Biol. 54 (2007) 1: the law of every monomolecular system is a convolution of multinomial and Poisson laws). In the
long run the count is a Poisson variable with the mean birth / death.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import logsumexp
from scipy.stats import binom, poisson

from weightcast.core.seeds import derive_seed
from weightcast.systems.exact_law import Array, checked_number, checked_time, checked_values
from weightcast.systems.jump_process import JumpProcess

SPECIES = ("X",)
_CHANGES = [(1,), (-1,)]


@dataclass(frozen=True)
class BirthDeathLaw:
    """The law of the count of molecules.

    Attributes:
        birth: molecules per unit of time, at least 0.
        death: rate per molecule, above 0.
        molecules: at time 0.
    """

    birth: float
    death: float
    molecules: int

    def mean(self, time: float) -> Array:
        """As `ExactLaw.mean`: [1]."""
        survival, born = self._parts(time)
        return np.array([self.molecules * survival + born])

    def variance(self, time: float) -> Array:
        """As `ExactLaw.variance`: [1]."""
        survival, born = self._parts(time)
        return np.array([self.molecules * survival * (1 - survival) + born])

    def log_prob(self, values: ArrayLike, time: float) -> Array:
        """As `ExactLaw.log_prob`: log probability of counts [sample, 1]; minus infinity for what is no count."""
        survival, born = self._parts(time)
        counts, place = np.unique(checked_values(values, 1)[:, 0], return_inverse=True)
        left = np.arange(self.molecules + 1)  # of those at the start
        terms = binom.logpmf(left, self.molecules, survival) + poisson.logpmf(counts[:, None] - left, born)
        found: Array = logsumexp(terms, axis=1)[place]
        return found

    def exceedance(self, threshold: float, time: float) -> Array:
        """As `ExactLaw.exceedance`: [1]."""
        survival, born = self._parts(time)
        left = np.arange(self.molecules + 1)
        return np.array([binom.pmf(left, self.molecules, survival) @ poisson.sf(threshold - left, born)])

    def sample(self, time: float, number: int, seed: int) -> Array:
        """As `ExactLaw.sample`: [sample, 1]."""
        survival, born = self._parts(time)
        random = np.random.default_rng(derive_seed(seed, "birth-death-law"))
        left = random.binomial(self.molecules, survival, size=(checked_number(number), 1))
        drawn: Array = (left + random.poisson(born, size=left.shape)).astype(np.float64)
        return drawn

    def _parts(self, time: float) -> tuple[float, float]:
        """The probability that a molecule of the start is there, and the mean number of those born since."""
        lived = -self.death * checked_time(time)
        return float(np.exp(lived)), float(self.birth * -np.expm1(lived) / self.death)


def birth_death(*, birth: float = 8.0, death: float = 0.8, molecules: int = 30, horizon: float = 5.0) -> JumpProcess:
    """Births and deaths, by default from three times as many molecules as there are in the long run.

    Args:
        birth: molecules per unit of time; 0 for deaths alone.
        death: rate per molecule.
        molecules: at the start.
        horizon: in units of time.
    """

    def rates(counts: NDArray[np.int64], time: NDArray[np.float64]) -> NDArray[np.float64]:
        rates = np.empty((len(counts), len(_CHANGES)))
        rates[:, 0] = birth
        rates[:, 1] = death * counts[:, 0]
        return rates

    law = BirthDeathLaw(birth, death, molecules)
    return JumpProcess("birth-death", SPECIES, (molecules,), np.array(_CHANGES, np.int64), rates, horizon, law=law)
