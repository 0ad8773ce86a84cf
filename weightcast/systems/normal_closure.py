"""Means and covariances of a jump process, as if its counts were normal at every time: moment closure.

The master equation gives the motion of the first two moments of counts x with reactions r that change them by s_r at
rates a_r(x):

    d E[x] / dt   = sum_r s_r E[a_r]
    d Cov[x] / dt = sum_r s_r Cov(a_r, x)' + Cov(a_r, x) s_r' + s_r s_r' E[a_r]

Where rates are not linear, E[a_r] and Cov(a_r, x) need further moments. Here they are those of a normal law of the same
mean and covariance (P. Whittle, J. R. Stat. Soc. B 19 (1957) 268), by the cubature rule of third degree, two points a
dimension (I. Arasaratnam and S. Haykin, IEEE Trans. Autom. Control 54 (2009) 1254), which is exact for rates up to
quadratic ones. For linear rates nothing is closed, and the moments are exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.integrate import solve_ivp

from weightcast.systems.jump_process import JumpProcess
from weightcast.systems.times import checked_times

Array = NDArray[np.float64]
RELATIVE, ABSOLUTE = 1e-5, 1e-6
"""Errors of the integration, the second in counts and their squares."""


def normal_moments(process: JumpProcess, times: NDArray[np.float64]) -> tuple[Array, Array]:
    """Means and covariances of the counts.

    Args:
        process: whose rates are given for counts that are not whole, too.
        times: [time], at least 0 and ascending, in the units of the rates.

    Returns:
        Means [time, species] and covariances [time, species, species]; not a number from where the equations have no
        solution any more, which may happen to rates that are not linear.

    Raises:
        InputError: times that cannot be used.
    """
    times = checked_times(times)
    species = len(process.species)
    changes = process.changes.astype(np.float64)  # [reaction, species]
    directions = np.sqrt(species) * np.concatenate([np.eye(species), -np.eye(species)])  # [point, species]

    def motion(time: float, moments: Array) -> Array:
        mean, covariance = moments[:species], moments[species:].reshape(species, species)
        values, vectors = np.linalg.eigh((covariance + covariance.T) / 2)
        apart = directions @ (vectors * np.sqrt(values.clip(0))).T
        points: Any = mean + apart  # not whole: the rates are asked for what is between counts
        rates = process.rates(points, np.full(len(points), time))
        expected = rates.mean(0)
        together = changes.T @ (rates.T @ apart / len(points))
        spread = together + together.T + (changes.T * expected) @ changes
        return np.concatenate([changes.T @ expected, spread.ravel()])

    start = np.concatenate([np.array(process.initial, np.float64), np.zeros(species**2)])
    found = np.full((len(times), len(start)), np.nan)
    found[times == 0] = start
    later = times > 0
    if later.any():
        with np.errstate(all="ignore"):  # what overflows is not a number, and said to be none
            try:
                solved = solve_ivp(
                    motion, (0, times[-1]), start, "LSODA", np.unique(times[later]), rtol=RELATIVE, atol=ABSOLUTE
                )
            except np.linalg.LinAlgError:  # moments that are not finite
                return found[:, :species], found[:, species:].reshape(-1, species, species)
        reached = np.searchsorted(solved.t, times[later])
        known = reached < len(solved.t)
        found[np.flatnonzero(later)[known]] = solved.y.T[reached[known]]
    return found[:, :species], found[:, species:].reshape(-1, species, species)
