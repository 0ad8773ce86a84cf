"""Real weather: single-level variables of ERA5, cut into regions of the globe and seasons.

An environment is a square region and a season: `latitude` and `longitude` of its centre in degrees and, if the table
has a column `month`, the calendar month in the middle of its season. Its frames, `frame_hours` apart, are cut into
segments that overlap neither each other nor the end of a season; a segment is a trajectory. Trajectories are in the
order of time: whoever takes the first for training and the last for testing tests on later weather.

The files are the user's own or were downloaded by scripts/download_era5.py (the pipeline does it); weightcast.era5.read
says which layouts are understood. For an environment, those in `directory` itself count, and those in its subfolders
that are named after its area, north, west, south and east, such as 54N_8E_38.5N_23.5E; whatever covers the region.

ERA5 is on a regular grid of 0.25 degrees. With a wider `spacing` every n-th point is taken, as the archive itself does
where a coarser grid is asked for: nothing is averaged, so what is smaller than the spacing is aliased.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np

from weightcast.core.environment_table import Environment
from weightcast.core.errors import InputError
from weightcast.era5.checks import check_preliminary
from weightcast.era5.cut import FrameTimes, check_times, cut_trajectories, mean_step, reduce_wind
from weightcast.era5.read import find_files, read_region
from weightcast.era5.region import region_around
from weightcast.era5.settings import NAME, PARAMETERS, ERA5Settings
from weightcast.systems import System, read_settings, require_parameters
from weightcast.trajectories.record import Trajectories

CHANNELS = ERA5Settings().channels
_log = logging.getLogger(__name__)


def channels(settings: Mapping[str, Any]) -> tuple[str, ...]:
    """The channels that trajectories with these settings have; `CHANNELS` are those of the default settings.

    Raises:
        InputError: the settings cannot be used.
    """
    return read_settings(ERA5Settings, settings, NAME).channels


def trajectories(environments: Sequence[Environment], settings: Mapping[str, Any], seed: int) -> Iterator[Trajectories]:
    """Read and cut one environment after the other; see `System.trajectories`. The seed has no effect.

    `y` and `x` count degrees from a region's south-western corner, `time` hours from a segment's start. All parameters
    in the table are passed on as they are. Files are opened when an environment's turn comes.
    """
    checked = read_settings(ERA5Settings, settings, NAME)
    for environment in environments:
        require_parameters(environment, PARAMETERS, NAME)
        region_around(environment, checked.region_size, checked.spacing, checked.offset)
        FrameTimes.of(environment, checked)
    return (_cut_environment(environment, checked) for environment in environments)


def _cut_environment(environment: Environment, settings: ERA5Settings) -> Trajectories:
    region = region_around(environment, settings.region_size, settings.spacing, settings.offset)
    times = FrameTimes.of(environment, settings)
    where = f"environment {environment.id}"
    what = f"{where}: {', '.join(settings.variables)}"
    paths = find_files(settings.directory, (region.area.name,))
    if not paths:
        raise InputError(
            f"{where}: settings of {NAME}: directory: found no ERA5 file in {settings.directory} nor in its folder "
            f"{region.area.name}, expected files of your own, or a download (rule download_era5)"
        )
    try:
        fields = read_region(paths, settings.variables, region, times.wanted)
    except InputError as error:
        raise InputError(f"{where}: {error}") from None
    check_times(fields, times, what)
    check_preliminary(fields, settings.preliminary, what)
    values, units = reduce_wind(fields) if settings.wind_speed else (fields.values, dict(fields.units))
    cut = cut_trajectories(values, times.runs(fields.hours), settings.frames, settings.trajectories)
    if len(cut) < (settings.trajectories or 1):
        raise InputError(
            f"{what}: found {len(fields.hours)} frames, enough for {len(cut)} trajectories of {settings.frames}, "
            f"expected {settings.trajectories or 1} (data.trajectories, data.frames, periods)"
        )
    _log.info("%s: %d trajectories from %d frames of %d files", what, len(cut), len(fields.hours), len(paths))
    degrees = settings.spacing * np.arange(settings.grid_size, dtype=np.float64)
    return Trajectories(
        values=np.ascontiguousarray(cut),
        channels=settings.channels,
        time=mean_step(fields.hours, times) * np.arange(settings.frames, dtype=np.float64),
        y=degrees,
        x=degrees,
        environment=environment.id,
        parameters=environment.parameters,
        units={**units, "time": "hours", "y": "degrees", "x": "degrees"},
    )


SYSTEM = System(NAME, PARAMETERS, CHANNELS, ERA5Settings, trajectories, reads_files=True)
