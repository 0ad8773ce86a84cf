"""Trajectories in NetCDF as users bring them: turned upright by their coordinates, without marks of missing values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from weightcast.trajectories.checks import check_marks
from weightcast.trajectories.netcdf import read_trajectories
from weightcast.trajectories.record import Trajectories


def read_imported(
    path: str | Path,
    *,
    channels: Sequence[str] | None = None,
    grid: tuple[int, int] | None = None,
    environment: str | None = None,
    parameters: Mapping[str, float] | None = None,
    minimum_frames: int = 1,
    minimum_trajectories: int = 1,
) -> Trajectories:
    """Read and validate one environment's trajectories, and turn them so that y and x increase.

    See :func:`weightcast.trajectories.netcdf.read_trajectories` for the arguments.

    Raises:
        InputError: as there; or a value is probably a mark of missing ones that the file does not declare.
    """
    found = upright(
        read_trajectories(
            path,
            channels=channels,
            grid=grid,
            environment=environment,
            parameters=parameters,
            minimum_frames=minimum_frames,
            minimum_trajectories=minimum_trajectories,
        )
    )
    check_marks(Path(path), found.values, found.channels)
    return found


def upright(trajectories: Trajectories) -> Trajectories:
    """The same with increasing y and x: files of the same places may be stored from north to south or the other way."""
    values, y, x = trajectories.values, trajectories.y, trajectories.x
    if len(y) > 1 and y[0] > y[-1]:
        values, y = values[..., ::-1, :], y[::-1]
    if len(x) > 1 and x[0] > x[-1]:
        values, x = values[..., ::-1], x[::-1]
    if values is trajectories.values:
        return trajectories
    return replace(trajectories, values=np.ascontiguousarray(values), y=y.copy(), x=x.copy())
