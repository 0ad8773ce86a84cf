"""Ecological evolution: a population that walks over a fitness landscape of two loci with 100 alleles each.

Selection is strong and mutation weak: a new mutant either takes over the whole population or dies out before the next
one comes, so that the state is one pair of alleles (J. H. Gillespie, Theor. Popul. Biol. 23 (1983) 202). A mutation
moves one locus to a neighbouring allele; there are no alleles beyond 0 and 99. The population of N individuals gets
N mutation mutants of each kind per unit of time, and each takes over with Kimura's probability
2 s / (1 - exp(-2 N s)) (M. Kimura, Genetics 47 (1962) 713), s being the difference in `fitness`:

    jumps to a neighbour per unit of time = mutation 2 N s / (1 - exp(-2 N s))        (mutation where s = 0)

The walk is reversible: in the long run a pair of alleles has a probability proportional to exp(2 N fitness) (G. Sella
and A. E. Hirsh, Proc. Natl. Acad. Sci. 102 (2005) 9541).

The simulator behind the published figures of WeightFlow (arXiv 2508.00451) is not available. This one keeps its shape:
100 alleles at either locus and three peaks, the highest at (51, 44), lower ones at (24, 44) and (46, 18); 2 N fitness
is 15.1, 9.2 and 10.8 there. From (20, 20) nine walks in ten come to one of the lower peaks first, and leave it over
a saddle 0.5 or 1.0 lower. By the master equation, within 12 alleles of the highest and the two lower peaks are 4, 29
and 23 % of the probability at time 10, 58, 16 and 18 % at time 50, 85, 4 and 8 % at time 100, and 97, 0.4 and 1.6 % in
the long run.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weightcast.core.errors import InputError
from weightcast.systems.jump_process import JumpProcess

ALLELES = 100
SPECIES = ("first", "second")
PEAKS = ((51, 44, 1.0, 12.0), (22, 44, 0.55, 9.0), (46, 16, 0.65, 9.0))
"""Position at either locus, relative height and width (standard deviation, in alleles) of the Gaussian peaks. They
overlap, so that the maxima of the lower two are two alleles nearer to the highest: at (24, 44) and (46, 18)."""
_CHANGES = [(1, 0), (-1, 0), (0, 1), (0, -1)]


def fitness(first: ArrayLike, second: ArrayLike, advantage: float = 0.0075) -> NDArray[np.float64]:
    """Logarithm of the fitness of pairs of alleles, as growth per generation.

    Args:
        first: alleles of the first locus, 0 to 99.
        second: alleles of the second locus; its shape and that of `first` are broadcast.
        advantage: of the highest peak over where there is none.

    Returns:
        The shape of `first` and `second` together. `fitness(np.arange(100)[:, None], np.arange(100))` is the whole
        landscape, [first, second].
    """
    first, second = np.asarray(first, np.float64), np.asarray(second, np.float64)
    peaks = (
        height * np.exp(-((first - at_first) ** 2 + (second - at_second) ** 2) / (2 * width**2))
        for at_first, at_second, height, width in PEAKS
    )
    return advantage * np.asarray(sum(peaks), np.float64)


def ecology(
    *,
    mutation: float = 5.0,
    population: int = 1000,
    advantage: float = 0.0075,
    first: int = 20,
    second: int = 20,
    horizon: float = 100.0,
) -> JumpProcess:
    """The walk on the landscape.

    Args:
        mutation: mutations of an individual per unit of time and kind. With a unit of time of a million generations,
            the default is 5e-6 per generation.
        population: individuals.
        advantage: of the highest peak, see `fitness`.
        first: allele of the first locus at the start.
        second: allele of the second locus at the start.
        horizon: in units of time.

    Raises:
        InputError: an allele that does not exist.
    """
    for locus, allele in (("first", first), ("second", second)):
        if not 0 <= allele < ALLELES:
            raise InputError(
                f"settings of ecology: {locus}: found {allele}, expected an allele from 0 to {ALLELES - 1}"
            )
    table = _rate_table(mutation, population, advantage)

    def rates(counts: NDArray[np.int64], time: NDArray[np.float64]) -> NDArray[np.float64]:
        return table[counts[:, 0], counts[:, 1]]

    return JumpProcess("ecology", SPECIES, (first, second), np.array(_CHANGES, np.int64), rates, horizon)


def _rate_table(mutation: float, population: int, advantage: float) -> NDArray[np.float64]:
    """[first, second, reaction]: rates of the jumps from every pair of alleles."""
    alleles = np.arange(ALLELES)
    first, second = alleles[:, None], alleles[None, :]
    here = fitness(first, second, advantage)
    table = np.empty((ALLELES, ALLELES, len(_CHANGES)))
    for reaction, (step_first, step_second) in enumerate(_CHANGES):
        there = fitness(first + step_first, second + step_second, advantage)
        scaled = 2 * population * (there - here)
        neutral = scaled == 0
        with np.errstate(over="ignore"):  # a hopeless mutant: the rate is 0
            gain = np.where(neutral, 1, scaled / -np.expm1(-np.where(neutral, 1, scaled)))
        exists = np.isin(first + step_first, alleles) & np.isin(second + step_second, alleles)
        table[..., reaction] = mutation * np.where(exists, gain, 0)
    return table
