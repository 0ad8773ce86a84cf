"""Incompressible flow in the plane by the lattice Boltzmann method (D2Q9), several flows at once.

A step is: collide (one matrix product a cell, see `collision_matrix`), set the populations that enter from edges and
bodies, stream. Second order in the cell size; compressibility errors are of the order of the squared Mach number.
Everything is float64. Lengths are in cells and times in steps.

The order of the axes, [population, flow, y, x], makes the collision a product of a 9 x 12 matrix with a wide one, which
is done in blocks of columns that stay in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import ceil

import numpy as np
from numpy.typing import ArrayLike, NDArray

from weightcast.systems.curved_boundary import Circle, circle_links
from weightcast.systems.d2q9 import VELOCITIES, collision_matrix, equilibrium
from weightcast.systems.lattice_edges import Channel, Incoming

_BLOCK = 8192
"""Most columns of a matrix product; 21 numbers each, which together stay below the size of a core's own cache."""


class LatticeBoltzmann:
    """Flows of one fluid through one channel, each from its own start.

    Args:
        channel: its cells and edges.
        flows: how many.
        viscosity: kinematic, in cells^2 per step.
        circles: bodies or walls in the channel.
        odd_rate: see `collision_matrix`.

    Raises:
        ValueError: a circle crosses the edge of the channel.
    """

    def __init__(
        self,
        channel: Channel,
        flows: int,
        viscosity: float,
        circles: Sequence[Circle] = (),
        odd_rate: float = 1.0,
    ) -> None:
        height, width = channel.shape
        cells = flows * (height + 2) * (width + 2)
        self._collision = collision_matrix(viscosity, odd_rate)
        self._momentum = np.ascontiguousarray(VELOCITIES.T, np.float64)
        self._state = np.zeros((12, cells))  # the populations, then u^2, v^2 and u v
        self._collided = np.zeros((9, cells))
        edges = np.linspace(0, cells, ceil(cells / _BLOCK) + 1).astype(int)
        self._blocks = [
            (self._state[:, first:last], np.empty((2, last - first)), self._collided[:, first:last])
            for first, last in pairwise(edges)
        ]

        self.solid = np.zeros(channel.shape, bool)
        for circle in circles:
            self.solid |= circle.solid(channel.shape)
        self.links = [circle_links(circle, self.solid) for circle in circles]

        def each_flow(places: NDArray[np.int64]) -> NDArray[np.int64]:
            """From places in [population, y, x] to places in [population, flow, y, x]: [flow, place], flat."""
            size = (height + 2) * (width + 2)
            population, cell = np.divmod(places, size)
            flow = np.arange(flows)[:, None]
            return ((population * flows + flow) * size + cell).reshape(-1)

        every = [channel.incoming(), *(each.incoming for each in self.links)]
        joined = Incoming(*(np.concatenate(parts) for parts in zip(*every, strict=True)))
        self._incoming = joined._replace(
            place=each_flow(joined.place),
            source=each_flow(joined.source),
            second=each_flow(joined.second),
            weight=np.tile(joined.weight, flows),
            second_weight=np.tile(joined.second_weight, flows),
            hold=np.tile(joined.hold, flows),
            constant=np.tile(joined.constant, flows),
        )
        self._arriving = np.concatenate([np.zeros(0, np.int64), *(each_flow(each.arriving) for each in self.links)])
        self._exchanges = [
            (each_flow(each.outgoing), each_flow(each.incoming.place), each.direction) for each in self.links
        ]
        shape = (9, flows, height + 2, width + 2)
        self._views = self._streaming_views(shape)
        self._entering = np.zeros(len(self._incoming.place))
        self.populations = self._state[:9].reshape(shape)[:, :, 1:-1, 1:-1]
        """[population, flow, y, x]; deviations from rest. Those in solid cells are 0."""

    def _streaming_views(self, shape: tuple[int, ...]) -> list[tuple[NDArray[np.float64], NDArray[np.float64]]]:
        """For each population, where it arrives and where it comes from, as views. The state's halo stays 0."""
        height, width = shape[2] - 2, shape[3] - 2
        state, collided = self._state[:9].reshape(shape), self._collided.reshape(shape)
        return [
            (state[k, :, 1:-1, 1:-1], collided[k, :, 1 - y : 1 - y + height, 1 - x : 1 - x + width])
            for k, (x, y) in enumerate(VELOCITIES.tolist())
        ]

    def start(self, velocity_x: ArrayLike, velocity_y: ArrayLike, density: ArrayLike = 0.0) -> None:
        """Set every flow to the equilibrium of these fields, each of a shape that broadcasts to [flow, y, x]."""
        shape = self.populations.shape[1:]
        fields = (np.broadcast_to(np.asarray(field, np.float64), shape) for field in (density, velocity_x, velocity_y))
        self.populations[:] = equilibrium(*fields)
        self.populations[:, :, self.solid] = 0
        self._entering = self._state.reshape(-1)[self._incoming.source]  # for what is held, as at an outlet

    def advance(self, steps: int = 1) -> None:
        """Advance all flows. Whoever uses the fields checks that they are finite."""
        with np.errstate(over="ignore", invalid="ignore"):
            for _ in range(steps):
                self._collide()
                self._enter()
                for arrives, leaves in self._views:
                    arrives[...] = leaves
                self._state.reshape(-1)[self._arriving] = 0  # the inside of a body stays at rest

    def _collide(self) -> None:
        for state, velocity, collided in self._blocks:
            np.matmul(self._momentum, state[:9], out=velocity)
            np.multiply(velocity, velocity, out=state[9:11])
            np.multiply(velocity[0], velocity[1], out=state[11])
            np.matmul(self._collision, state, out=collided)

    def _enter(self) -> None:
        flat, incoming, values = self._collided.reshape(-1), self._incoming, self._entering
        values *= incoming.hold
        values += incoming.constant
        values += flat[incoming.source] * incoming.weight
        values += flat[incoming.second] * incoming.second_weight
        flat[incoming.place] = values

    def velocity(self) -> NDArray[np.float64]:
        """[(u, v), flow, y, x], in cells per step; 0 in solid cells."""
        return np.tensordot(self._momentum, self.populations, axes=1)

    def density(self) -> NDArray[np.float64]:
        """[flow, y, x], the deviation from 1; three times the pressure. 0 in solid cells."""
        return self.populations.sum(axis=0)

    def force(self, circle: int) -> NDArray[np.float64]:
        """[flow, (x, y)], force of the fluid on a circle during the last step, by momentum exchange along its links.

        A. J. C. Ladd, Numerical simulations of particulate suspensions via a discretized Boltzmann equation, part 1,
        J. Fluid Mech. 271 (1994) 285.
        """
        outgoing, incoming, direction = self._exchanges[circle]
        flat = self._collided.reshape(-1)
        exchanged = (flat[outgoing] + flat[incoming]).reshape(self.populations.shape[1], -1)
        return exchanged @ direction
