"""Two intracellular signalling cascades: molecules are passed down a chain of species, and lost on the way.

    0 -> X1           production
    X_i -> X_i+1      linear: transfer x_i; saturating: base + maximum x_i / (half + x_i) where x_i > 0
    X_i -> 0          decay x_i

The last species only decays. The chain starts empty. The model is that of A. Gupta, C. Schwab and M. Khammash, DeepCME,
PLoS Comput. Biol. 17 (2021) e1009623, in the form, with transfer instead of catalysis, of Y. Tang, J. Weng and
P. Zhang, Neural-network solutions to stochastic reaction networks, Nat. Mach. Intell. 5 (2023) 376.

In the linear cascade molecules move independently of each other, so that at every time the counts are independent
Poisson variables, whose means follow dm_1/dt = production - (transfer + decay) m_1 and so on: `JumpProcess.law`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.systems.jump_process import JumpProcess
from weightcast.systems.poisson_law import PoissonLaw

Transfer = Callable[[NDArray[np.int64]], NDArray[np.floating[Any]]]


def linear_cascade(
    *, production: float = 10.0, transfer: float = 5.0, decay: float = 1.0, species: int = 15, horizon: float = 10.0
) -> JumpProcess:
    """Signalling cascade 1.

    Args:
        production: molecules of the first species per unit of time.
        transfer: rate per molecule.
        decay: rate per molecule.
        species: length of the chain.
        horizon: in units of time.

    Raises:
        InputError: a chain without species.
    """
    process = _cascade("cascade-1", production, lambda counts: transfer * counts, decay, species, horizon)
    leaving = np.append(np.full(species - 1, transfer + decay), decay)
    moves = np.diag(np.full(species - 1, transfer), -1) - np.diag(leaving)
    return replace(process, law=PoissonLaw(production * np.eye(species)[0], moves))


def saturating_cascade(
    *,
    production: float = 20 / 3,
    base: float = 2 / 3,
    maximum: float = 200 / 3,
    half: float = 200 / 3,
    decay: float = 0.1,
    species: int = 15,
    horizon: float = 25.0,
) -> JumpProcess:
    """Signalling cascade 2, whose transfer saturates.

    The default constants are those published for 15 species: the original ones (production 10, base 1, maximum 100,
    half 10, decay 1) with production, base and maximum divided by 1.5, half set to 100 / 1.5, and decay to 0.1. The
    publication then measures time in units 25 times longer (all rates times 25, horizon 1); here time is not rescaled,
    so the same process has horizon 25. With the original constants the front runs through the chain within 2 units of
    time and nothing changes afterwards; with these it reaches the last species at about time 15, the distribution
    moves until the end, and counts hardly ever reach 32.

    Args:
        production: molecules of the first species per unit of time.
        base: rate of transfer however many molecules there are.
        maximum: of the rate of transfer on top of `base`.
        half: the count at which half of `maximum` is reached.
        decay: rate per molecule.
        species: length of the chain.
        horizon: in units of time.

    Raises:
        InputError: a chain without species.
    """

    def transfer(counts: NDArray[np.int64]) -> NDArray[np.floating[Any]]:
        return (base + maximum * counts / (half + counts)) * (counts > 0)

    return _cascade("cascade-2", production, transfer, decay, species, horizon)


def _cascade(
    name: str, production: float, transfer: Transfer, decay: float, species: int, horizon: float
) -> JumpProcess:
    """Reactions: production, the transfers in order, the decays in order."""
    if species < 1:
        raise InputError(f"settings of {name}: species: found {species}, expected at least 1")
    one_of_each = np.eye(species, dtype=np.int64)
    changes = np.vstack([one_of_each[:1], one_of_each[1:] - one_of_each[:-1], -one_of_each])

    def rates(counts: NDArray[np.int64], time: NDArray[np.float64]) -> NDArray[np.float64]:
        rates = np.empty((len(counts), 2 * species))
        rates[:, 0] = production
        rates[:, 1:species] = transfer(counts[:, :-1])
        rates[:, species:] = decay * counts
        return rates

    names = tuple(f"X{number}" for number in range(1, species + 1))
    return JumpProcess(name, names, (0,) * species, changes, rates, horizon)
