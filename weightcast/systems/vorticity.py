"""The vorticity equation of a two-dimensional incompressible flow in a periodic square, forced, viscous and with drag.

    omega_t + u omega_x + v omega_y = nu lap omega - mu omega + f
    u = psi_y,  v = -psi_x,  lap psi = -omega          (so omega = v_x - u_y)

nu is the kinematic viscosity, mu the rate of a linear (Rayleigh, Ekman) drag, and f(x, y), which is steady, the curl
of the force. Vorticity and forcing have mean zero, and the mean velocity is zero.

Space: Fourier-Galerkin with all waves |kx|, |ky| <= K, K the largest whole number below a third of the grid points
along a side, so that products are free of aliasing (S. A. Orszag's 2/3 rule, J. Atmos. Sci. 28 (1971) 1074). Advection
is computed from the velocities, as -(d_xx - d_yy)(u v) - d_xy(v^2 - u^2): four transforms instead of the five or more
of other forms (C. Basdevant, J. Comput. Phys. 50 (1983) 209). Without viscosity, drag and forcing the truncated
equations conserve energy and enstrophy.

Time: ETDRK4, in which viscosity, drag and the waves' response to a steady force are exact. Time is cut into intervals
of at most `inner_step`, and every interval into so many equal steps that none is longer than
`courant` dx / max(|u| + |v|) with the velocities at the interval's beginning.

Refused, by an error that names environment and time: a field that is not finite or too fast for any step, and a
spectrum that does not fall off towards K (`largest_tail`), since then smaller eddies are missing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field
from scipy import fft

from weightcast.core.environment_table import Environment
from weightcast.core.errors import InputError
from weightcast.systems import SystemSettings
from weightcast.systems.etdrk4 import ETDRK4
from weightcast.systems.seeds import trajectory_generator
from weightcast.trajectories.record import Trajectories

Modes = NDArray[Any]
"""Complex modes of a real field, [ky, kx]: ky in the order of the fast Fourier transform, kx from 0 to K."""

CHANNELS = ("vorticity",)
MOST_STEPS = 2**12
"""In an interval of `inner_step`; a flow that needs more is one that blows up."""


class VorticitySettings(SystemSettings):
    """Settings of every simulation of the vorticity equation. Lengths and times are in the equations' own units."""

    trajectories: int = Field(
        default=22, ge=1, description="trajectories per environment, each from its own random start"
    )
    frames: int = Field(default=61, ge=1, description="frames per trajectory, the start included")
    frame_step: float = Field(default=1.0, gt=0, description="time between frames")
    grid_size: int = Field(default=32, ge=4, description="grid points along each side")
    oversampling: int = Field(default=1, ge=1, description="the solver's grid is this many times finer")
    spin_up: float = Field(default=0.0, ge=0, description="time simulated before the first frame")
    inner_step: float = Field(default=0.1, gt=0, description="longest time step of the solver")
    courant: float = Field(
        default=1.0, gt=0, le=1, description="grid cells that the flow crosses in a time step, at most"
    )
    largest_tail: float = Field(
        default=1e-3, gt=0, le=1, description="share of the enstrophy in the shortest resolved waves, at most"
    )

    @property
    def solver_size(self) -> int:
        return self.grid_size * self.oversampling


@dataclass(frozen=True, eq=False)
class Flow:
    """The equation of one environment.

    Attributes:
        environment: id, for errors.
        viscosity: nu.
        drag: mu.
        forcing: f on the solver's grid, [y, x]; its mean has no effect.
        length: of the domain's sides.
    """

    environment: str
    viscosity: float
    drag: float
    forcing: NDArray[np.float64]
    length: float


def simulate(
    environment: Environment,
    start: NDArray[np.float64],
    flow: Flow,
    settings: VorticitySettings,
    spin_up_flow: Flow | None = None,
) -> Trajectories:
    """What `solve` yields, at the points of the frames' grid and with its description."""
    skip, size = settings.oversampling, settings.grid_size
    values = np.empty((len(start), settings.frames, 1, size, size), np.float32)
    for frame, field in enumerate(solve(start, flow, settings, spin_up_flow)):
        values[:, frame, 0] = field[:, ::skip, ::skip]
    grid = flow.length / size * np.arange(size, dtype=np.float64)
    return Trajectories(
        values=values,
        channels=CHANNELS,
        time=settings.frame_step * np.arange(settings.frames, dtype=np.float64),
        y=grid,
        x=grid,
        environment=environment.id,
        parameters=environment.parameters,
    )


