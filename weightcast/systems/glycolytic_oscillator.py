"""Glycolytic oscillations in yeast: seven metabolites, on a limit cycle or coming to rest.

    S1_t = J0 - v1                      glucose
    S2_t = 2 v1 - v2 - v6               glyceraldehyde 3-phosphate and dihydroxyacetone phosphate
    S3_t = v2 - v3                      1,3-bisphosphoglycerate
    S4_t = v3 - v4 - J                  pyruvate and acetaldehyde inside the cells
    S5_t = v2 - v4 - v6                 NADH
    S6_t = -2 v1 + 2 v3 - k5 S6         ATP
    S7_t = psi J - k S7                 pyruvate and acetaldehyde outside

    v1 = k1 S1 S6 / (1 + (S6 / K1)^q)   phosphofructokinase and what precedes it, inhibited by ATP
    v2 = k2 S2 (N - S5)    v3 = k3 S3 (A - S6)    v4 = k4 S4 S5    v6 = k6 S2 S5    J = kappa (S4 - S7)

Concentrations are in mM, times in minutes. NAD+ is N - S5 and ADP is A - S6, so the totals N and A are constant, and
0 <= S5 <= N, 0 <= S6 <= A and no concentration negative if that is so at the start.

The model is J. Wolf and R. Heinrich's (Biochem. J. 345 (2000) 321), with the constants of P. Ruoff, M. K. Christensen,
J. Wolf and R. Heinrich (Biophys. Chem. 106 (2003) 179, Table 1; 286.5 K) and the ranges of the start of B. C. Daniels
and I. Nemenman (PLoS ONE 10 (2015) e0119821), which enclose the limit cycle. With those, and their k1 = 100 and
K1 = 0.52, the period is 1.168 minutes (computed). At rest v1 = J0, so that every environment has the same fluxes and,
but for glucose, the same concentrations. There is a Hopf bifurcation at K1 = 0.54 for k1 = 100 and at 0.57 for k1 = 80:
below it oscillations last, above it they die out.

In CoDA's setting (M. Kirchmeyer et al., Generalizing to New Physical Systems via Context-Informed Dynamics
Model, ICML 2022) k1 is 80, 90 or 100 and K1 is 0.5, 0.75 or 1 in training, 85 or 95 and 0.625 or 0.875 in adaptation
(data/adaptation/glycolytic-oscillator.csv), so only environments with K1 = 0.5 oscillate for ever. Trajectories have 20
frames up to time 0.95 (`frames: 20`), less than a period, and those of an environment start where those of all others
do; here each draws its own start.

Solved as weightcast.systems.ordinary describes. With the default settings concentrations are within 5e-9 of their own
size of a solution by another method (Radau, tolerance 1e-10), for k1 in [80, 100] and K1 in [0.3, 1].
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

NAME = "glycolytic-oscillator"
PARAMETERS = ("k1", "K1")
CHANNELS = ("S1", "S2", "S3", "S4", "S5", "S6", "S7")

_NEGLIGIBLE = 1e-6  # mM


class GlycolyticSettings(OrdinarySettings):
    """Settings of the simulation. Concentrations are in mM, times in minutes."""

    frame_step: float = Field(default=0.05, gt=0, description="time between frames, min")
    J0: float = Field(default=2.5, ge=0, description="influx of glucose, mM/min")
    k2: float = Field(default=6.0, gt=0, description="rate constant of v2, 1/(mM min)")
    k3: float = Field(default=16.0, gt=0, description="rate constant of v3, 1/(mM min)")
    k4: float = Field(default=100.0, gt=0, description="rate constant of v4, 1/(mM min)")
    k5: float = Field(default=1.28, gt=0, description="rate constant of ATP's consumption elsewhere, 1/min")
    k6: float = Field(default=12.0, gt=0, description="rate constant of v6, 1/(mM min)")
    k: float = Field(default=1.8, gt=0, description="rate constant of the loss outside the cells, 1/min")
    kappa: float = Field(default=13.0, gt=0, description="permeability of the membrane, 1/min")
    psi: float = Field(default=0.1, gt=0, description="volume of the cells over that outside")
    q: float = Field(default=4.0, ge=1, description="cooperativity of the inhibition by ATP")
    N: float = Field(default=1.0, gt=0, description="NAD+ and NADH together, mM")
    A: float = Field(default=4.0, gt=0, description="ADP and ATP together, mM")
    initial_low: list[float] = Field(
        default=[0.15, 0.19, 0.04, 0.10, 0.08, 0.14, 0.05], description="least S1 to S7 at the start, mM"
    )
    initial_high: list[float] = Field(
        default=[1.60, 2.16, 0.20, 0.35, 0.30, 2.67, 0.10], description="most S1 to S7 at the start, mM"
    )

    @model_validator(mode="after")
    def _starts_make_sense(self) -> GlycolyticSettings:
        most = dict.fromkeys(CHANNELS, np.inf) | {"S5": self.N, "S6": self.A}
        for numbers, name in ((self.initial_low, "initial_low"), (self.initial_high, "initial_high")):
            if len(numbers) != len(CHANNELS):
                raise ValueError(f"{name} with {len(CHANNELS)} numbers, S1 to S7")
        for channel, low, high in zip(CHANNELS, self.initial_low, self.initial_high, strict=True):
            if not 0 <= low <= high <= most[channel]:
                bounds = f"0 <= initial_low <= initial_high <= {most[channel]:g}"
                raise ValueError(f"{bounds} for {channel}, which has {low:g} and {high:g}")
        return self


def simulate(
    k1: ArrayLike,
    K1: ArrayLike,
    environments: Sequence[str],
    settings: GlycolyticSettings | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Simulate several environments from random starts.

    Args:
        k1: rate constant of v1, 1/(mM min), [environment].
        K1: concentration of ATP that inhibits v1 to one half, mM, [environment].
        environments: ids; with the seed and the trajectory's index they decide the start, and they name the
            environment in errors.
        settings: None for the defaults.
        seed: of the study.

    Returns:
        float32 [environment, trajectory, time, channel (S1 to S7), 1, 1], in mM.

    Raises:
        InputError: k1 or K1 is not above 0, or a solution cannot be followed.
    """
    settings = settings or GlycolyticSettings()
    for values, parameter in zip((k1, K1), PARAMETERS, strict=True):
        require_positive(values, parameter, environments, NAME)
    starts = np.stack([initial_states(environment, settings, seed) for environment in environments])
    return as_fields(solve(starts, k1, K1, environments, settings))


