"""The D2Q9 lattice: nine velocities in the plane, their weights, and its linear collision.

Y. H. Qian, D. d'Humieres and P. Lallemand, Lattice BGK models for Navier-Stokes equation, Europhys. Lett. 17
(1992) 479.
Equilibrium for incompressible flow (reference density 1, so that momentum is velocity): X. He and L.-S. Luo, Lattice
Boltzmann model for the incompressible Navier-Stokes equation, J. Stat. Phys. 88 (1997) 927:

    f_eq = w (rho + 3 c.u + 9/2 (c.u)^2 - 3/2 u.u)

Populations are stored as deviations from fluid at rest, f - w; rho is the deviation of the density from 1, and the
pressure is rho / 3.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

VELOCITIES = np.array([(0, 0), (1, 0), (0, 1), (-1, 0), (0, -1), (1, 1), (-1, 1), (-1, -1), (1, -1)])
"""[population, (x, y)], in cells per step."""
WEIGHTS = np.array([4 / 9] + [1 / 9] * 4 + [1 / 36] * 4)
SOUND_SPEED = 1 / np.sqrt(3)

INDEX = {(int(x), int(y)): index for index, (x, y) in enumerate(VELOCITIES)}
"""From a velocity (x, y) to its population."""
OPPOSITE = np.array([INDEX[-int(x), -int(y)] for x, y in VELOCITIES])


def equilibrium(density: ArrayLike, velocity_x: ArrayLike, velocity_y: ArrayLike) -> NDArray[np.float64]:
    """Equilibrium populations, [population, ...], for fields of any one shape."""
    rho, u, v = np.broadcast_arrays(*(np.asarray(field, np.float64) for field in (density, velocity_x, velocity_y)))
    along = np.tensordot(VELOCITIES, np.stack([u, v]), axes=1)
    weights = WEIGHTS.reshape(-1, *(1,) * rho.ndim)
    return weights * (rho + 3 * along + 4.5 * along**2 - 1.5 * (u**2 + v**2))


def collision_matrix(viscosity: float, odd_rate: float = 1.0, bulk_rate: float = 1.0) -> NDArray[np.float64]:
    """A collision as one matrix [9, 12]: (9 populations, u^2, v^2, u v) -> 9 populations after the collision.

    Every moment relaxes towards its equilibrium at a rate of its own (multiple relaxation times), in the basis of
    Hermite polynomials, which are orthogonal under the weights: Hxx - Hyy and Hxy at the rate that the viscosity asks
    for, Hxx + Hyy at `bulk_rate`, and what the Navier-Stokes equations do not see, the third moments and the fourth, at
    `odd_rate` and 1. Rates of 1 forget them at every step, as regularised collisions do (J. Latt and B. Chopard,
    Lattice Boltzmann method with regularized pre-collision distribution functions, Math. Comput. Simul. 72 (2006) 165).
    That is stable where a coarse grid meets a high Reynolds number; two relaxation times with the usual magic number
    are not (at viscosity 0.003 and velocity 0.07 they blow up). A bulk rate of 1 damps sound and leaves incompressible
    flow alone.

    Args:
        viscosity: kinematic, in cells^2 per step.
        odd_rate: of the third moments, between 0 and 2.
        bulk_rate: between 0 and 2; the bulk viscosity is (1 / bulk_rate - 1/2) / 3.
    """
    shear_rate = 1 / (3 * viscosity + 0.5)
    x, y = VELOCITIES.T.astype(np.float64)
    xx, yy = x**2 - 1 / 3, y**2 - 1 / 3
    matrix = np.concatenate([np.eye(9), np.zeros((9, 3))], axis=1)
    moments = (  # polynomial, rate, its equilibrium as combination of u^2, v^2 and u v
        (xx - yy, shear_rate, (1, -1, 0)),
        (x * y, shear_rate, (0, 0, 1)),
        (xx + yy, bulk_rate, (1, 1, 0)),
        (xx * y, odd_rate, (0, 0, 0)),
        (x * yy, odd_rate, (0, 0, 0)),
        (xx * yy, 1.0, (0, 0, 0)),
    )
    for polynomial, rate, target in moments:
        shape = WEIGHTS * polynomial / (WEIGHTS * polynomial**2).sum()
        matrix += rate * np.outer(shape, np.concatenate([-polynomial, target]))
    return matrix