def solve(
    start: NDArray[np.float64], flow: Flow, settings: VorticitySettings, spin_up_flow: Flow | None = None
) -> Iterator[NDArray[np.float64]]:
    """Solve the equation from given vorticities, and yield the vorticity at every frame.

    Args:
        start: [trajectory, y, x] on the solver's grid, at the beginning of the spin-up. Mean and waves beyond K are
            left out.
        flow: the equation.
        settings: `frames`, `frame_step`, `spin_up` and those of the solver are used.
        spin_up_flow: the equation during the spin-up, if it is another.

    Yields:
        float64 [trajectory, y, x].

    Raises:
        InputError: the flow blows up or is not resolved; the message names environment and time, which counts from the
            beginning of the spin-up.
    """
    size = start.shape[-1]
    solver = GalerkinSolver(flow, size, settings)
    spinning = solver if spin_up_flow is None else GalerkinSolver(spin_up_flow, size, settings)
    states = [solver.modes(field) for field in start]
    if settings.spin_up > 0:
        states = [spinning.march(modes, settings.spin_up, 0.0) for modes in states]
    for frame in range(settings.frames):
        time = settings.spin_up + frame * settings.frame_step
        if frame > 0:
            states = [solver.march(modes, settings.frame_step, time - settings.frame_step) for modes in states]
        if time > 0:  # a random start falls off as a power of the wavenumber, and is what it is
            for modes in states:
                solver.require_resolved(modes, time)
        yield np.stack([solver.field(modes) for modes in states])


def highest_wave(size: int) -> int:
    """K: the shortest waves that a grid of `size` points along each side keeps, in waves per side."""
    return (size - 1) // 3


class GalerkinSolver:
    """Marches the modes of a vorticity in time.

    One trajectory at a time: its arrays stay in the processor's cache (a batch of 22 on 64 x 64 points takes twice as
    long), and its time step and its bits depend on no other.

    Args:
        flow: the equation.
        size: grid points along each side.
        settings: `inner_step`, `courant` and `largest_tail` are used.
    """

    def __init__(self, flow: Flow, size: int, settings: VorticitySettings) -> None:
        self.flow = flow
        self.settings = settings
        self._size = size
        highest = highest_wave(size)
        waves_y, waves_x = fft.fftfreq(size, 1 / size)[:, None], np.arange(highest + 1.0)
        largest = np.maximum(np.abs(waves_y), waves_x)
        self._kept = (largest > 0) & (largest <= highest)
        self._shortest = largest == highest
        self._multiplicity = np.where(waves_x > 0, 2.0, 1.0)  # a wave with kx > 0 stands for its conjugate as well

        wavenumber_y, wavenumber_x = (2 * np.pi / flow.length * waves for waves in (waves_y, waves_x))
        squared = wavenumber_y**2 + wavenumber_x**2
        stream = self._kept / np.where(squared > 0, squared, 1)
        self._to_velocity = np.stack([1j * wavenumber_y * stream, -1j * wavenumber_x * stream])
        self._of_product = self._kept * (wavenumber_x**2 - wavenumber_y**2)
        self._of_difference = self._kept * (wavenumber_x * wavenumber_y)
        self._linear = -flow.viscosity * squared - flow.drag
        self._forcing = self.modes(flow.forcing)
        self._marchers: dict[float, ETDRK4] = {}

    def modes(self, field: NDArray[np.float64]) -> Modes:
        """The kept modes of a field: [y, x] -> [ky, kx]."""
        return self._transform(field) * self._kept

    def field(self, modes: Modes) -> NDArray[np.float64]:
        """[ky, kx] -> [y, x]; leading axes are carried along."""
        columns = fft.ifft(modes, axis=-2, workers=1)
        field: NDArray[np.float64] = fft.irfft(columns, n=self._size, axis=-1, workers=1)
        return field

    def _transform(self, field: NDArray[np.float64]) -> Modes:
        rows = fft.rfft(field, axis=-1, workers=1)[..., : self._kept.shape[-1]]
        modes: Modes = fft.fft(rows, axis=-2, workers=1)
        return modes

    def march(self, modes: Modes, duration: float, time: float) -> Modes:
        """The modes `duration` later; `time` is now, for errors.

        Raises:
            InputError: the flow blows up.
        """
        intervals = ceil(duration / self.settings.inner_step - 1e-9)
        interval = duration / intervals
        for index in range(intervals):
            steps = self._steps(modes, interval, time + index * interval)
            marcher = self._marcher(interval / steps)
            with np.errstate(over="ignore", invalid="ignore"):  # a blow-up is reported with the next interval
                for _ in range(steps):
                    modes = marcher.advance(modes)
        return modes

    def require_resolved(self, modes: Modes, time: float) -> None:
        """Raise an `InputError` if the field is not finite or too much enstrophy is in the shortest kept waves."""
        with np.errstate(over="ignore", invalid="ignore"):
            enstrophy = self._multiplicity * np.abs(modes) ** 2
            total, tail = float(enstrophy.sum()), float(enstrophy[self._shortest].sum())
        self._require_finite(total, time)
        if tail > self.settings.largest_tail * total:
            raise InputError(
                f"environment {self.flow.environment}: the flow is not resolved at time {time:g}: found "
                f"{tail / total:.2g} of the enstrophy in the shortest waves of a grid of {self._size} points, expected "
                f"at most {self.settings.largest_tail:g} (settings: raise grid_size or oversampling, or largest_tail)"
            )

    def _steps(self, modes: Modes, interval: float, time: float) -> int:
        """Into how many steps to divide an interval that begins with these modes."""
        with np.errstate(over="ignore", invalid="ignore"):
            speed = float(np.abs(self._velocity(modes)).sum(axis=0).max())
        self._require_finite(speed, time)
        steps = interval * speed * self._size / (self.settings.courant * self.flow.length)
        if steps > MOST_STEPS:
            raise InputError(
                f"environment {self.flow.environment}: the flow blows up at time {time:g}: found a speed of "
                f"{speed:.3g}, expected one that needs at most {MOST_STEPS} steps in a time of {interval:g}"
            )
        return max(1, ceil(steps))

    def _require_finite(self, value: float, time: float) -> None:
        if not isfinite(value):
            raise InputError(
                f"environment {self.flow.environment}: the simulation found no finite field at time {time:g}, expected "
                "one (settings: courant or inner_step may be too large)"
            )

    def _marcher(self, step: float) -> ETDRK4:
        if step not in self._marchers:
            self._marchers[step] = ETDRK4(self._linear, self._rate, step)
        return self._marchers[step]

    def _velocity(self, modes: Modes) -> NDArray[np.float64]:
        """[ky, kx] -> (u, v) on the grid, [2, y, x]."""
        return self.field(self._to_velocity * modes)

    def _rate(self, modes: Modes) -> Modes:
        """Advection and forcing."""
        u, v = self._velocity(modes)
        product, difference = self._transform(np.stack([u * v, (v - u) * (v + u)]))
        product *= self._of_product
        difference *= self._of_difference
        product += difference
        product += self._forcing
        rate: Modes = product
        return rate


