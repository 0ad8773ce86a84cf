"""The wake of a circular cylinder: flow in the plane past a cylinder in a channel, which sheds vortices.

    u_t + (u.grad) u = -grad p + (D / Re) lap u,   div u = 0,   u = 0 on the cylinder,   u = (1, 0) at the inlet

Lengths are in cells of the grid on which such data have been published (128 x 64, radius 10 to 25), velocities in
units of the inlet's velocity U, and times hence in cells per U: a frame step of 8 lets the free stream pass 8 cells
in every environment, whatever its cylinder. D = 2 radius, Re = U D / viscosity, and time / D
is time in units of D / U.

Sides are periodic unless set otherwise: the flow is that past a row of cylinders 64 apart. Beside cylinders as thick
as these the flow is fast and they shed sooner and oftener than in the open: blockages of 0.31 to 0.78 have no
Strouhal number or drag to be compared with the open cylinder's (at Re = 120 and radius 14 they are 0.29 and 3.7,
against 0.17 and 1.3). Such rows were found to shed at Re = 60 with radius 8, 12, 16 and 20, and at the corners of the
published range. Between free-slip sides, which mirror the flow, it becomes steady at Re = 200 with radius 20 and 25.

Solved by a lattice Boltzmann method in float64 (`LatticeBoltzmann`) with interpolated bounce-back on the circle
(`circle_links`) and a convective outlet (`Channel`). Every trajectory is a run of its own: it starts from the stream
with random eddies (`initial_fields`), which a `spin_up` of 128 carries out of the channel once and which set off the
shedding at a random phase. Frames are averages over cells of size `spacing`, 0 where a cell's centre is in the
cylinder.

Accuracy, from benchmarks/cylinder_validation.py (St is D / (U period), drag the mean and lift the largest
coefficient; in the no-slip channel drag is the largest, too; slip is the root mean square velocity at the wall over
U):

    problem, cells in D         St      known          drag   known         lift    known           slip
    open, Re = 100, 10          0.163   0.167          1.43   1.33 to 1.35  0.314   0.33 to 0.34    0.26
    open, Re = 100, 20          0.168                  1.39                 0.343                   0.09
    open, Re = 200, 10          0.190   0.197          1.43   1.31 to 1.34  0.610   0.66 to 0.69    0.36
    open, Re = 200, 20          0.197                  1.39                 0.677                   0.18
    channel, Re = 20, 10                               5.70   5.57 to 5.59  0.0126  0.0104..0.0110  0.20
    channel, Re = 20, 20                               5.60                 0.0111                  0.04
    channel, Re = 100, 10       0.293   0.295..0.305   3.43   3.22 to 3.24  0.81    0.99 to 1.01    0.54
    channel, Re = 100, 20       0.299                  3.27                 0.98                    0.24

The open domain has a blockage of 0.05. Slip is extrapolated from cells of the fluid, and mostly the error of that: in
the flow between two cylinders, which has an exact solution, it is below 0.002 at 16 cells in a radius, and velocities
there converge with order 2. Of the default settings (20 to 36 solver cells in D) for Re from 60 to 340, against a
grid twice as fine: drag 0.5 to 3 %, St up to 1.2 %, root mean square lift 2 to 6 %; at Re = 480 and radius 10, 3.4,
1.1 and 3 %. The next frame from the same state, against that grid: 1 to 2 % of the field's standard deviation with
half the lattice_speed, 2.6 to 3.7 % with the default, nearly all of it sound that restarting from velocities alone
makes.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from pydantic import Field, model_validator

from weightcast.core.environment_table import Environment
from weightcast.core.errors import InputError
from weightcast.systems import System, SystemSettings, read_settings, require_parameters
from weightcast.systems.cylinder_flow import CylinderFlow
from weightcast.systems.lattice_edges import Sides
from weightcast.systems.seeds import trajectory_generator
from weightcast.trajectories.record import Trajectories

NAME = "cylinder"
PARAMETERS = ("reynolds", "radius")
CHANNELS = ("u", "v")

_SMALLEST = 3.0
"""Solver cells in a radius, or between a cylinder and an edge; below there is no flow to speak of."""
_FASTEST = 0.4
"""Speed, in cells per step, at which a flow is no longer slow compared with sound (0.577)."""
_CACHED = 8_192
"""Cells of all trajectories advanced together: as many as a core's cache holds, for speed alone."""


