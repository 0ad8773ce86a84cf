"""What to download: one file a month and region."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weightcast.core.environment_table import Environment
from weightcast.era5.cut import FrameTimes
from weightcast.era5.region import Area, Region, region_around
from weightcast.era5.settings import ERA5Settings
from weightcast.era5.times import month_hours
from weightcast.era5.variables import archive_name

DATASET = "reanalysis-era5-single-levels"


@dataclass(frozen=True)
class Request:
    """One month of an area.

    Attributes:
        month: such as 2020-01.
        area: its edges are grid points.
        spacing: degrees between the points that are needed; the archive has them 0.25 degrees apart.
        variables: their names in NetCDF.
        archive_names: their names in the archive.
        hours: of the day.

    Raises:
        InputError: it is no such month.
    """

    month: str
    area: Area
    spacing: float
    variables: tuple[str, ...]
    archive_names: tuple[str, ...]
    hours: tuple[int, ...]

    def __post_init__(self) -> None:
        month_hours(self.month)

    @property
    def what(self) -> str:
        """For messages."""
        return f"ERA5 {', '.join(self.variables)} of {self.month} in {self.area.name}"

    @property
    def region(self) -> Region:
        return self.area.points(self.spacing)

    @property
    def times(self) -> NDArray[np.int64]:
        """Every hour that is asked for, since 1970."""
        every = np.arange(*month_hours(self.month), dtype=np.int64)
        return every[np.isin(every % 24, self.hours)]

    def for_climate_data_store(self) -> dict[str, Any]:
        """As the Climate Data Store wants it."""
        days = np.unique(self.times.astype("datetime64[h]").astype("datetime64[D]"))
        area = self.area
        return {
            "product_type": ["reanalysis"],
            "variable": list(self.archive_names),
            "year": [self.month[:4]],
            "month": [self.month[5:]],
            "day": [str(day)[8:] for day in days],
            "time": [f"{hour:02d}:00" for hour in self.hours],
            "area": [area.north, area.west, area.south, area.east],
            "data_format": "netcdf",
            "download_format": "unarchived",  # a zip comes all the same where variables do not share their times
        }


def requests_of(environment: Environment, settings: ERA5Settings) -> list[Request]:
    """The months that an environment needs, in order; none without periods.

    Raises:
        InputError: its region or season cannot be, or a variable is not in the archive.
    """
    area = region_around(environment, settings.region_size, settings.spacing, settings.offset).area
    step = settings.frame_hours or 1
    names = tuple(archive_name(name, settings.archive_names) for name in settings.variables)
    hours = tuple(range(0, 24, step)) if 24 % step == 0 else tuple(range(24))
    return [
        Request(month, area, settings.spacing, tuple(settings.variables), names, hours)
        for month in FrameTimes.of(environment, settings).months
    ]


def plan_downloads(environments: Sequence[Environment], settings: ERA5Settings) -> dict[tuple[str, str], Request]:
    """Every request once, by the name of its area and its month: environments share regions, and seasons may overlap.

    Raises:
        InputError: see :func:`requests_of`.
    """
    every = [request for environment in environments for request in requests_of(environment, settings)]
    return {(request.area.name, request.month): request for request in every}
