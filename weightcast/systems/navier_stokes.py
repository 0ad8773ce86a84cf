"""Two-dimensional Navier-Stokes equations on the unit torus, with a steady diagonal forcing.

    omega_t + u . grad omega = viscosity lap omega + forcing (sin 2 pi (x + y) + cos 2 pi (x + y))

(Z. Li et al., Fourier neural operator for parametric partial differential equations, ICLR 2021, where forcing is 0.1.)
Starts are Gaussian random fields N(0, tau^(2 alpha - 2) (-lap + tau^2)^(-alpha)) with alpha = 2.5 and tau = 7, of a
standard deviation of 0.185. That is what the paper's published code draws; the paper itself prints the factor 7^(3/2)
for 7^3, which makes them 4.3 times smaller. Solved without drag, as `weightcast.systems.vorticity` says. Exact
solutions: Taylor-Green vortices without forcing, and the laminar flow, the forcing over 8 pi^2 viscosity. The flow
keeps changing where forcing / viscosity^2 is above 4e4 or so, and else settles.

Published settings (LEADS: Y. Yin et al., NeurIPS 2021; CoDA: M. Kirchmeyer et al., ICML 2022): forcing 0.1,
viscosities 8e-4 to 1.2e-3 in steps of 1e-4 to train on, 8.5e-4 to 1.15e-3 between them to adapt to, 10 frames a time
unit apart on 32 x 32 points, with the same starts in all environments: fields 28.5 time units old, at the lowest
viscosity. `CODA_SETTINGS` holds these settings. The published code keeps the same waves of the same equation on the
same 32 x 32 points, but steps with explicit Euler for advection and Crank-Nicolson for viscosity, at 0.001: from one
start its frames differ from those here by 1e-4 after one and 5e-4 after nine time units, relative to the field. Those
here are within 5e-7 of the limit of short steps, and both within 2.4e-3 of a 64 x 64 grid's. The random numbers, and
so the single trajectories, are others. From the same state, the next frame at 8e-4 differs from that at 1.2e-3 by 4 %,
the ninth by 35 %.

Accuracy with `grid_size: 24, oversampling: 2, frame_step: 0.5, initial_scale: 5`, as the relative L2 error after ten
frames: in time 2e-6 at most; against a grid twice as fine 3e-4 at viscosity 0.001 and forcing 0.35, 3e-3 at 0.0005 and
0.25, and less where the flow is calmer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from weightcast.core.environment_table import Environment
from weightcast.core.errors import InputError
from weightcast.systems import System, read_settings, require_parameters
from weightcast.systems.vorticity import CHANNELS, Flow, VorticitySettings, random_vorticity, simulate
from weightcast.trajectories.record import Trajectories

NAME = "navier-stokes"
PARAMETERS = ("viscosity", "forcing")
LENGTH = 1.0
SMOOTHNESS, INVERSE_LENGTH = 2.5, 7.0

CODA_SETTINGS: Mapping[str, Any] = {
    "trajectories": 48,
    "frames": 10,
    "frame_step": 1.0,
    "grid_size": 32,
    "oversampling": 1,
    "spin_up": 28.5,
    "spin_up_viscosity": 8e-4,
    "spin_up_forcing": 0.1,
    "shared_starts": True,
}
"""The published settings that the module describes; 16 training and 32 test trajectories."""

# No environment's id has a space in it.
_SHARED = "shared starts"


class NavierStokesSettings(VorticitySettings):
    """Settings of the simulation. Lengths are in sides of the torus, times in the equation's own unit."""

    initial_scale: float = Field(default=1.0, ge=0, description="factor on the random starts")
    shared_starts: bool = Field(default=False, description="all environments begin with the same fields")
    spin_up_viscosity: float | None = Field(
        default=None, gt=0, description="viscosity during the spin-up; null for the environment's own"
    )
    spin_up_forcing: float | None = Field(
        default=None, description="forcing during the spin-up; null for the environment's own"
    )


def initial_fields(environment: str, settings: NavierStokesSettings, seed: int) -> NDArray[np.float64]:
    """Random starts on the solver's grid, [trajectory, y, x]; see the module."""
    key = _SHARED if settings.shared_starts else environment
    size, count = settings.solver_size, settings.trajectories
    fields = random_vorticity(seed, key, count, size, LENGTH, SMOOTHNESS, INVERSE_LENGTH)
    return settings.initial_scale * INVERSE_LENGTH ** (SMOOTHNESS - 1) * fields


def diagonal_flow(environment: str, viscosity: float, forcing: float, size: int) -> Flow:
    """The equation of one environment on a grid of `size` points along each side."""
    x = np.arange(size) / size
    phase = 2 * np.pi * (x[:, None] + x)
    return Flow(environment, viscosity, 0.0, forcing * (np.sin(phase) + np.cos(phase)), LENGTH)


def trajectories(environments: Sequence[Environment], settings: Mapping[str, Any], seed: int) -> Iterator[Trajectories]:
    """Simulate one environment after the other; see `System.trajectories`."""
    checked = read_settings(NavierStokesSettings, settings, NAME)
    for environment in environments:
        _check_parameters(environment)
    return (_simulate_environment(environment, checked, seed) for environment in environments)


def _check_parameters(environment: Environment) -> None:
    require_parameters(environment, PARAMETERS, NAME)
    viscosity = environment.parameters["viscosity"]
    if not viscosity > 0:
        raise InputError(f"environment {environment.id}: viscosity: found {viscosity:g}, expected a positive number")


def _simulate_environment(environment: Environment, settings: NavierStokesSettings, seed: int) -> Trajectories:
    viscosity, forcing = (environment.parameters[name] for name in PARAMETERS)
    size = settings.solver_size
    spin_up_flow = diagonal_flow(
        environment.id,
        viscosity if settings.spin_up_viscosity is None else settings.spin_up_viscosity,
        forcing if settings.spin_up_forcing is None else settings.spin_up_forcing,
        size,
    )
    start = initial_fields(environment.id, settings, seed)
    flow = diagonal_flow(environment.id, viscosity, forcing, size)
    return simulate(environment, start, flow, settings, spin_up_flow)


SYSTEM = System(NAME, PARAMETERS, CHANNELS, NavierStokesSettings, trajectories)