class CylinderSettings(SystemSettings):
    """Settings of the simulation. For the units see the module's docstring."""

    trajectories: int = Field(
        default=8, ge=1, description="trajectories per environment, each from its own random start"
    )
    frames: int = Field(default=31, ge=1, description="frames per trajectory")
    frame_step: float = Field(default=8.0, gt=0, description="time between frames, the same in all environments")
    length: float = Field(default=128.0, gt=0, description="of the channel, from inlet to outlet")
    height: float = Field(default=64.0, gt=0, description="of the channel, from side to side")
    centre: float = Field(default=32.0, gt=0, description="distance of the cylinder's axis from the inlet")
    sides: Sides = Field(
        default="periodic",
        description="periodic (a row of cylinders), free-slip (a tunnel without friction) or no-slip (a channel)",
    )
    spacing: float = Field(default=2.0, gt=0, description="grid spacing of the frames")
    oversampling: int = Field(default=2, ge=1, description="the solver's grid is this many times finer")
    lattice_speed: float = Field(
        default=0.1,
        gt=0,
        le=0.2,
        description="mean speed beside the cylinder in solver cells per time step; smaller is more steps, and less "
        "compressible",
    )
    spin_up: float = Field(default=128.0, ge=0, description="time simulated before the first frame")
    initial_amplitude: float = Field(default=0.3, ge=0, le=1, description="standard deviation of the random start")
    initial_modes: int = Field(default=4, ge=1, description="highest wavenumber of the random start, in waves per side")

    @model_validator(mode="after")
    def _whole_cells(self) -> CylinderSettings:
        for name, length in (("length", self.length), ("height", self.height)):
            if abs(length / self.spacing - round(length / self.spacing)) > 1e-9:
                raise ValueError(f"{name} {length:g} a multiple of spacing {self.spacing:g}")
        if not 0 < self.centre < self.length:
            raise ValueError(f"centre {self.centre:g} within length {self.length:g}")
        return self

    @property
    def grid(self) -> tuple[int, int]:
        """Points of a frame along y and x."""
        return round(self.height / self.spacing), round(self.length / self.spacing)

    @property
    def solver_grid(self) -> tuple[int, int]:
        """Cells of the solver along y and x."""
        height, width = self.grid
        return height * self.oversampling, width * self.oversampling


def simulate(
    reynolds: ArrayLike,
    radius: ArrayLike,
    environments: Sequence[str],
    settings: CylinderSettings | None = None,
    seed: int = 0,
) -> NDArray[np.float32]:
    """Simulate several environments, from random starts.

    Args:
        reynolds: [environment].
        radius: [environment].
        environments: ids; with the seed and the trajectory's index they decide the random start, and they name the
            environment in errors.
        settings: None for the defaults.
        seed: of the study.

    Returns:
        float32 [environment, trajectory, time, channel (u, v), y, x], averages over the grid's cells; 0 where a cell's
        centre is in the cylinder.

    Raises:
        InputError: a parameter makes no sense or does not fit the channel, or the solution of an environment blows up.
    """
    settings = settings or CylinderSettings()
    every = zip(np.ravel(reynolds).tolist(), np.ravel(radius).tolist(), environments, strict=True)
    cases = [(number, size, environment) for number, size, environment in every]
    for case in cases:
        _check(*case, settings)
    return np.stack([_simulate_one(*case, settings, seed) for case in cases])


def _check(reynolds: float, radius: float, environment: str, settings: CylinderSettings) -> None:
    if not (np.isfinite(reynolds) and reynolds > 0):
        raise InputError(f"environment {environment}: reynolds: found {reynolds:g}, expected a number above 0")
    thinnest = _SMALLEST * settings.spacing / settings.oversampling
    rooms = (settings.height / 2, settings.centre, settings.length - settings.centre)
    largest = min(rooms) - thinnest
    if not thinnest <= radius <= largest:
        raise InputError(
            f"environment {environment}: radius: found {radius:g}, expected {thinnest:g} to {largest:g} in a channel "
            f"of height {settings.height:g} with spacing {settings.spacing:g} and oversampling {settings.oversampling}"
        )


