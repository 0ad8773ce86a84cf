"""An epidemic with a season, waning immunity and deaths, in a small population.

    S + I -> 2 I    infection (1 + season sin(2 pi t / period)) S I
    I -> R          recovery I
    R -> S          waning R
    S -> 0, I -> 0, R -> 0    susceptible_death S, infected_death I, recovered_death R

S are susceptible, I infected and R recovered people. Nobody is born, so the population only shrinks, and an epidemic
without infected people never comes back. The constants are those of the epidemic of Y. Tang, J. Weng and P. Zhang,
Neural-network solutions to stochastic reaction networks, Nat. Mach. Intell. 5 (2023) 376, and of WeightFlow
(arXiv 2508.00451).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weightcast.systems.jump_process import JumpProcess

SPECIES = ("S", "I", "R")
_CHANGES = [(-1, 1, 0), (0, -1, 1), (1, 0, -1), (-1, 0, 0), (0, -1, 0), (0, 0, -1)]


def epidemic(
    *,
    infection: float = 0.003,
    season: float = 0.2,
    period: float = 6.0,
    recovery: float = 0.02,
    waning: float = 0.007,
    susceptible_death: float = 0.002,
    infected_death: float = 0.05,
    recovered_death: float = 0.002,
    susceptible: int = 50,
    infected: int = 10,
    recovered: int = 0,
    horizon: float = 50.0,
) -> JumpProcess:
    """The epidemic.

    Args:
        infection: rate per pair of a susceptible and an infected person, in the mean over a season.
        season: amplitude of the season, as a part of `infection`; at most 1.
        period: of the season, in units of time.
        recovery: rate per infected person.
        waning: rate at which a recovered person loses immunity.
        susceptible_death: rate per susceptible person.
        infected_death: rate per infected person.
        recovered_death: rate per recovered person.
        susceptible: people at the start.
        infected: people at the start.
        recovered: people at the start.
        horizon: in units of time.
    """
    per_head = np.array([recovery, waning, susceptible_death, infected_death, recovered_death])
    whose = [1, 2, 0, 1, 2]  # species that these rates belong to

    def rates_at(counts: NDArray[np.int64], strength: NDArray[np.float64] | float) -> NDArray[np.float64]:
        rates = np.empty((len(counts), len(_CHANGES)))
        rates[:, 0] = infection * strength * (counts[:, 0] * counts[:, 1])
        rates[:, 1:] = per_head * counts[:, whose]
        return rates

    def rates(counts: NDArray[np.int64], time: NDArray[np.float64]) -> NDArray[np.float64]:
        return rates_at(counts, 1 + season * np.sin(2 * np.pi / period * time))

    def rate_bound(counts: NDArray[np.int64], time: NDArray[np.float64]) -> NDArray[np.float64]:
        return rates_at(counts, 1 + season)

    initial = (susceptible, infected, recovered)
    return JumpProcess("epidemic", SPECIES, initial, np.array(_CHANGES, np.int64), rates, horizon, rate_bound)
