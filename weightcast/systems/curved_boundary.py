"""No-slip on circles that cut through the lattice: interpolated bounce-back.

M. Bouzidi, M. Firdaouss and P. Lallemand, Momentum transfer of a Boltzmann-lattice fluid with boundaries, Phys. Fluids
13 (2001) 3452, with linear interpolation: second order in the cell size. A link leads from a fluid cell along a lattice
velocity to a solid cell, and the wall cuts it at a fraction of its length, in (0, 1].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightcast.systems.d2q9 import OPPOSITE, VELOCITIES, WEIGHTS
from weightcast.systems.lattice_edges import Incoming


@dataclass(frozen=True)
class Circle:
    """A circular wall. Lengths are in cells; the first cell's centre is at 0.5.

    Attributes:
        centre_y, centre_x: of the circle.
        radius: of the circle.
        solid_inside: whether the solid lies inside (a cylinder) or outside (a pipe).
        turn: velocity of the wall along itself, counterclockwise, in cells per step.
    """

    centre_y: float
    centre_x: float
    radius: float
    solid_inside: bool = True
    turn: float = 0.0

    def solid(self, shape: tuple[int, int]) -> NDArray[np.bool_]:
        """[y, x], which cells' centres are in the solid."""
        y, x = (np.arange(size) + 0.5 for size in shape)
        squared = (y[:, None] - self.centre_y) ** 2 + (x - self.centre_x) ** 2
        return (squared < self.radius**2) == self.solid_inside


@dataclass(frozen=True)
class Links:
    """The links that cut one circle, each array [link].

    Attributes:
        incoming: the populations that come back from the wall, by the solid cell that they seem to come from.
        outgoing: place of the population that goes into the wall, in its fluid cell.
        arriving: place of that population in the solid cell where it would arrive.
        direction: [link, (x, y)], the velocity of the outgoing population.
        fraction: of the link that lies in the fluid.
        steepness: cosine of the angle between the link and the wall's normal.
    """

    incoming: Incoming
    outgoing: NDArray[np.int64]
    arriving: NDArray[np.int64]
    direction: NDArray[np.int64]
    fraction: NDArray[np.float64]
    steepness: NDArray[np.float64]


def circle_links(circle: Circle, solid: NDArray[np.bool_]) -> Links:
    """The links between fluid and this circle.

    Where a wall is concave, or two are close, a link may have but one cell of fluid on its line. There the wall is
    taken to lie halfway, which is what the interpolation comes to without a second cell.

    Args:
        circle: the wall.
        solid: [y, x], the cells inside this or any other solid.

    Raises:
        ValueError: the circle crosses the edge of the lattice.
    """
    own = circle.solid((solid.shape[0], solid.shape[1]))
    border = np.concatenate([own[0], own[-1], own[:, 0], own[:, -1]])
    if border.any() and not border.all():
        raise ValueError(f"{circle} crosses the edge of a lattice of {solid.shape[0]} x {solid.shape[1]} cells")
    padded = np.pad(solid, 1, constant_values=True)  # the halo does not count as fluid
    rows: list[NDArray[np.int64]] = []
    for population, (velocity_x, velocity_y) in enumerate(VELOCITIES.tolist()):
        beyond = np.pad(own, 1)[1 + velocity_y :, 1 + velocity_x :][: solid.shape[0], : solid.shape[1]]
        y, x = np.nonzero(~solid & beyond)
        rows.append(np.stack([np.full_like(y, population), y + 1, x + 1]))
    population, y, x = np.concatenate(rows, axis=1)
    velocity_x, velocity_y = VELOCITIES[population].T
    fraction = _cut(circle, y - 0.5, x - 0.5, velocity_y, velocity_x)
    normal_y = (y - 0.5 + fraction * velocity_y - circle.centre_y) / circle.radius
    normal_x = (x - 0.5 + fraction * velocity_x - circle.centre_x) / circle.radius
    along = circle.turn * (normal_x * velocity_y - normal_y * velocity_x)
    steepness = np.abs(normal_x * velocity_x + normal_y * velocity_y) / np.hypot(velocity_x, velocity_y)

    def place(population: NDArray[np.int64], y: NDArray[np.int64], x: NDArray[np.int64]) -> NDArray[np.int64]:
        return np.ravel_multi_index((population, y, x), (9, *padded.shape)).astype(np.int64)

    outgoing, back = place(population, y, x), OPPOSITE[population]
    near = fraction < 0.5
    fraction_used = np.where(near & padded[y - velocity_y, x - velocity_x], 0.5, fraction)
    far = 1 / (2 * fraction_used)
    incoming = Incoming(
        place=place(back, y + velocity_y, x + velocity_x),
        source=outgoing,
        weight=np.where(near, 2 * fraction_used, far),
        second=np.where(near, place(population, y - velocity_y, x - velocity_x), place(back, y, x)),
        second_weight=np.where(near, 1 - 2 * fraction_used, 1 - far),
        hold=np.zeros(len(outgoing)),
        constant=-6 * WEIGHTS[population] * along * np.where(near, 1.0, far),
    )
    arriving = place(population, y + velocity_y, x + velocity_x)
    return Links(incoming, outgoing, arriving, VELOCITIES[population], fraction, steepness)


def velocity_at_wall(links: Links, velocity: NDArray[np.float64]) -> NDArray[np.float64]:
    """A velocity field at the wall: its quadratic extrapolation along every steep link to where the wall cuts it.

    At a resting wall this is how far no-slip is missed, plus the error of the extrapolation. Links less steep than a
    cosine of 0.9 would be extrapolated along the wall rather than towards it; the others reach all parts of it.

    Args:
        links: of a wall with at least three cells of fluid beside it.
        velocity: [..., y, x].

    Returns:
        [..., link].
    """
    height, width = velocity.shape[-2:]
    steep = links.steepness > 0.9
    _, y, x = np.unravel_index(links.outgoing[steep], (9, height + 2, width + 2))
    step_x, step_y = links.direction[steep].T
    first, second, third = (velocity[..., y - 1 - back * step_y, x - 1 - back * step_x] for back in range(3))
    s = links.fraction[steep]
    wall: NDArray[np.float64] = (s + 1) * (s + 2) / 2 * first - s * (s + 2) * second + s * (s + 1) / 2 * third
    return wall


def _cut(
    circle: Circle,
    y: NDArray[np.float64],
    x: NDArray[np.float64],
    velocity_y: NDArray[np.int64],
    velocity_x: NDArray[np.int64],
) -> NDArray[np.float64]:
    """Where the circle cuts the links from (y, x), as fractions of their length: the root of a quadratic."""
    offset_y, offset_x = y - circle.centre_y, x - circle.centre_x
    square = velocity_y**2 + velocity_x**2
    half = offset_y * velocity_y + offset_x * velocity_x
    rest = offset_y**2 + offset_x**2 - circle.radius**2
    root = np.sqrt(half**2 - square * rest)
    fraction: NDArray[np.float64] = (-half - root if circle.solid_inside else -half + root) / square
    return np.clip(fraction, 1e-6, 1.0)