def _simulate_one(
    reynolds: float, radius: float, environment: str, settings: CylinderSettings, seed: int
) -> NDArray[np.float32]:
    """[trajectory, time, channel, y, x]; a few trajectories at a time, so that they stay in the processor's cache."""
    rows, columns = settings.grid
    skip = settings.oversampling
    y, x = (settings.spacing * (np.arange(size) + 0.5) for size in settings.grid)
    solid = (y[:, None] - settings.height / 2) ** 2 + (x - settings.centre) ** 2 < radius**2
    values = np.empty((settings.trajectories, settings.frames, 2, rows, columns), np.float32)
    starts = initial_fields(environment, settings, seed)
    group = max(1, _CACHED // (rows * columns * skip**2))
    for first in range(0, settings.trajectories, group):
        flows = slice(first, first + group)
        for frame, velocity in enumerate(solve(starts[:, flows], reynolds, radius, settings)):
            speed = np.abs(velocity).max() * _lattice_speed(radius, settings)[0]
            if not speed < _FASTEST:
                time = settings.spin_up + frame * settings.frame_step
                found = f"velocities of {np.abs(velocity).max():.3g} U" if np.isfinite(speed) else "no finite field"
                raise InputError(
                    f"environment {environment}: the simulation found {found} at time {time:g}, expected slow flow "
                    f"(settings of {NAME}: try a smaller lattice_speed than {settings.lattice_speed:g} or a larger "
                    f"oversampling than {settings.oversampling})"
                )
            cells = velocity.reshape(2, -1, rows, skip, columns, skip).mean(axis=(3, 5))
            cells[:, :, solid] = 0
            values[flows, frame] = cells.swapaxes(0, 1)
    return values


def solve(
    start: NDArray[np.float64], reynolds: float, radius: float, settings: CylinderSettings
) -> Iterator[NDArray[np.float64]]:
    """Solve the equations from given starts, and yield the velocity at every frame.

    Args:
        start: [channel (u, v), trajectory, y, x] at the beginning of the spin-up, on the solver's grid; its points are
            the centres of the cells.
        reynolds: U D / viscosity.
        radius: of the cylinder.
        settings: all but those of the random start are used.

    Yields:
        Of the same shape; 0 inside the cylinder, NaN or Inf once the solution has blown up.
    """
    _, steps = _lattice_speed(radius, settings)
    flow = CylinderFlow(
        reynolds,
        radius,
        domain=(settings.height, settings.length),
        centre=(settings.height / 2, settings.centre),
        sides=settings.sides,
        resolution=settings.oversampling / settings.spacing,
        steps_per_time=steps / settings.frame_step,
        flows=start.shape[1],
    )
    flow.start(start)
    flow.advance(round(settings.spin_up / settings.frame_step * steps))
    for frame in range(settings.frames):
        if frame > 0:
            flow.advance(steps)
        yield flow.velocity()


def _lattice_speed(radius: float, settings: CylinderSettings) -> tuple[float, int]:
    """U in solver cells per time step, and time steps per frame, of which there is a whole number."""
    beside = settings.height / (settings.height - 2 * radius)  # mean velocity where the channel is narrowest
    cells = settings.frame_step * settings.oversampling / settings.spacing
    steps = ceil(cells * beside / settings.lattice_speed - 1e-9)
    return cells / steps, steps


def initial_fields(environment: str, settings: CylinderSettings, seed: int) -> NDArray[np.float64]:
    """Random starts on the solver's grid, [channel (u, v), trajectory, y, x]: the free stream and eddies upon it.

    The eddies have a streamfunction of Gaussian random Fourier modes, of wavenumbers up to `initial_modes` and a
    Gaussian spectrum of half that width, times a window that takes them to rest at the edges. Their velocity's standard
    deviation, over both components and the channel, is `initial_amplitude` in the ensemble. The same fields are sampled
    on every grid.
    """
    y, x = ((np.arange(size) + 0.5) / size for size in settings.solver_grid)
    highest = settings.initial_modes
    modes = np.arange(-highest, highest + 1)
    weights = np.exp(-(modes[:, None] ** 2 + modes**2) / (highest / 2) ** 2 / 2)

    def shapes(points: NDArray[np.float64], length: float) -> tuple[NDArray[np.complex128], NDArray[np.complex128]]:
        """Windowed waves exp(2 pi i k s) sin^2(pi s) for s = points, and their derivatives by length: [k, point]."""
        waves = np.exp(2j * np.pi * modes[:, None] * points)
        window, slope = np.sin(np.pi * points) ** 2, np.pi * np.sin(2 * np.pi * points)
        return waves * window, waves * (2j * np.pi * modes[:, None] * window + slope) / length

    waves_y, slopes_y = shapes(y, settings.height)
    waves_x, slopes_x = shapes(x, settings.length)
    power = [  # ensemble mean square over the channel of either component, per unit of amplitude
        (weights**2 * np.outer(*(np.mean(np.abs(part) ** 2, axis=1) for part in pair))).sum()
        for pair in ((slopes_y, waves_x), (waves_y, slopes_x))
    ]
    weights *= settings.initial_amplitude / np.sqrt(np.mean(power))
    fields = np.zeros((2, settings.trajectories, *settings.solver_grid))
    fields[0] = 1
    for trajectory in range(settings.trajectories):
        real, imaginary = trajectory_generator(seed, environment, trajectory).standard_normal((2, *weights.shape))
        spectrum = weights * (real + 1j * imaginary)
        fields[0, trajectory] += (slopes_y.T @ spectrum @ waves_x).real
        fields[1, trajectory] -= (waves_y.T @ spectrum @ slopes_x).real
    return fields


def trajectories(environments: Sequence[Environment], settings: Mapping[str, Any], seed: int) -> Iterator[Trajectories]:
    """Simulate one environment after the other; see `System.trajectories`."""
    checked = read_settings(CylinderSettings, settings, NAME)
    for environment in environments:
        require_parameters(environment, PARAMETERS, NAME)
        reynolds, radius = (environment.parameters[name] for name in PARAMETERS)
        _check(reynolds, radius, environment.id, checked)
    return (_simulate_environment(environment, checked, seed) for environment in environments)


def _simulate_environment(environment: Environment, settings: CylinderSettings, seed: int) -> Trajectories:
    reynolds, radius = (environment.parameters[name] for name in PARAMETERS)
    y, x = (settings.spacing * (np.arange(size, dtype=np.float64) + 0.5) for size in settings.grid)
    return Trajectories(
        values=_simulate_one(reynolds, radius, environment.id, settings, seed),
        channels=CHANNELS,
        time=settings.frame_step * np.arange(settings.frames, dtype=np.float64),
        y=y,
        x=x,
        environment=environment.id,
        parameters=environment.parameters,
    )


SYSTEM = System(NAME, PARAMETERS, CHANNELS, CylinderSettings, trajectories)