def random_vorticity(
    seed: int,
    key: str,
    trajectories: int,
    size: int,
    length: float,
    smoothness: float,
    inverse_length: float,
) -> NDArray[np.float64]:
    """Gaussian random fields of mean zero with the covariance (-lap + tau^2)^(-alpha), periodic in a square.

    They have all waves that a solver on this grid keeps. On a finer grid these stay as they are and shorter ones join.

    Args:
        seed: of the study.
        key: what else than the trajectory's index decides the numbers, such as the environment's id.
        trajectories: how many.
        size: grid points along each side.
        length: of the sides.
        smoothness: alpha, above 1.
        inverse_length: tau.

    Returns:
        float64 [trajectory, y, x].
    """
    highest = highest_wave(size)
    waves = np.arange(-highest, highest + 1)
    y, x = (grid.ravel() for grid in np.meshgrid(waves, waves[highest:], indexing="ij"))
    half = (x > 0) | (y > 0)  # of each pair of conjugate waves one
    y, x = y[half], x[half]
    order = np.lexsort((y, x, np.maximum(np.abs(y), x)))  # by rings of growing wavenumber: a finer grid adds rings
    y, x = y[order], x[order]
    # A covariance operator's eigenvalue is the variance per unit of area: waves of a unit of mean square, cos and sin
    # of sqrt(2), on an area of length^2.
    variance = ((2 * np.pi / length) ** 2 * (y**2 + x**2) + inverse_length**2) ** -smoothness / length**2
    spectra = np.zeros((trajectories, size, size // 2 + 1), np.complex128)
    for trajectory, spectrum in enumerate(spectra):
        cosine, sine = trajectory_generator(seed, key, trajectory).standard_normal((len(y), 2)).T
        spectrum[y, x] = np.sqrt(variance / 2) * (cosine - 1j * sine)
        column = spectrum[:, 0]
        column[-1 : -highest - 1 : -1] = column[1 : highest + 1].conj()
    fields: NDArray[np.float64] = fft.irfft2(spectra, s=(size, size), norm="forward", workers=1)
    return fields
