"""A genetic toggle switch: two genes, each of whose proteins switches the other gene off.

    Gx -> Gx + Px    production Gx                 Gy -> Gy + Py    production Gy
    Px -> 0          decay Px                      Py -> 0          decay Py
    2 Px + Gy -> bound    binding Px (Px - 1) Gy   2 Py + Gx -> bound    binding Py (Py - 1) Gx
    bound -> 2 Px + Gy    unbinding (1 - Gy)       bound -> 2 Py + Gx    unbinding (1 - Gx)

There is one gene of each kind: G is 1 while it is free and 0 while it is bound, so the bound genes need no count of
their own. Pairs of proteins are ordered: the rate has P (P - 1), not its half. The constants are those of Y. Tang,
J. Weng and P. Zhang, Neural-network solutions to stochastic reaction networks, Nat. Mach. Intell. 5 (2023) 376, and of
WeightFlow (arXiv 2508.00451).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weightcast.systems.jump_process import JumpProcess

SPECIES = ("Gx", "Gy", "Px", "Py")
INITIAL = (1, 1, 0, 0)
_CHANGES = [
    (0, 0, 1, 0),
    (0, 0, 0, 1),
    (0, 0, -1, 0),
    (0, 0, 0, -1),
    (0, -1, -2, 0),
    (-1, 0, 0, -2),
    (0, 1, 2, 0),
    (1, 0, 0, 2),
]


def toggle_switch(
    *,
    production: float = 50.0,
    decay: float = 1.0,
    binding: float = 1e-4,
    unbinding: float = 0.1,
    horizon: float = 40.0,
) -> JumpProcess:
    """The toggle switch, from free genes and no proteins.

    Args:
        production: proteins per unit of time from a free gene.
        decay: rate per protein.
        binding: rate per ordered pair of proteins and free gene.
        unbinding: rate per bound gene.
        horizon: in units of time.
    """

    def rates(counts: NDArray[np.int64], time: NDArray[np.float64]) -> NDArray[np.float64]:
        genes, proteins = counts[:, :2], counts[:, 2:]
        rates = np.empty((len(counts), len(_CHANGES)))
        rates[:, 0:2] = production * genes
        rates[:, 2:4] = decay * proteins
        rates[:, 4:6] = binding * (proteins * (proteins - 1) * genes[:, ::-1])
        rates[:, 6:8] = unbinding * (1 - genes[:, ::-1])
        return rates

    return JumpProcess("toggle-switch", SPECIES, INITIAL, np.array(_CHANGES, np.int64), rates, horizon)