def solve(
    starts: NDArray[np.float64],
    k1: ArrayLike,
    K1: ArrayLike,
    environments: Sequence[str],
    settings: GlycolyticSettings,
) -> NDArray[np.float64]:
    """Solve the equations from given starts.

    Args:
        starts: [environment, trajectory, (S1 to S7)], mM.
        k1: [environment].
        K1: [environment].
        environments: ids, for errors.
        settings: all but `trajectories` and the ranges of starts are used.

    Returns:
        [environment, trajectory, time, (S1 to S7)], mM.

    Raises:
        InputError: a solution cannot be followed.
    """
    pairs = zip(np.asarray(k1, np.float64).tolist(), np.asarray(K1, np.float64).tolist(), strict=True)
    return integrate([_rate(*pair, settings) for pair in pairs], starts, environments, settings, _NEGLIGIBLE, NAME)


def _rate(k1: float, K1: float, settings: GlycolyticSettings) -> Rate:
    def rate(time: float, state: NDArray[np.float64]) -> list[float]:
        S1, S2, S3, S4, S5, S6, S7 = state.tolist()
        v1 = k1 * S1 * S6 / (1 + (S6 / K1) ** settings.q)
        v2 = settings.k2 * S2 * (settings.N - S5)
        v3 = settings.k3 * S3 * (settings.A - S6)
        v4 = settings.k4 * S4 * S5
        v6 = settings.k6 * S2 * S5
        J = settings.kappa * (S4 - S7)
        return [
            settings.J0 - v1,
            2 * v1 - v2 - v6,
            v2 - v3,
            v3 - v4 - J,
            v2 - v4 - v6,
            -2 * v1 + 2 * v3 - settings.k5 * S6,
            settings.psi * J - settings.k * S7,
        ]

    return rate


def initial_states(environment: str, settings: GlycolyticSettings, seed: int) -> NDArray[np.float64]:
    """Random starts of an environment, [trajectory, (S1 to S7)], uniform in the settings' ranges."""
    return uniform_starts(environment, settings.initial_low, settings.initial_high, settings, seed)


def trajectories(environments: Sequence[Environment], settings: Mapping[str, Any], seed: int) -> Iterator[Trajectories]:
    """Simulate one environment after the other; see `System.trajectories`."""
    checked = read_settings(GlycolyticSettings, settings, NAME)
    for environment in environments:
        require_parameters(environment, PARAMETERS, NAME)
        for name in PARAMETERS:
            require_positive([environment.parameters[name]], name, [environment.id], NAME)
    return (_simulate_environment(environment, checked, seed) for environment in environments)


def _simulate_environment(environment: Environment, settings: GlycolyticSettings, seed: int) -> Trajectories:
    k1, K1 = (environment.parameters[name] for name in PARAMETERS)
    values = simulate([k1], [K1], [environment.id], settings, seed)
    return point_trajectories(values[0], CHANNELS, environment, settings, dict.fromkeys(CHANNELS, "mM"))


SYSTEM = System(NAME, PARAMETERS, CHANNELS, GlycolyticSettings, trajectories)
