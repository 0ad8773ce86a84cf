"""How large populations of many environments become: curves of log mass, their spread, and those of a new one.

The logarithm of an environment's mass, over that at its first time, is a curve y(t) = b(t) beta of few coefficients: a
natural cubic spline that is 0 at the first time of all. Coefficients of environments are taken for normal around what
their codes say, a polynomial of first or second degree. Of a new environment the coefficients are those of that
distribution, given the code and the masses that were shown: the rule for normal distributions, exact, without any
training. So both the laws' motion, by the code, and the sizes themselves say how a population grows on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from weightcast.core.errors import InputError

Array = NDArray[np.float64]
MOST_KNOTS = 5
"""Of a curve: two snapshots of a new environment do not tell more."""
ROUGH = 1e-3
"""Variance of log masses that curves of so few coefficients need not explain, at least."""
RIDGES = (1e-3, 1e-2, 1e-1, 1.0, 10.0)
"""Candidates of the ridge of the regression on codes, of which leaving each environment out chooses."""


@dataclass(frozen=True)
class MassCurves:
    """What curves of log mass are like.

    Attributes:
        knots: of the spline [knot], increasing, in the data's unit; the first is the first time of all.
        regression: coefficients on 1, the numbers of a code and, of second degree, their products [feature,
            coefficient].
        covariance: of what codes leave open [coefficient, coefficient].
        noise: variance of a log mass around its curve.
    """

    knots: Array
    regression: Array
    covariance: Array
    noise: float

    @classmethod
    def fit(cls, masses: Sequence[tuple[Array, Array]], codes: Array) -> MassCurves:
        """Fit the distribution to the visible environments.

        Args:
            masses: times [time], increasing, and masses there, of each environment.
            codes: of each [environment, number].

        Raises:
            InputError: no environment has two times.
        """
        told = [place for place, (times, _) in enumerate(masses) if len(times) > 1]
        if not told:
            raise InputError("data.mass: found no visible environment with two times, expected one or more")
        every = np.unique(np.concatenate([masses[place][0] for place in told]))
        count = min(MOST_KNOTS, len(every), max(len(masses[place][0]) for place in told))
        knots = np.quantile(every, np.linspace(0, 1, max(2, count)))
        designs = [_increments(knots, masses[place][0]) for place in told]
        grown = [np.log(masses[place][1][1:] / masses[place][1][0]) for place in told]
        # What an environment's own times do not tell is kept small: few times leave a spline free.
        held = ROUGH * np.eye(len(knots) - 1)
        rows = [
            np.linalg.solve(design.T @ design + held, design.T @ wanted)
            for design, wanted in zip(designs, grown, strict=True)
        ]
        coefficients = np.array(rows)
        found = [_regressed(_features(codes[told], degree), coefficients) for degree in (1, 2)]
        regression, residuals = min(found, key=lambda one: float(np.square(one[1]).sum()))
        covariance = residuals.T @ residuals / len(told)
        left = np.concatenate(
            [wanted - design @ own for design, wanted, own in zip(designs, grown, coefficients, strict=True)]
        )
        # Each environment's own coefficients took as much of the noise with them as there are of them.
        free = len(left) - sum(min(design.shape) for design in designs)
        noise = max(ROUGH**2, float(np.square(left).sum()) / max(free, 1))
        return cls(knots, regression, covariance + noise * np.eye(covariance.shape[0]), noise)

    def log_growth(
        self,
        codes: Array,
        times: Sequence[float] | Array,
        since: float,
        shown: Mapping[float, float] | None = None,
        draws: Array | None = None,
    ) -> Array:
        """The logarithm of the mass, over that at a time.

        Args:
            codes: [draw, number].
            times: wanted [time], in the data's unit.
            since: the time whose mass is 1.
            shown: masses by time; two or more say something of the growth.
            draws: standard normal numbers [draw, coefficient], of which curves are drawn; None: the most probable ones.

        Returns:
            [draw, time].
        """
        degree = 1 if len(self.regression) == 1 + codes.shape[1] else 2
        mean = _features(codes, degree) @ self.regression  # [draw, coefficient]
        covariance, shown = self.covariance, shown or {}
        known = sorted(shown)
        if len(known) > 1:
            design = _increments(self.knots, np.array(known))
            wanted = np.log([shown[time] / shown[known[0]] for time in known[1:]])
            # The first mass has a noise of its own, which all increments share.
            noise = self.noise * (np.eye(len(wanted)) + 1.0)
            gain = covariance @ design.T @ np.linalg.inv(design @ covariance @ design.T + noise)
            mean = mean + (wanted - mean @ design.T) @ gain.T
            covariance = covariance - gain @ design @ covariance
        if draws is not None:
            values, vectors = np.linalg.eigh(0.5 * (covariance + covariance.T))
            mean = mean + draws @ (vectors * np.sqrt(values.clip(min=0.0))).T
        basis = _basis(self.knots, np.asarray(times, dtype=np.float64))
        found: Array = mean @ (basis - _basis(self.knots, np.array([since]))).T
        return found

    @property
    def coefficients(self) -> int:
        """Numbers of a curve."""
        return len(self.covariance)

    def describe(self) -> dict[str, Any]:
        """JSON values to build it again from."""
        return {
            "knots": self.knots.tolist(),
            "regression": self.regression.tolist(),
            "covariance": self.covariance.tolist(),
            "noise": self.noise,
        }

    @classmethod
    def described(cls, values: Mapping[str, Any]) -> MassCurves:
        """The inverse of :meth:`describe`.

        Raises:
            InputError: sizes do not fit, or a number is not finite.
        """
        knots, regression, covariance = (
            np.array(values[name], dtype=np.float64) for name in ("knots", "regression", "covariance")
        )
        count = len(knots) - 1
        fits = knots.ndim == 1 and count >= 1 and covariance.shape == (count, count)
        if not fits or regression.ndim != 2 or regression.shape[1] != count or (np.diff(knots) <= 0).any():
            raise InputError("masses: expected increasing knots, and a coefficient for each but the first")
        found = cls(knots, regression, covariance, float(values["noise"]))
        if not all(np.isfinite(part).all() for part in (knots, regression, covariance, found.noise)):
            raise InputError("masses: found a number that is not finite, expected finite numbers")
        return found


def constant_growth(shown: Mapping[float, float], times: Sequence[float] | Array) -> Array:
    """The logarithm of the mass over that at the first of the shown times [time], at the mean rate of these; 0 where
    one alone is shown."""
    known = sorted(shown)
    at = np.asarray(times, dtype=np.float64)
    if len(known) < 2:
        return np.zeros(len(at))
    rate = np.log(shown[known[-1]] / shown[known[0]]) / (known[-1] - known[0])
    return np.asarray(rate * (at - known[0]))


def _basis(knots: Array, times: Array) -> Array:
    """Natural splines that are 1 at a knot and 0 at all others, but for the first [time, knot - 1]; straight beyond."""
    values = np.eye(len(knots))[:, 1:]
    if len(knots) == 2:
        return ((times - knots[0]) / (knots[1] - knots[0]))[:, None]
    spline = CubicSpline(knots, values, bc_type="natural")
    inside = np.clip(times, knots[0], knots[-1])
    found: Array = spline(inside) + (times - inside)[:, None] * spline(inside, 1)
    return found


def _increments(knots: Array, times: Array) -> Array:
    """The basis at the later times less that at the first [time - 1, coefficient]."""
    basis = _basis(knots, times)
    return basis[1:] - basis[:1]


def _features(codes: Array, degree: int) -> Array:
    """1, the numbers of codes and, of second degree, their products [environment, feature]."""
    numbers = list(codes.T)
    products = [first * second for at, first in enumerate(numbers) for second in numbers[at:]] if degree > 1 else []
    return np.stack([np.ones(len(codes)), *numbers, *products], axis=1)


def _regressed(inputs: Array, wanted: Array) -> tuple[Array, Array]:
    """Coefficients [feature, output] of a ridge regression whose constant is not held back, and what it is off by at
    each point that it is fitted without [environment, output]."""
    best: tuple[Array, Array] | None = None
    for ridge in RIDGES:
        held = ridge * np.eye(inputs.shape[1])
        held[0, 0] = 0.0
        inverse = np.linalg.pinv(inputs.T @ inputs + held)
        found = inverse @ inputs.T @ wanted
        leverage = np.einsum("ni,ij,nj->n", inputs, inverse, inputs)
        residuals = (wanted - inputs @ found) / np.maximum(1.0 - leverage, 1e-3)[:, None]
        if best is None or np.square(residuals).sum() < np.square(best[1]).sum():
            best = found, residuals
    assert best is not None
    return best
