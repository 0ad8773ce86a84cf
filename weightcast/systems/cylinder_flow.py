"""Flow past a circular cylinder in a channel, in physical units, on top of the lattice Boltzmann solver.

The velocity scale U and the density are 1: velocities are in units of U, a Reynolds number is 2 radius / viscosity, and
lengths are in whatever unit the radius is given in. Times are in units of that length over U.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weightcast.systems.curved_boundary import Circle
from weightcast.systems.lattice_boltzmann import LatticeBoltzmann
from weightcast.systems.lattice_edges import Channel, Sides


class CylinderFlow:
    """Several flows past the same cylinder, each from its own start.

    Args:
        reynolds: U diameter / viscosity.
        radius: of the cylinder.
        domain: height and length of the channel, whole numbers of cells.
        centre: (y, x) of the cylinder's axis, counted from the lower corner at the inlet.
        sides: condition at the channel's sides.
        resolution: cells per unit of length.
        steps_per_time: time steps per unit of time; U is then resolution / steps_per_time cells per step, which should
            be small against the lattice's speed of sound, 0.577.
        flows: how many.
        inlet: [y], velocity at the inlet; None is 1 everywhere.

    Raises:
        ValueError: the cylinder crosses the edge of the channel.
    """

    def __init__(
        self,
        reynolds: float,
        radius: float,
        domain: tuple[float, float],
        centre: tuple[float, float],
        sides: Sides,
        resolution: float,
        steps_per_time: float,
        flows: int = 1,
        inlet: NDArray[np.float64] | None = None,
    ) -> None:
        height, width = (round(length * resolution) for length in domain)
        self.lattice_speed = resolution / steps_per_time
        """U in cells per step."""
        self.viscosity = self.lattice_speed * 2 * radius * resolution / reynolds
        """In cells^2 per step."""
        profile = np.ones(height) if inlet is None else inlet
        self.circle = Circle(centre[0] * resolution, centre[1] * resolution, radius * resolution)
        channel = Channel((height, width), sides, self.lattice_speed * profile)
        self.solver = LatticeBoltzmann(channel, flows, self.viscosity, [self.circle])

    def start(self, velocity: ArrayLike) -> None:
        """Start from velocities [(u, v), flow, y, x] on the solver's grid, whose points are the cells' centres."""
        u, v = self.lattice_speed * np.asarray(velocity, np.float64)
        self.solver.start(u, v)

    def advance(self, steps: int) -> None:
        """Advance by time steps."""
        self.solver.advance(steps)

    def velocity(self) -> NDArray[np.float64]:
        """[(u, v), flow, y, x]; 0 inside the cylinder."""
        return self.solver.velocity() / self.lattice_speed

    def force_coefficients(self) -> NDArray[np.float64]:
        """Drag and lift, [flow, 2]: force per length over U^2 radius (which is density U^2 diameter / 2)."""
        return self.solver.force(0) / (self.lattice_speed**2 * self.circle.radius)
