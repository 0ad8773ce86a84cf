"""Lambda-Omega reaction-diffusion on a periodic square: spiral and phase waves on a limit cycle.

    u_t = D lap u + (1 - A2) u + beta A2 v
    v_t = D lap v - beta A2 u + (1 - A2) v        A2 = u^2 + v^2

(N. Kopell and L. N. Howard, Plane wave solutions to reaction-diffusion equations, Stud. Appl. Math. 52 (1973) 291.)
As one complex field w = u + i v this is w_t = D lap w + w - (1 + i beta) |w|^2 w, which is what is solved: by Fourier
collocation in space and ETDRK4 in time, in float64. Exact solutions: w = R exp(i (k.x - omega t)) with R^2 = 1 - D k^2
and omega = beta R^2; k = 0 is the limit cycle of amplitude 1 and angular frequency beta.

Accuracy with the default settings over beta in [0.6, 1.4] and D in [0.2, 0.8], as the relative L2 error of a frame:
against an eighth of the inner step, 1e-4 in the median and 1.2e-3 at most; against a grid twice as fine, below 1e-4 for
D >= 0.5 and 1e-3 in the median at D = 0.2, where single frames with spiral cores reach 4e-2: a core is then about as
wide as a grid cell. `oversampling: 2` resolves it, at four times the cost.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator
from scipy import fft

from weightcast.core.environment_table import Environment
from weightcast.core.errors import InputError
from weightcast.systems import System, SystemSettings, read_settings, require_parameters
from weightcast.systems.etdrk4 import ETDRK4
from weightcast.systems.seeds import trajectory_generator
from weightcast.trajectories.record import Trajectories

NAME = "lambda-omega"
PARAMETERS = ("beta", "D")
CHANNELS = ("u", "v")


class LambdaOmegaSettings(SystemSettings):
    """Settings of the simulation. Lengths and times are in the equations' own units."""

    trajectories: int = Field(
        default=22, ge=1, description="trajectories per environment, each from its own random start"
    )
    frames: int = Field(default=61, ge=1, description="frames per trajectory, the start included")
    frame_step: float = Field(default=0.5, gt=0, description="time between frames")
    grid_size: int = Field(default=32, ge=4, description="grid points along each side")
    domain_length: float = Field(default=16.0, gt=0, description="length of each side")
    oversampling: int = Field(default=1, ge=1, description="the solver's grid is this many times finer")
    inner_step: float = Field(default=0.1, gt=0, description="longest time step of the solver")
    spin_up: float = Field(default=0.0, ge=0, description="time simulated before the first frame")
    initial_amplitude: float = Field(default=0.5, ge=0, description="standard deviation of u and v at the start")
    initial_modes: int = Field(default=4, ge=1, description="highest wavenumber at the start, in waves per side")

    @model_validator(mode="after")
    def _grid_holds_the_start(self) -> LambdaOmegaSettings:
        if 2 * self.initial_modes >= self.grid_size:
            raise ValueError(f"initial_modes below half of grid_size {self.grid_size}")
        return self


