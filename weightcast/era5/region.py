"""Square regions of the globe, and where their points are in a file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightcast.core.environment_table import Environment
from weightcast.core.errors import InputError

POINT_TOLERANCE = 1e-3
"""Degrees. Old files hold coordinates in single precision."""


@dataclass(frozen=True)
class Area:
    """A box in degrees, its edges being grid points. East is more than west; both may lie beyond 180."""

    north: float
    west: float
    south: float
    east: float

    @property
    def name(self) -> str:
        """Fit for a folder: `54N_8E_38N_24E`."""
        return "_".join(
            (
                f"{abs(self.north):g}{'S' if self.north < 0 else 'N'}",
                f"{abs(self.west):g}{'W' if self.west < 0 else 'E'}",
                f"{abs(self.south):g}{'S' if self.south < 0 else 'N'}",
                f"{abs(self.east):g}{'W' if self.east < 0 else 'E'}",
            )
        )

    def points(self, spacing: float) -> Region:
        """All points of the box, its edges included."""
        rows = round((self.north - self.south) / spacing) + 1
        columns = round((self.east - self.west) / spacing) + 1
        return Region(
            self.south + spacing * np.arange(rows, dtype=np.float64),
            self.west + spacing * np.arange(columns, dtype=np.float64),
        )


@dataclass(frozen=True, eq=False)
class Region:
    """Grid points.

    Attributes:
        latitude: float64 [y], degrees north, increasing.
        longitude: float64 [x], degrees east, increasing; beyond 180 where the region crosses that meridian.
    """

    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]

    @property
    def area(self) -> Area:
        """The box around all points, as a request names it: from -180 to 180, or from 0 to 360 across the date line."""
        edges = (self.latitude[-1], self.longitude[0], self.latitude[0], self.longitude[-1])
        return Area(*(round(float(edge), 6) for edge in edges))


def region_around(
    environment: Environment, size: float, spacing: float, offset: Sequence[float] = (0.0, 0.0)
) -> Region:
    """The square around an environment's centre, which is moved to the nearest grid point.

    Args:
        environment: with the parameters `latitude` and `longitude`, in degrees; longitude from -180 or from 0.
        size: degrees; `size / spacing` points along each side. With an even number of them the centre is the first
            point of the north-eastern quarter.
        spacing: degrees between points.
        offset: degrees (latitude, longitude) by which points lie beyond multiples of the spacing.

    Raises:
        InputError: the region reaches over a pole.
    """
    points = round(size / spacing)
    offsets = np.arange(points, dtype=np.float64) - points // 2
    latitude, longitude = (
        beyond + spacing * (round((environment.parameters[name] - beyond) / spacing) + offsets)
        for name, beyond in zip(("latitude", "longitude"), offset, strict=True)
    )
    if latitude[0] < -90 or latitude[-1] > 90:
        raise InputError(
            f"environment {environment.id}: parameter latitude: found {environment.parameters['latitude']:g}, expected "
            f"a centre from which a region of {size:g} degrees reaches over no pole"
        )
    # West of the date line at first. A region that crosses it goes on beyond 180, since east must be more than west.
    return Region(latitude, longitude - 360 * np.floor((longitude[0] + 180) / 360))


def find_points(
    stored: NDArray[np.float64], wanted: NDArray[np.float64], period: float | None = None
) -> NDArray[np.intp] | None:
    """Where `wanted` coordinates are among `stored` ones, or None if some are not there.

    Args:
        stored: in any order.
        wanted: the same unit.
        period: 360 for longitudes, of which 190 and -170 are then the same.
    """
    if not stored.size:
        return None
    distance = wanted[:, None] - stored
    if period is not None:
        distance = (distance + period / 2) % period - period / 2
    distance = np.abs(distance)
    nearest = distance.argmin(axis=1)
    found = distance[np.arange(len(wanted)), nearest] <= POINT_TOLERANCE
    return nearest if found.all() else None
