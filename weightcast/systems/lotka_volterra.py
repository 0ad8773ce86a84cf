"""Lotka-Volterra: predators and their prey, on closed orbits.

    x_t = alpha x - beta x y        prey
    y_t = delta x y - gamma y       predators

(A. J. Lotka, Elements of Physical Biology, Williams and Wilkins 1925; V. Volterra, Nature 118 (1926) 558.) It is the
smallest system that CoDA is judged by (M. Kirchmeyer et al., Generalizing to New Physical Systems via
Context-Informed Dynamics Model, ICML 2022), whose settings are the defaults here: alpha = gamma = 0.5, starts uniform
in [1, 2] x [1, 2], time step 0.5. There a trajectory has 20 frames, up to time 9.5 (`frames: 20`), beta and delta are
0.5, 0.75 or 1 in training and 0.625 or 1.125 in adaptation (data/adaptation/lotka-volterra.csv), and an environment's
trajectories start where those of all others do; here each draws its own. The range of the starts is that of the
published code; later users of the setting draw from [1, 3] x [1, 3] (`initial_high: 3`).

Exact: V = delta x - gamma ln x + beta y - alpha ln y is constant; (gamma / delta, alpha / beta) is at rest, and small
oscillations around it have the period 2 pi / sqrt(alpha gamma), whatever the environment. In delta x and beta y the
environment disappears altogether: what it changes is the scales of prey and predators.

Solved as weightcast.systems.ordinary describes. With the default settings V drifts by less than 2e-9 over 30 units of
time, for beta and delta in [0.5, 1.2]; also with starts in [1, 3] x [1, 3], where prey falls to 1e-4.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from weightcast.core.environment_table import Environment
from weightcast.systems import System, read_settings, require_parameters, require_positive
from weightcast.systems.ordinary import (
    OrdinarySettings,
    Rate,
    as_fields,
    integrate,
    point_trajectories,
    uniform_starts,
)
from weightcast.trajectories.record import Trajectories

NAME = "lotka-volterra"
PARAMETERS = ("beta", "delta")
CHANNELS = ("prey", "predator")

# However few are left, they grow back: nothing that the equations can hold is negligible.
_NEGLIGIBLE = 1e-100


class LotkaVolterraSettings(OrdinarySettings):
    """Settings of the simulation. Populations and times are in the equations' own units."""

    alpha: float = Field(default=0.5, gt=0, description="rate at which prey grows")
    gamma: float = Field(default=0.5, gt=0, description="rate at which predators die")
    initial_low: float = Field(default=1.0, gt=0, description="least prey and least predators at the start")
    initial_high: float = Field(default=2.0, gt=0, description="most prey and most predators at the start")

    @model_validator(mode="after")
    def _range_is_one(self) -> LotkaVolterraSettings:
        if self.initial_low > self.initial_high:
            raise ValueError(f"initial_low at most initial_high {self.initial_high:g}")
        return self


def simulate(
    beta: ArrayLike,
    delta: ArrayLike,
    environments: Sequence[str],
    settings: LotkaVolterraSettings | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Simulate several environments from random starts.

    Args:
        beta: loss of prey per prey and predator, [environment].
        delta: gain of predators per prey and predator, [environment].
        environments: ids; with the seed and the trajectory's index they decide the start, and they name the
            environment in errors.
        settings: None for the defaults.
        seed: of the study.

    Returns:
        float32 [environment, trajectory, time, channel (prey, predator), 1, 1].

    Raises:
        InputError: beta or delta is not above 0, or a solution cannot be followed.
    """
    settings = settings or LotkaVolterraSettings()
    for values, parameter in zip((beta, delta), PARAMETERS, strict=True):
        require_positive(values, parameter, environments, NAME)
    starts = np.stack([initial_states(environment, settings, seed) for environment in environments])
    return as_fields(solve(starts, beta, delta, environments, settings))


def solve(
    starts: NDArray[np.float64],
    beta: ArrayLike,
    delta: ArrayLike,
    environments: Sequence[str],
    settings: LotkaVolterraSettings,
) -> NDArray[np.float64]:
    """Solve the equations from given starts.

    Args:
        starts: [environment, trajectory, (prey, predator)].
        beta: [environment].
        delta: [environment].
        environments: ids, for errors.
        settings: all but `trajectories` and the range of starts are used.

    Returns:
        [environment, trajectory, time, (prey, predator)].

    Raises:
        InputError: a solution cannot be followed.
    """
    pairs = zip(np.asarray(beta, np.float64).tolist(), np.asarray(delta, np.float64).tolist(), strict=True)
    return integrate([_rate(*pair, settings) for pair in pairs], starts, environments, settings, _NEGLIGIBLE, NAME)


def _rate(beta: float, delta: float, settings: LotkaVolterraSettings) -> Rate:
    alpha, gamma = settings.alpha, settings.gamma

    def rate(time: float, state: NDArray[np.float64]) -> list[float]:
        prey, predators = state.tolist()
        return [prey * (alpha - beta * predators), predators * (delta * prey - gamma)]

    return rate


def initial_states(environment: str, settings: LotkaVolterraSettings, seed: int) -> NDArray[np.float64]:
    """Random starts of an environment, [trajectory, (prey, predator)], uniform in the settings' range."""
    return uniform_starts(environment, [settings.initial_low] * 2, [settings.initial_high] * 2, settings, seed)


def trajectories(environments: Sequence[Environment], settings: Mapping[str, Any], seed: int) -> Iterator[Trajectories]:
    """Simulate one environment after the other; see `System.trajectories`."""
    checked = read_settings(LotkaVolterraSettings, settings, NAME)
    for environment in environments:
        require_parameters(environment, PARAMETERS, NAME)
        for name in PARAMETERS:
            require_positive([environment.parameters[name]], name, [environment.id], NAME)
    return (_simulate_environment(environment, checked, seed) for environment in environments)


def _simulate_environment(environment: Environment, settings: LotkaVolterraSettings, seed: int) -> Trajectories:
    beta, delta = (environment.parameters[name] for name in PARAMETERS)
    values = simulate([beta], [delta], [environment.id], settings, seed)
    return point_trajectories(values[0], CHANNELS, environment, settings)


def terms(parameters: Mapping[str, float], settings: Mapping[str, Any]) -> dict[str, dict[str, float]]:
    """Coefficients of an environment's equations, by equation and term."""
    checked = read_settings(LotkaVolterraSettings, settings, NAME)
    return {
        "prey": {"prey": checked.alpha, "prey predator": -parameters["beta"]},
        "predator": {"predator": -checked.gamma, "prey predator": parameters["delta"]},
    }


SYSTEM = System(NAME, PARAMETERS, CHANNELS, LotkaVolterraSettings, trajectories, terms)
