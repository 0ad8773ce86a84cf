"""Gray-Scott reaction-diffusion on a periodic square: spots that divide, stripes and labyrinths.

    u_t = Du lap u - u v^2 + F (1 - u)      what is fed in and eaten up
    v_t = Dv lap v + u v^2 - (F + k) v      what eats it and is removed

(P. Gray and S. K. Scott, Chem. Eng. Sci. 39 (1984) 1087; patterns: J. E. Pearson, Science 261 (1993) 189, whose
Du = 2e-5 and spacing 2.5 / 256 are Du = 0.2097 and spacing 1 in other units.) The default settings are those of
CoDA (M. Kirchmeyer et al., Generalizing to New Physical Systems via Context-Informed Dynamics Model, ICML 2022):
32 x 32 points of spacing 1, and

    lap a = [ 1/4  1/2  1/4 ]
            [ 1/2   -3  1/2 ] a / spacing^2
            [ 1/4  1/2  1/4 ]

whose symbol is ((1 + cos kx)(1 + cos ky) - 4) / spacing^2, with kx and ky in radians per point: second order. It is the
system on this grid that is solved; a front is few points wide. The start is u = 0.95, v = 0.05, with three blocks of
3 x 3 points where u = 0 and v = 1; their lower corners are uniform over 0 to 28 along each side, so that blocks may
overlap but do not wrap around, nor cover the last row or column. CoDA has frames every 40 units of time, 10 of
them (`frames: 10`, up to time 360), F in {0.03, 0.039} and k in {0.058, 0.062} in training, and F in {0.033, 0.036} and
k in {0.059, 0.061} in adaptation (data/adaptation/gray-scott.csv). There an environment's trajectories start where
those of all others do; here each draws its own blocks.

Solved by ETDRK4 with a fixed step in Fourier space, where the Laplacian is diagonal, in float64: diffusion, feed and
removal are exact. 0 <= u <= 1 and v >= 0 in every exact solution, and one that leaves these bounds is refused.

Accuracy with the default settings over CoDA's environments and F in [0.03, 0.04], k in [0.059, 0.063], as the
relative L2 error of a frame against an eighth of the inner step, up to time 400: 2e-6 in the median, 4e-6 at most; with
`inner_step: 1`, 3e-5 and 6e-5.
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
from weightcast.systems import System, SystemSettings, read_settings, require_parameters, require_positive
from weightcast.systems.etdrk4 import ETDRK4
from weightcast.systems.seeds import trajectory_generator
from weightcast.trajectories.record import Trajectories

NAME = "gray-scott"
PARAMETERS = ("F", "k")
CHANNELS = ("u", "v")

# How far u and v may leave their bounds before a solution counts as unresolved.
_SLACK = 0.01


class GrayScottSettings(SystemSettings):
    """Settings of the simulation. Lengths and times are in the equations' own units."""

    trajectories: int = Field(
        default=22, ge=1, description="trajectories per environment, each from its own random start"
    )
    frames: int = Field(default=11, ge=1, description="frames per trajectory, the start included")
    frame_step: float = Field(default=40.0, gt=0, description="time between frames")
    grid_size: int = Field(default=32, ge=4, description="grid points along each side")
    grid_spacing: float = Field(default=1.0, gt=0, description="distance between grid points")
    diffusion_u: float = Field(default=0.2097, ge=0, description="Du")
    diffusion_v: float = Field(default=0.105, ge=0, description="Dv")
    # The fastest reaction is u's loss at the rate v^2 <= 1: longer steps would pass it by and stay within bounds.
    inner_step: float = Field(default=0.5, gt=0, le=2, description="longest time step of the solver")
    spin_up: float = Field(default=0.0, ge=0, description="time simulated before the first frame")
    blocks: int = Field(default=3, ge=1, description="blocks at the start")
    block_size: int = Field(default=3, ge=1, description="grid points along each side of a block")

    @model_validator(mode="after")
    def _grid_holds_the_start(self) -> GrayScottSettings:
        if self.block_size >= self.grid_size:
            raise ValueError(f"block_size below grid_size {self.grid_size}")
        return self


