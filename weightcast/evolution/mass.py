"""The mass of a population over time: a smooth positive path through its sizes at the snapshots.

A density has mass 1 at every time. Where the population that it is of grows and dies, m(t) p(x, t) is what is there,
and m(t) a number of its own. The path is the natural cubic spline of log m through the snapshots: positive everywhere,
and of all paths through these sizes the one whose growth rate d(log m)/dt changes least, in the mean square of its
derivative (Holladay, Mathematical Tables and Other Aids to Computation 11, 1957). Between two snapshots alone the rate
is constant.

At a snapshot that was seen the mass is that of the data, to rounding: an error says something at the others alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from weightcast.core.errors import InputError
from weightcast.evolution.config.evaluation import PathInterpolation
from weightcast.evolution.interpolation import interpolate_weights

RELATIVE_DAMPING = 4.0
"""After the last snapshot growth comes to rest over so many lengths of the last interval, as the slowest of the trends
of a forecast does."""


@dataclass(frozen=True)
class MassPath:
    """Mass at any time from the first snapshot on, relative to that at the first.

    Attributes:
        times: of the snapshots [snapshot], increasing, in the data's unit.
        masses: sizes of the population at them [snapshot], in any unit.
    """

    times: NDArray[np.float64]
    masses: NDArray[np.float64]

    def relative(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mass at times [time], in that of the first snapshot.

        After the last snapshot growth goes on at its last rate and comes to rest, so that no population explodes.

        Args:
            times: from the first snapshot on [time].
        """
        inside = np.minimum(times, self.times[-1])
        rest = RELATIVE_DAMPING * float(self.times[-1] - self.times[-2])
        beyond = rest * -np.expm1(-(times - inside) / rest)
        return np.asarray(np.exp(self._spline(inside) + self._spline(self.times[-1], 1) * beyond))

    def rate(self, times: NDArray[np.float64]) -> NDArray[np.float64]:
        """Growth rate of the whole population, d(log m)/dt [time], by the data's unit of time."""
        inside = np.minimum(times, self.times[-1])
        rest = RELATIVE_DAMPING * float(self.times[-1] - self.times[-2])
        return np.asarray(self._spline(inside, 1) * np.exp(-(times - inside) / rest))

    def describe(self) -> dict[str, Any]:
        """JSON values to make it again from."""
        return {"times": self.times.tolist(), "masses": self.masses.tolist()}

    @classmethod
    def described(cls, values: Any) -> MassPath:
        """Make it again from what :meth:`describe` gave.

        Raises:
            InputError: there are not as many masses as times, fewer than two, times that do not increase, or masses
                that are not above 0.
        """
        times, masses = (np.array([float(value) for value in values[name]]) for name in ("times", "masses"))
        fits = len(times) == len(masses) >= 2 and bool((np.diff(times) > 0).all()) and bool((masses > 0).all())
        if not fits or not np.isfinite(masses).all():
            raise InputError("mass: expected a mass above 0 for each of two times or more, which increase")
        return cls(times, masses)

    @property
    def _spline(self) -> CubicSpline:
        return CubicSpline(self.times, np.log(self.masses / self.masses[0]), bc_type="natural")


def interpolated_mass(
    times: NDArray[np.float64], masses: NDArray[np.float64], at: NDArray[np.float64], kind: PathInterpolation
) -> NDArray[np.float64]:
    """Mass at times [time], in that of the first snapshot, as a curve through log masses of the kind of a baseline.

    Args:
        times: of the snapshots [snapshot].
        masses: at them [snapshot].
        at: times; outside of the snapshots' range the nearest one's mass is given.
        kind: of the curve.
    """
    logarithms = torch.from_numpy(np.log(masses / masses[0]))[:, None]
    return np.asarray(np.exp(interpolate_weights(times, logarithms, at, kind)[:, 0].numpy()))
