"""Fourth-order exponential time differencing for stiff equations u_t = L u + N(u) with a diagonal L.

S. M. Cox and P. C. Matthews, Exponential time differencing for stiff systems, J. Comput. Phys. 176 (2002) 430-455; the
coefficients by contour integrals after A.-K. Kassam and L. N. Trefethen, Fourth-order time-stepping for stiff PDEs,
SIAM J. Sci. Comput. 26 (2005) 1214-1233.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Field = NDArray[np.floating | np.complexfloating]

_CONTOUR_POINTS = 32


class ETDRK4:
    """One step of fixed length, for a state of any shape [..., mode].

    Args:
        linear: L, real or complex, of a shape that broadcasts against the state's: leading axes may hold one L per
            environment.
        nonlinear: N, from a state to its rate of change, of the same shape.
        step: length of the time step.
    """

    def __init__(self, linear: Field, nonlinear: Callable[[Field], Field], step: float) -> None:
        self.nonlinear = nonlinear
        self.step = step
        exponent = step * np.asarray(linear)
        self._decay = np.exp(exponent)
        self._half_decay = np.exp(exponent / 2)
        half, first, middle, last = _phi_combinations(exponent)
        self._half = step * half
        self._first = step * first
        self._middle = 2 * step * middle
        self._last = step * last

    def advance(self, state: Field) -> Field:
        """The state one step later."""
        rate = self.nonlinear(state)
        decayed = self._half_decay * state
        half_a = decayed + self._half * rate
        rate_a = self.nonlinear(half_a)
        rate_b = self.nonlinear(decayed + self._half * rate_a)
        rate_c = self.nonlinear(self._half_decay * half_a + self._half * (2 * rate_b - rate))
        return self._decay * state + self._first * rate + self._middle * (rate_a + rate_b) + self._last * rate_c


def _phi_combinations(exponent: Field) -> tuple[Field, Field, Field, Field]:
    """The scheme's coefficients over the step length, as functions of z = step * L.

    Written out they are (e^(z/2) - 1) / z and fractions over z^3, which lose all digits to cancellation as z goes to 0.
    They are analytic, so each equals its mean over a circle around z (Cauchy), where no point lies close to 0.
    """
    sums = [np.zeros(exponent.shape, np.complex128) for _ in range(4)]
    angles = 2 * np.pi * (np.arange(_CONTOUR_POINTS) + 0.5) / _CONTOUR_POINTS
    for point in np.exp(1j * angles):
        z = exponent + point
        e = np.exp(z)
        sums[0] += (np.exp(z / 2) - 1) / z
        sums[1] += (-4 - z + e * (4 - 3 * z + z**2)) / z**3
        sums[2] += (2 + z + e * (z - 2)) / z**3
        sums[3] += (-4 - 3 * z - z**2 + e * (4 - z)) / z**3
    half, first, middle, last = (total / _CONTOUR_POINTS for total in sums)
    if np.isrealobj(exponent):
        return half.real, first.real, middle.real, last.real
    return half, first, middle, last
