"""Kolmogorov flow: a two-dimensional flow in a periodic square, driven by a sinusoidal shear force, with drag.

    u_t + u . grad u = -grad p + (1 / reynolds) lap u - drag u + sin(wavenumber y) e_x      on [0, 2 pi]^2

(L. D. Meshalkin and Ya. G. Sinai, J. Appl. Math. Mech. 25 (1961) 1700, without drag; with it, and a drag of 0.1, as in
D. Kochkov et al., Machine learning-accelerated computational fluid dynamics, PNAS 118 (2021) e2101784118.) The
vorticity omega = v_x - u_y is forced by the curl of the force, -d/dy sin(wavenumber y):

    omega_t + u . grad omega = (1 / reynolds) lap omega - drag omega - wavenumber cos(wavenumber y)

Solved as `weightcast.systems.vorticity` says. Trajectories begin on the attractor, after `spin_up` from random fields;
energy and enstrophy stop drifting within 20 time units.

Exact solution: the laminar flow, omega = -wavenumber U cos(wavenumber y), U = 1 / (wavenumber^2 / reynolds + drag).
(So `reynolds` counts in units of the force; the laminar flow's own Reynolds number is reynolds U / wavenumber.) In this
box and with the default drag it is stable to small perturbations up to Reynolds numbers of 4.85, 8.33, 12.98, 17.17 and
22.13 at wavenumbers 2 to 6, and at any at wavenumber 1. (Without drag the onset is where reynolds U / wavenumber is
sqrt 2 for the longest waves: Meshalkin and Sinai.) Above, flows are at first steady or drift slowly; from about 30 on
they keep changing, and at 50 small differences grow at rates of 0.3 to 0.7.

Accuracy with `grid_size: 24, oversampling: 2`, as the relative L2 error of ten frames 0.5 apart: in time 3e-6 at most;
against a grid twice as fine 8e-4 at Reynolds number 30 and wavenumber 4, 3e-3 at 51 and 2, 1e-2 at 51 and 4, 2e-2 at 54
and 5. From about 60 on `largest_tail` asks for a finer grid.
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
from weightcast.systems.vorticity import (
    CHANNELS,
    Flow,
    VorticitySettings,
    highest_wave,
    random_vorticity,
    simulate,
)
from weightcast.trajectories.record import Trajectories

NAME = "kolmogorov"
PARAMETERS = ("reynolds", "wavenumber")
LENGTH = 2 * np.pi
SMOOTHNESS, INVERSE_LENGTH = 2.5, 1.0


class KolmogorovSettings(VorticitySettings):
    """Settings of the simulation, in units of the force and of the domain's length over 2 pi."""

    frame_step: float = Field(default=0.5, gt=0, description="time between frames")
    oversampling: int = Field(default=2, ge=1, description="the solver's grid is this many times finer")
    spin_up: float = Field(default=25.0, ge=0, description="time simulated before the first frame")
    drag: float = Field(default=0.1, ge=0, description="rate of the linear drag")


def initial_fields(environment: str, settings: KolmogorovSettings, seed: int) -> NDArray[np.float64]:
    """Random vorticities at the beginning of the spin-up, on the solver's grid: [trajectory, y, x].

    Gaussian random fields with the covariance (-lap + 1)^(-5/2), scaled to a standard deviation of 1.
    """
    waves = np.arange(-32, 33)
    squared = waves[:, None] ** 2 + waves**2
    variance = ((squared + INVERSE_LENGTH**2) ** -SMOOTHNESS)[squared > 0].sum() / LENGTH**2
    size, count = settings.solver_size, settings.trajectories
    fields = random_vorticity(seed, environment, count, size, LENGTH, SMOOTHNESS, INVERSE_LENGTH)
    scaled: NDArray[np.float64] = fields / np.sqrt(variance)
    return scaled


def shear_flow(environment: str, reynolds: float, wavenumber: float, drag: float, size: int) -> Flow:
    """The equation of one environment on a grid of `size` points along each side."""
    y = LENGTH / size * np.arange(size)
    forcing = np.repeat(-wavenumber * np.cos(wavenumber * y)[:, None], size, axis=1)
    return Flow(environment, 1 / reynolds, drag, forcing, LENGTH)


def trajectories(environments: Sequence[Environment], settings: Mapping[str, Any], seed: int) -> Iterator[Trajectories]:
    """Simulate one environment after the other; see `System.trajectories`."""
    checked = read_settings(KolmogorovSettings, settings, NAME)
    for environment in environments:
        _check_parameters(environment, checked)
    return (_simulate_environment(environment, checked, seed) for environment in environments)


def _check_parameters(environment: Environment, settings: KolmogorovSettings) -> None:
    require_parameters(environment, PARAMETERS, NAME)
    reynolds, wavenumber = (environment.parameters[name] for name in PARAMETERS)
    if not reynolds > 0:
        raise InputError(f"environment {environment.id}: reynolds: found {reynolds:g}, expected a positive number")
    highest = min(highest_wave(settings.solver_size), (settings.grid_size - 1) // 2)
    if wavenumber not in range(1, highest + 1):
        raise InputError(
            f"environment {environment.id}: wavenumber: found {wavenumber:g}, expected a whole number from 1 to "
            f"{highest}, which the grid can hold"
        )


def _simulate_environment(environment: Environment, settings: KolmogorovSettings, seed: int) -> Trajectories:
    reynolds, wavenumber = (environment.parameters[name] for name in PARAMETERS)
    flow = shear_flow(environment.id, reynolds, wavenumber, settings.drag, settings.solver_size)
    return simulate(environment, initial_fields(environment.id, settings, seed), flow, settings)


SYSTEM = System(NAME, PARAMETERS, CHANNELS, KolmogorovSettings, trajectories)