def simulate(
    feed: ArrayLike,
    kill: ArrayLike,
    environments: Sequence[str],
    settings: GrayScottSettings | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Simulate several environments at once, from random blocks.

    Args:
        feed: F, [environment].
        kill: k, [environment].
        environments: ids; with the seed and the trajectory's index they decide the start, and they name the
            environment in errors.
        settings: None for the defaults.
        seed: of the study.

    Returns:
        float32 [environment, trajectory, time, channel (u, v), y, x].

    Raises:
        InputError: F or k is not above 0, or the solution of an environment is not finite or leaves its bounds.
    """
    settings = settings or GrayScottSettings()
    for parameter, given in zip(PARAMETERS, (feed, kill), strict=True):
        require_positive(given, parameter, environments, NAME)
    starts = np.stack([initial_fields(environment, settings, seed) for environment in environments])
    size = settings.grid_size
    values = np.empty((*starts.shape[:2], settings.frames, 2, size, size), np.float32)
    for frame, fields in enumerate(solve(starts, feed, kill, settings)):
        _require_bounds(fields, settings.spin_up + frame * settings.frame_step, environments, settings)
        values[:, :, frame] = fields
    return values


def _require_bounds(
    fields: NDArray[np.float64], time: float, environments: Sequence[str], settings: GrayScottSettings
) -> None:
    u, v = fields[:, :, 0], fields[:, :, 1]
    within: NDArray[np.bool_] = np.all((u > -_SLACK) & (u < 1 + _SLACK) & (v > -_SLACK), axis=(1, 2, 3))
    if not within.all():
        raise InputError(
            f"environment {environments[int(within.argmin())]}: the simulation found u or v out of bounds at time "
            f"{time:g}, expected u between 0 and 1 and v at least 0 (settings of {NAME}: inner_step "
            f"{settings.inner_step:g} may be too long)"
        )


def solve(
    start: NDArray[np.float64], feed: ArrayLike, kill: ArrayLike, settings: GrayScottSettings
) -> Iterator[NDArray[np.float64]]:
    """Solve the equations on the grid from given starts, and yield u and v at every frame.

    Args:
        start: [environment, trajectory, (u, v), y, x] at the beginning of the spin-up.
        feed: F, [environment].
        kill: k, [environment].
        settings: `frames`, `frame_step`, `grid_spacing`, `diffusion_u`, `diffusion_v`, `inner_step` and `spin_up` are
            used.

    Yields:
        [environment, trajectory, (u, v), y, x]; NaN or Inf once the solution has blown up.
    """
    size = start.shape[-2:]
    F, k = np.asarray(feed, np.float64), np.asarray(kill, np.float64)
    losses = np.stack([F, F + k], axis=1)[:, None, :, None, None]
    diffusion = np.array([settings.diffusion_u, settings.diffusion_v])[:, None, None]
    linear = diffusion * laplacian_symbol(size, settings.grid_spacing) - losses
    with np.errstate(over="ignore"):
        fed = F[:, None] * size[0] * size[1]  # a transform's first mode is the sum over the grid

    def reaction(modes: NDArray[Any]) -> NDArray[Any]:
        fields = fft.irfft2(modes, s=size, workers=1)
        eaten = fft.rfft2(fields[:, :, 0] * fields[:, :, 1] ** 2, workers=1)
        rate = np.stack([-eaten, eaten], axis=2)
        rate[:, :, 0, 0, 0] += fed
        return rate

    def marcher(time: float) -> Callable[[NDArray[Any]], NDArray[Any]]:
        steps = ceil(time / settings.inner_step - 1e-9)
        with np.errstate(over="ignore", invalid="ignore"):
            solver = ETDRK4(linear, reaction, time / steps)

        def march(modes: NDArray[Any]) -> NDArray[Any]:
            with np.errstate(over="ignore", invalid="ignore"):  # whoever uses the frames reports a blow-up
                for _ in range(steps):
                    modes = solver.advance(modes)
            return modes

        return march

    modes = fft.rfft2(start, workers=1)
    if settings.spin_up > 0:
        modes = marcher(settings.spin_up)(modes)
        yield fft.irfft2(modes, s=size, workers=1)
    else:
        yield start
    march = marcher(settings.frame_step)
    for _ in range(settings.frames - 1):
        modes = march(modes)
        yield fft.irfft2(modes, s=size, workers=1)


def laplacian_symbol(size: tuple[int, int], spacing: float) -> NDArray[np.float64]:
    """What the discrete Laplacian multiplies each mode of a real transform by, [ky, kx] with kx >= 0 only."""
    along_y, along_x = 1 + np.cos(2 * np.pi * fft.fftfreq(size[0])), 1 + np.cos(2 * np.pi * fft.rfftfreq(size[1]))
    symbol: NDArray[np.float64] = (along_y[:, None] * along_x - 4) / spacing**2
    return symbol


def initial_fields(environment: str, settings: GrayScottSettings, seed: int) -> NDArray[np.float64]:
    """Random starts, [trajectory, (u, v), y, x]: blocks of (0, 1) in a field of (0.95, 0.05)."""
    size, block = settings.grid_size, settings.block_size
    fields = np.empty((settings.trajectories, 2, size, size))
    fields[:, 0], fields[:, 1] = 0.95, 0.05
    for trajectory, field in enumerate(fields):
        generator = trajectory_generator(seed, environment, trajectory)
        for y, x in generator.integers(size - block, size=(settings.blocks, 2)):
            field[0, y : y + block, x : x + block] = 0
            field[1, y : y + block, x : x + block] = 1
    return fields


def trajectories(environments: Sequence[Environment], settings: Mapping[str, Any], seed: int) -> Iterator[Trajectories]:
    """Simulate one environment after the other; see `System.trajectories`.

    One at a time, because an environment's bits then cannot depend on its neighbours in a batch.
    """
    checked = read_settings(GrayScottSettings, settings, NAME)
    for environment in environments:
        require_parameters(environment, PARAMETERS, NAME)
        for name in PARAMETERS:
            require_positive([environment.parameters[name]], name, [environment.id], NAME)
    return (_simulate_environment(environment, checked, seed) for environment in environments)


def _simulate_environment(environment: Environment, settings: GrayScottSettings, seed: int) -> Trajectories:
    feed, kill = (environment.parameters[name] for name in PARAMETERS)
    values = simulate([feed], [kill], [environment.id], settings, seed)
    grid = settings.grid_spacing * np.arange(settings.grid_size, dtype=np.float64)
    return Trajectories(
        values=values[0],
        channels=CHANNELS,
        time=settings.frame_step * np.arange(settings.frames, dtype=np.float64),
        y=grid,
        x=grid,
        environment=environment.id,
        parameters=environment.parameters,
    )


SYSTEM = System(NAME, PARAMETERS, CHANNELS, GrayScottSettings, trajectories)
