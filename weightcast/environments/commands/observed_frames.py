"""Frames that a user observed: read tolerantly, since they may be a single frame or a single trajectory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import torch
import xarray as xr
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.config.regrid_settings import RegridSettings
from weightcast.core.dimensions import DIMENSIONS
from weightcast.core.errors import InputError
from weightcast.core.zarr_folder import is_store
from weightcast.environments.commands.frames_table import (
    FileReading,
    is_frames_table,
    read_frames_table,
    until_last_seen,
)
from weightcast.trajectories import checks, read_npy_environment
from weightcast.trajectories.common_grid import regridded
from weightcast.trajectories.land import declared_land, filled_land
from weightcast.trajectories.netcdf import check_whole, open_dataset, unreadable

OPTIONAL = DIMENSIONS[:2]
FRAME_STEP_TOLERANCE = 1e-3


@dataclass(frozen=True, eq=False)
class ObservedFrames:
    """Frames of one environment.

    Attributes:
        values: float32 [trajectory, time, channel, y, x], in physical units.
        time: float64 [time], as in the file; None where it says nothing of time.
        frame_step: between all frames of the file, in its unit; None if there is only one or they are not equally far
            apart.
        coordinates: of the other dimensions, as in the file; those that it does not have are left out.
        attributes: of the time coordinate and of each channel.
        land: where a channel has no value in any frame, and the study's number stands in its place [channel, y, x];
            None: nowhere.
    """

    values: NDArray[np.float32]
    time: NDArray[np.float64] | None
    frame_step: float | None
    coordinates: Mapping[str, xr.Variable]
    attributes: Mapping[str, Mapping[str, object]]
    land: NDArray[np.bool_] | None = None

    @property
    def land_tensor(self) -> Tensor | None:
        """Where there is land, for searches: bool [channel, y, x]; None: nowhere."""
        return None if self.land is None else torch.from_numpy(self.land)

    def with_land(
        self, channels: Sequence[str], land: Mapping[str, float], nowhere: NDArray[np.bool_] | None = None
    ) -> ObservedFrames:
        """The same with the study's number (``data.land``) wherever one of its channels never has a value; where that
        is [channel, y, x] these frames say, unless others of the file have."""
        nowhere = declared_land(self.values, channels, land) if nowhere is None else nowhere
        if not nowhere.any():
            return self
        return replace(self, values=filled_land(self.values, channels, land, nowhere), land=nowhere)


def read_observed_frames(
    path: str | Path,
    channels: Sequence[str],
    grid: Sequence[int],
    frame: int | None = None,
    masked: bool = False,
    coarse: bool = False,
    reading: FileReading | None = None,
) -> ObservedFrames:
    """Read and validate frames from NetCDF with the dimensions (trajectory, time, y, x), the first two optional.

    Where the grid is a single point, y and x may be missing, too. An array in `.npy`, (time, channel, x, y) or (time,
    channel), is a trajectory as well; it says nothing of time. A table of a state without a grid is one, as far as its
    last row with a value.

    Args:
        path: of the file.
        channels: variables to read, in this order.
        grid: expected number of points (y, x).
        frame: index of the only frame wanted, from the end if negative; all if None.
        masked: whether values may be NaN, which were not seen.
        coarse: whether the grid may be every k-th point of the expected one; the values are then on that of the file.
        reading: how files of the study's kind are read; None: they are recognised by themselves.

    Raises:
        InputError: the file is missing, unreadable or truncated, has other channels, dimensions or points, has no such
            frame; or a value is not finite.
    """
    path = Path(path)
    if path.suffix == ".npy":
        return _of_array(path, channels, grid, frame, coarse, None if reading is None else reading.missing)
    try:
        reading = reading or FileReading()
        with _open(path, channels, reading) as opened:
            dataset = reading.named(opened, path)
            for name in channels:
                _check_channel(path, dataset, name, channels[0], grid)
            found_grid = (dataset.sizes.get("y", 1), dataset.sizes.get("x", 1))
            other = found_grid != tuple(grid) and not (coarse and is_coarser(found_grid, grid))
            if other and reading.regrid is None:
                checks.check_grid(path, found_grid, (grid[0], grid[1]))
            frame_step = _frame_step(_time(path, dataset))
            # Files of the same places may be stored from north to south or the other way.
            backwards = [name for name in ("y", "x") if _decreases(path, dataset, name)]
            dataset = dataset.isel({name: slice(None, None, -1) for name in backwards})
            land = None  # of all frames: what a cloud hides in one of them is a gap
            if reading.land and not masked:
                every = np.stack([_channel(dataset, name) for name in channels], axis=2)
                land = declared_land(every, channels, reading.land)
            if frame is not None:
                dataset = _only_frame(path, dataset, frame)
            values = np.stack([_channel(dataset, name) for name in channels], axis=2)
            found = ObservedFrames(
                values=values,
                time=_time(path, dataset),
                frame_step=frame_step,
                coordinates={name: dataset[name].variable.load() for name in _coordinates(dataset)},
                attributes={
                    name: dict(dataset[name].attrs) for name in ("time", *channels) if name in dataset.variables
                },
            )
    except InputError:
        raise
    except (OSError, RuntimeError, ValueError, IndexError) as error:
        raise unreadable(path, error) from None
    checks.check_counts(path, values.shape[0], values.shape[1], minimum_trajectories=1, minimum_frames=1)
    if land is not None:
        found = found.with_land(channels, reading.land, land)
        values = found.values
    known = np.nan_to_num(values, nan=0.0, posinf=np.inf, neginf=-np.inf) if masked else values
    checks.check_marks(path, values, channels, reading.missing)
    checks.check_finite(path if frame is None else Path(f"{path} (frame {frame} alone)"), known, channels)
    return found if reading.regrid is None or not other else _on_common_grid(path, found, grid, reading.regrid)


def _on_common_grid(path: Path, found: ObservedFrames, grid: Sequence[int], settings: RegridSettings) -> ObservedFrames:
    """Frames of a file with finer or coarser fields than the study's."""
    if np.isnan(found.values).any():
        raise InputError(
            f"{path}: found missing values on another grid than the study's {grid[0]} x {grid[1]} points (y, x), "
            "expected all values there, or that grid"
        )
    sizes = dict(zip(("y", "x"), found.values.shape[-2:], strict=True))
    if silent := [name for name, size in sizes.items() if size > 1 and name not in found.coordinates]:
        raise InputError(
            f"{path}: {silent[0]}: found no coordinates, expected some: these are other points than the study's"
        )
    own = [
        found.coordinates[name].to_numpy().astype(np.float64) if name in found.coordinates else np.zeros(1)
        for name in sizes
    ]
    values, y, x = regridded(path, found.values, (own[0], own[1]), grid, settings)
    placed = {
        name: xr.Variable((name,), points, found.coordinates[name].attrs)
        for name, points in (("y", y), ("x", x))
        if name in found.coordinates
    }
    return replace(found, values=values, coordinates={**found.coordinates, **placed})