def simulate(
    beta: ArrayLike,
    diffusion: ArrayLike,
    environments: Sequence[str],
    settings: LambdaOmegaSettings | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Simulate several environments at once, from random smooth starts.

    Args:
        beta: [environment].
        diffusion: D, [environment].
        environments: ids; with the seed and the trajectory's index they decide the random start, and they name the
            environment in errors.
        settings: None for the defaults.
        seed: of the study.

    Returns:
        float32 [environment, trajectory, time, channel (u, v), y, x].

    Raises:
        InputError: the solution of an environment stops being finite.
    """
    settings = settings or LambdaOmegaSettings()
    starts = np.stack([initial_fields(environment, settings, seed) for environment in environments])
    size, skip = settings.grid_size, settings.oversampling
    values = np.empty((*starts.shape[:2], settings.frames, 2, size, size), np.float32)
    for frame, field in enumerate(solve(starts, beta, diffusion, settings)):
        finite = np.isfinite(field).all(axis=(1, 2, 3))
        if not finite.all():
            time = settings.spin_up + frame * settings.frame_step
            raise InputError(
                f"environment {environments[int(finite.argmin())]}: the simulation found no finite field at time "
                f"{time:g}, expected one (settings of {NAME}: inner_step {settings.inner_step:g} may be too long)"
            )
        values[:, :, frame, 0] = field.real[..., ::skip, ::skip]
        values[:, :, frame, 1] = field.imag[..., ::skip, ::skip]
    return values


def solve(
    start: NDArray[np.complex128], beta: ArrayLike, diffusion: ArrayLike, settings: LambdaOmegaSettings
) -> Iterator[NDArray[np.complex128]]:
    """Solve the equations from given starts, and yield w = u + i v at every frame.

    Args:
        start: [environment, trajectory, y, x] at the beginning of the spin-up.
        beta: [environment].
        diffusion: D, [environment].
        settings: `frames`, `frame_step`, `domain_length`, `inner_step` and `spin_up` are used.

    Yields:
        [environment, trajectory, y, x]; NaN or Inf once the solution has blown up.
    """
    per_environment = (-1, 1, 1, 1)
    rotation = -(1 + 1j * np.asarray(beta, np.float64).reshape(per_environment))
    wavenumbers_y, wavenumbers_x = (
        2 * np.pi * fft.fftfreq(size, settings.domain_length / size) for size in start.shape[-2:]
    )
    laplacian = -(wavenumbers_y[:, None] ** 2 + wavenumbers_x**2)
    linear = 1 + np.asarray(diffusion, np.float64).reshape(per_environment) * laplacian

    def reaction(modes: NDArray[Any]) -> NDArray[Any]:
        field = fft.ifft2(modes, workers=1)
        field *= rotation * (field.real**2 + field.imag**2)
        return fft.fft2(field, workers=1, overwrite_x=True)

    def marcher(time: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
        steps = ceil(time / settings.inner_step - 1e-9)
        solver = ETDRK4(linear, reaction, time / steps)

        def march(modes: NDArray[Any]) -> NDArray[Any]:
            with np.errstate(over="ignore", invalid="ignore"):  # whoever uses the frames reports a blow-up
                for _ in range(steps):
                    modes = solver.advance(modes)
            return modes

        return march

    modes = fft.fft2(start, workers=1)
    if settings.spin_up > 0:
        modes = marcher(settings.spin_up)(modes)
    march = marcher(settings.frame_step)
    for frame in range(settings.frames):
        if frame > 0:
            modes = march(modes)
        yield fft.ifft2(modes, workers=1)


def initial_fields(environment: str, settings: LambdaOmegaSettings, seed: int) -> NDArray[np.complex128]:
    """Random starts w = u + i v on the solver's grid, [trajectory, y, x]: Gaussian random fields of mean zero.

    Wavenumbers up to `initial_modes`, with a Gaussian spectrum of half that width; u and v are independent, of standard
    deviation `initial_amplitude` in the ensemble. The same fields are sampled on every grid.
    """
    size, highest = settings.grid_size * settings.oversampling, settings.initial_modes
    modes = np.arange(-highest, highest + 1)
    squared = modes[:, None] ** 2 + modes**2
    weights = np.exp(-squared / (highest / 2) ** 2 / 2)
    weights[squared == 0] = 0  # a mean would leave no room for waves: all would turn in phase
    weights *= settings.initial_amplitude / np.sqrt((weights**2).sum())
    spectra = np.zeros((settings.trajectories, size, size), np.complex128)
    for trajectory, spectrum in enumerate(spectra):
        real, imaginary = trajectory_generator(seed, environment, trajectory).standard_normal((2, *weights.shape))
        spectrum[modes[:, None], modes] = weights * (real + 1j * imaginary)
    return fft.ifft2(spectra, norm="forward", workers=1)


def trajectories(environments: Sequence[Environment], settings: Mapping[str, Any], seed: int) -> Iterator[Trajectories]:
    """Simulate one environment after the other; see `System.trajectories`.

    One at a time, because a batch of trajectories then stays in the processor's cache, and because an environment's
    bits then cannot depend on its neighbours in a batch.
    """
    checked = read_settings(LambdaOmegaSettings, settings, NAME)
    for environment in environments:
        require_parameters(environment, PARAMETERS, NAME)
    return (_simulate_environment(environment, checked, seed) for environment in environments)


def _simulate_environment(environment: Environment, settings: LambdaOmegaSettings, seed: int) -> Trajectories:
    beta, diffusion = (environment.parameters[name] for name in PARAMETERS)
    values = simulate([beta], [diffusion], [environment.id], settings, seed)
    grid = settings.domain_length / settings.grid_size * np.arange(settings.grid_size, dtype=np.float64)
    return Trajectories(
        values=values[0],
        channels=CHANNELS,
        time=settings.frame_step * np.arange(settings.frames, dtype=np.float64),
        y=grid,
        x=grid,
        environment=environment.id,
        parameters=environment.parameters,
    )


SYSTEM = System(NAME, PARAMETERS, CHANNELS, LambdaOmegaSettings, trajectories)
