"""Trajectories in NetCDF as users bring them: turned upright by their coordinates, without marks of missing values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from weightcast.trajectories.checks import check_marks
from weightcast.trajectories.netcdf import read_trajectories
from weightcast.trajectories.record import Trajectories


def read_imported(path: str | Path, **expected: Any) -> Trajectories:
    """Read and validate one environment's trajectories, and turn them so that y and x increase.

    Args:
        path: NetCDF.
        expected: as :func:`weightcast.trajectories.netcdf.read_trajectories` takes it.

    Raises:
        InputError: as there; or a value is probably a mark of missing ones that the file does not declare.
    """
    found = upright(read_trajectories(path, **expected))
    check_marks(Path(path), found.values, found.channels)
    return found


def upright(trajectories: Trajectories) -> Trajectories:
    """The same with increasing y and x: files of the same places may be stored from north to south or the other way."""
    values, y, x = trajectories.values, trajectories.y, trajectories.x
    turned = set[str]()
    if len(y) > 1 and y[0] > y[-1]:
        values, y = values[..., ::-1, :], y[::-1]
        turned.add("y")
    if len(x) > 1 and x[0] > x[-1]:
        values, x = values[..., ::-1], x[::-1]
        turned.add("x")
    if not turned:
        return trajectories
    return replace(trajectories, values=np.ascontiguousarray(values), y=y.copy(), x=x.copy(), turned=frozenset(turned))
