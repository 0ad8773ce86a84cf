"""What comes back from the four edges of a lattice Boltzmann channel, as one sparse linear map.

The channel is surrounded by a halo one cell wide, and the boundary lies halfway between halo and channel. Before the
populations stream, those in the halo that will enter the channel are set, each from one population inside:

    inlet (x = 0)       halfway bounce-back with the inlet's velocity: prescribes the flux exactly
    outlet (x = end)    convective: a population p that enters obeys dp/dt + U dp/dx = 0 with the inlet's mean velocity
                        U, so that vortices leave undistorted; it is also drawn by `OUTLET_PULL` towards the inlet's
                        stream at reference pressure, lest the mean pressure drift
    sides: free-slip    specular reflection
    sides: no-slip      halfway bounce-back, with the velocity of the wall if it moves along itself
    periodic            the population at the other end

(Walls: T. Krueger et al., The Lattice Boltzmann Method, Springer 2017, chapter 5. Outlet: Z. Yang, Lattice Boltzmann
outflow treatments: Convective conditions and others, Comput. Math. Appl. 65 (2013) 160.) Of a vortex that leaves, the
domain keeps an error of a few hundredths of its velocity next to the outlet; of a pulse of sound, a quarter returns.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from weightcast.systems.d2q9 import INDEX, OPPOSITE, VELOCITIES, WEIGHTS, equilibrium

Sides = Literal["free-slip", "no-slip", "periodic"]

OUTLET_PULL = 0.01


class Incoming(NamedTuple):
    """Populations that enter the fluid from outside.

    The value of each is weight * source + second_weight * second + hold * (its own value a step earlier) + constant.
    Arrays are [population that enters]; places are flat indices into [population, y, x], the halo included.
    """

    place: NDArray[np.int64]
    source: NDArray[np.int64]
    weight: NDArray[np.float64]
    second: NDArray[np.int64]
    second_weight: NDArray[np.float64]
    hold: NDArray[np.float64]
    constant: NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Channel:
    """A rectangle of cells and its edges.

    Attributes:
        shape: cells along y and x.
        sides: condition at the lower and the upper edge.
        inlet_velocity: [y], along x, in cells per step; None for a channel that is periodic along x.
        wall_velocity: along x, of the lower and the upper wall; for no-slip sides.
    """

    shape: tuple[int, int]
    sides: Sides
    inlet_velocity: NDArray[np.float64] | None
    wall_velocity: tuple[float, float] = (0.0, 0.0)

    def incoming(self) -> Incoming:
        """All populations that enter the channel through its edges."""
        height, width = self.shape
        halo = [(y, x) for y in (0, height + 1) for x in range(width + 2)]
        halo += [(y, x) for y in range(1, height + 1) for x in (0, width + 1)]
        rows = [
            (self._flat(population, y, x), *self._origin(population, y, x))
            for population, (velocity_x, velocity_y) in enumerate(VELOCITIES.tolist())
            for y, x in halo
            if 1 <= y + velocity_y <= height and 1 <= x + velocity_x <= width
        ]
        place, source, weight, hold, constant = (np.array(column) for column in zip(*rows, strict=True))
        return Incoming(place, source, weight, source, np.zeros(len(place)), hold, constant)

    def _flat(self, population: int, y: int, x: int) -> int:
        height, width = self.shape
        return (population * (height + 2) + y) * (width + 2) + x

    def _origin(self, population: int, y: int, x: int) -> tuple[int, float, float, float]:
        """(place, weight, hold, constant) of the population that leaves a cell; corners take two edges in turn."""
        height, width = self.shape
        velocity_x, velocity_y = VELOCITIES[population].tolist()
        opposite = int(OPPOSITE[population])
        if not 1 <= y <= height:
            if self.sides == "periodic":
                return self._origin(population, y % height or height, x)
            inner = min(max(y, 1), height)
            if self.sides == "free-slip":
                return self._origin(INDEX[velocity_x, -velocity_y], inner, x)
            gain = 6 * WEIGHTS[population] * velocity_x * self.wall_velocity[int(y > height)]
            source, weight, hold, constant = self._origin(opposite, inner, x + velocity_x)
            return source, weight, hold, constant + gain
        if not 1 <= x <= width:
            if self.inlet_velocity is None:
                return self._origin(population, y, x % width or width)
            own = self.inlet_velocity[y - 1]
            if x < 1:
                beside = self.inlet_velocity[min(max(y + velocity_y, 1), height) - 1]
                gain = 6 * WEIGHTS[population] * (own + beside) / 2
                source, weight, hold, constant = self._origin(opposite, y + velocity_y, x + velocity_x)
                return source, weight, hold, constant + gain
            share = float(self.inlet_velocity.mean())  # of what the neighbour has, carried outwards in a step
            stream = float(equilibrium(0.0, own, 0.0)[population])
            inside = self._flat(population, y, width)
            return inside, share * (1 - OUTLET_PULL), 1 - share, share * OUTLET_PULL * stream
        return self._flat(population, y, x), 1.0, 0.0, 0.0
