"""Whoever knows the equations: rate constants of one environment, fitted to its shown samples alone.

All constants are known but those in which the environments of a study differ. These are sought where the shown samples
are likeliest: exactly, where theory knows the law at every time (:mod:`weightcast.systems.exact_law`); else under a
normal law with the moments of moment closure (:mod:`weightcast.systems.normal_closure`), to whose variances 1/12 is
added for counts being whole (W. F. Sheppard, Proc. Lond. Math. Soc. 29 (1897) 353). There is no prior.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.linalg import solve_triangular
from scipy.optimize import minimize

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.families.config.opponents import RateFitSettings
from weightcast.families.snapshots import Samples
from weightcast.systems.jump_process import JumpProcess
from weightcast.systems.normal_closure import normal_moments
from weightcast.systems.stochastic import StochasticProcess, build_stochastic_system, system_settings

Array = NDArray[np.float64]
REACH = 5.0
"""How far constants are sought from the middle of the visible range, in halves of it."""
FIRST = 0.6
"""How far from the middle the places lie that searches may start from."""
STEP = 0.4
"""First step of a search along each constant."""
WHOLE = 1 / 12
"""Variance of what whole numbers leave out."""
UNLIKELY = 1e12
"""Stands for a negative log-likelihood that is infinite or unknown, which a search cannot compare."""


@dataclass(frozen=True)
class Constants:
    """The constants of a system in which the environments of a study differ.

    A search sees them by places, 0 in the middle of the visible range and 1 and -1 at its ends, in logarithms where a
    constant is positive.

    Attributes:
        system: name.
        shared: constants that all environments have in common.
        names: of those that are sought.
        told: names of those that differ as well, but count something, as molecules at the start: they are told.
        logarithmic: whether the places of each are in logarithms.
        middle, half: of the visible range, of each.
    """

    system: str
    shared: Mapping[str, Any]
    names: tuple[str, ...]
    told: tuple[str, ...]
    logarithmic: tuple[bool, ...]
    middle: Array
    half: Array

    @classmethod
    def of(cls, system: str, shared: Mapping[str, Any], table: EnvironmentTable) -> Constants:
        """Those that the table of a study has.

        Raises:
            InputError: all of its parameters count something, or there are none: nothing to seek.
        """
        known = system_settings(system)
        names = tuple(name for name in table.parameter_names if not known[name].whole)
        told = tuple(name for name in table.parameter_names if known[name].whole)
        if not names:
            raise InputError(
                f"{table.path}: found no column of a rate constant of {system}, expected one for opponents.rate_fit"
            )
        visible = np.array([[environment.parameters[name] for name in names] for environment in table.visible])
        logarithmic = tuple(
            bool(known[name].bounds.lowest >= 0 and np.isinf(known[name].bounds.highest) and values.min() > 0)
            for name, values in zip(names, visible.T, strict=True)
        )
        even = np.where(logarithmic, np.log(np.where(logarithmic, visible, 1.0)), visible)
        half = np.ptp(even, axis=0) / 2
        # A constant that never varies says nothing of how far another environment's may lie.
        half = np.where(half > 0, half, np.where(logarithmic, 0.5, 0.5 * np.maximum(np.abs(even[0]), 1.0)))
        return cls(system, shared, names, told, logarithmic, (even.max(0) + even.min(0)) / 2, half)

    def at(self, place: Array) -> dict[str, float]:
        """The constants at a place [constant], within the system's bounds."""
        found = {}
        for name, even, logarithmic in zip(self.names, self.middle + self.half * place, self.logarithmic, strict=True):
            bounds = system_settings(self.system)[name].bounds
            room = 1e-6 * (bounds.highest - bounds.lowest) if bounds.open and np.isfinite(bounds.highest) else 0.0
            value = float(np.exp(even)) if logarithmic else float(even)
            found[name] = float(np.clip(value, bounds.lowest + room, bounds.highest - room))
        return found

    def process(self, found: Mapping[str, float], told: Mapping[str, float]) -> StochasticProcess:
        """The system with these constants, and with those that are told of an environment's parameters."""
        counts = {name: int(told[name]) for name in self.told}
        return build_stochastic_system(self.system, {**self.shared, **counts, **found})


def fit_rates(
    constants: Constants,
    times: Sequence[float],
    samples: Sequence[Samples],
    told: Mapping[str, float],
    settings: RateFitSettings,
) -> dict[str, float]:
    """The constants that make the shown samples of one environment likeliest.

    Args:
        constants: that are sought.
        times: of the snapshots shown, increasing, in the units of the rates.
        samples: of each [sample, dimension].
        told: the environment's parameters, of which only those are read that count something.
        settings: of the search.

    Returns:
        value by name.
    """

    def unlikely(place: Array) -> float:
        found = shown_log_likelihood(constants.process(constants.at(place), told), times, samples)
        return -found if np.isfinite(found) else UNLIKELY

    axes = np.eye(len(constants.names))
    places = np.concatenate([np.zeros_like(axes[:1]), FIRST * axes, -FIRST * axes])
    order = np.argsort([unlikely(place) for place in places], kind="stable")
    best, least = places[order[0]], np.inf
    for start in places[order[: settings.starts]]:
        result = minimize(
            unlikely,
            start,
            method="Nelder-Mead",
            bounds=[(-REACH, REACH)] * len(axes),
            options={
                "initial_simplex": np.concatenate([start[None], start + STEP * axes]),
                "maxfev": settings.evaluations,
                "xatol": 1e-3,
                "fatol": 1e-2,
            },
        )
        if result.fun < least:
            best, least = result.x, result.fun
    return constants.at(best)


def shown_log_likelihood(process: StochasticProcess, times: Sequence[float], samples: Sequence[Samples]) -> float:
    """Log-likelihood of samples of snapshots, which are independent: exact where theory knows the law.

    Of a law that is a point at a time, as at the start, nothing is said there.

    Args:
        process: whose law it is.
        times: [snapshot], increasing.
        samples: of each [sample, dimension].

    Returns:
        in nats; not a number where the moments have none.
    """
    law = process.law
    if law is not None:
        spread = [(time, values) for time, values in zip(times, samples, strict=True) if law.variance(time).min() > 0]
        return float(sum(law.log_prob(values, time).sum() for time, values in spread))
    assert isinstance(process, JumpProcess)  # linear diffusions have a law
    means, covariances = normal_moments(process, np.array(times, np.float64))
    snapshots = zip(samples, means, covariances, strict=True)
    return float(sum(_normal(values, mean, covariance) for values, mean, covariance in snapshots))


def _normal(values: Samples, mean: Array, covariance: Array) -> float:
    """Log-likelihood of whole numbers [sample, species] under a normal law."""
    if not (np.isfinite(mean).all() and np.isfinite(covariance).all()):
        return float("nan")
    try:
        root = np.linalg.cholesky(covariance + WHOLE * np.eye(len(mean)))
    except np.linalg.LinAlgError:
        return float("nan")
    standard = solve_triangular(root, (values - mean).T, lower=True)
    each = np.log(np.diag(root)).sum() + 0.5 * len(mean) * np.log(2 * np.pi)
    return float(-0.5 * (standard**2).sum() - len(values) * each)