def _of_array(
    path: Path,
    channels: Sequence[str],
    grid: Sequence[int],
    frame: int | None,
    coarse: bool,
    missing: Sequence[float] | None,
) -> ObservedFrames:
    """One trajectory from a file, or several from a folder's."""
    found = read_npy_environment(path, channels, parameters={}, missing=missing)
    own = (len(found.y), len(found.x))
    if not (coarse and is_coarser(own, grid)):
        checks.check_grid(path, own, (grid[0], grid[1]))
    values = found.values
    if frame is not None:
        if not -values.shape[1] <= frame < values.shape[1]:
            raise InputError(f"{path}: time: found {values.shape[1]} frames, expected one with the index {frame}")
        values = values[:, [frame]]
    return ObservedFrames(values=values, time=None, frame_step=None, coordinates={}, attributes={})


def is_coarser(found: Sequence[int], grid: Sequence[int]) -> bool:
    """Whether points (y, x) are every k-th of a grid's, by their number, k the same along both but for a single row."""
    ratios = {size // own for own, size in zip(found, grid, strict=True) if own and size % own == 0 and size > 1}
    return all(own and size % own == 0 for own, size in zip(found, grid, strict=True)) and len(ratios) == 1


def _open(path: Path, channels: Sequence[str], reading: FileReading) -> xr.Dataset:
    if is_frames_table(path):
        return until_last_seen(read_frames_table(path, channels, reading, needed=channels))
    if not path.is_file() and not is_store(path):
        raise InputError(f"{path}: found no such file, expected frames (NetCDF, .zarr, .npy, or a table)")
    check_whole(path)
    return open_dataset(path)


def _check_channel(path: Path, dataset: xr.Dataset, name: str, like: str, grid: Sequence[int]) -> None:
    if name not in dataset.data_vars:
        found = ", ".join(map(str, dataset.data_vars)) or "no variable"
        raise InputError(f"{path}: channel {name}: found {found}, expected a variable {name}")
    dimensions = set(map(str, dataset[name].dims))
    needed = set() if tuple(grid) == (1, 1) else {"x"} if grid[0] == 1 else {"y", "x"}
    if not needed <= dimensions <= set(DIMENSIONS):
        raise InputError(
            f"{path}: channel {name}: found dimensions ({', '.join(map(str, dataset[name].dims))}), expected "
            f"({', '.join(DIMENSIONS)}), of which {' and '.join(OPTIONAL)} may be missing"
        )
    if dimensions != set(map(str, dataset[like].dims)):
        raise InputError(f"{path}: channel {name}: found other dimensions than those of {like}, expected the same")
    checks.check_numeric(path, f"channel {name}", dataset[name].dtype)


def _only_frame(path: Path, dataset: xr.Dataset, frame: int) -> xr.Dataset:
    count = dataset.sizes.get("time", 1)
    if not -count <= frame < count:
        raise InputError(f"{path}: time: found {count} frames, expected one with the index {frame}")
    return dataset.isel(time=[frame]) if "time" in dataset.dims else dataset


def _channel(dataset: xr.Dataset, name: str) -> NDArray[np.float32]:
    """[trajectory, time, y, x]; a number too large for float32 becomes Inf, which is then refused."""
    variable = dataset[name]
    variable = variable.expand_dims([dimension for dimension in DIMENSIONS if dimension not in variable.dims])
    with np.errstate(over="ignore"):
        return cast(NDArray[np.float32], variable.transpose(*DIMENSIONS).to_numpy().astype(np.float32))


def _time(path: Path, dataset: xr.Dataset) -> NDArray[np.float64] | None:
    """Also of a single frame that was cut from a series, and so has the time as a coordinate without a dimension."""
    if "time" not in dataset.coords:
        return None
    checks.check_numeric(path, "time", dataset["time"].dtype)
    time = np.atleast_1d(dataset["time"].to_numpy().astype(np.float64))
    checks.check_coordinate(path, "time", time)
    return time


def _decreases(path: Path, dataset: xr.Dataset, name: str) -> bool:
    """Whether a coordinate of the grid runs backwards."""
    if name not in dataset.coords or dataset[name].dims != (name,) or dataset.sizes[name] < 2:
        return False
    checks.check_numeric(path, name, dataset[name].dtype)
    coordinate = dataset[name].to_numpy().astype(np.float64)
    checks.check_coordinate(path, name, coordinate)
    return bool(coordinate[0] > coordinate[-1])


def _frame_step(time: NDArray[np.float64] | None) -> float | None:
    if time is None or len(time) < 2:
        return None
    steps = np.diff(time)
    return float(steps[0]) if np.allclose(steps, steps[0], rtol=FRAME_STEP_TOLERANCE, atol=0.0) else None


def _coordinates(dataset: xr.Dataset) -> list[str]:
    return [name for name in ("trajectory", "y", "x") if name in dataset.coords and dataset[name].dims == (name,)]
