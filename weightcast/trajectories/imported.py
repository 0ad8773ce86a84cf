"""Trajectories in NetCDF as users bring them: turned upright by their coordinates, and put on even steps; without marks
of missing values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from weightcast.core.config.regrid_settings import RegridSettings
from weightcast.trajectories.checks import check_counts, check_marks
from weightcast.trajectories.common_grid import on_common_grid
from weightcast.trajectories.even_steps import on_even_steps
from weightcast.trajectories.netcdf import read_trajectories
from weightcast.trajectories.record import Trajectories


def read_imported(path: str | Path, *, regrid: RegridSettings | None = None, **expected: Any) -> Trajectories:
    """Read and validate one environment's trajectories, turn them so that y and x increase, and put them on even steps.

    Args:
        path: NetCDF.
        regrid: where the points of the grid that is expected lie, to which fields on another one are brought; None:
            these are refused.
        expected: as :func:`weightcast.trajectories.netcdf.read_trajectories` takes it. Where values may be missing,
            frames may be left out, too, and are NaN then; of more frames than the least number those that do not lie on
            even steps are left out behind it, unless a file is a long record (``single``).

    Raises:
        InputError: as there; or frames lie between steps, or are left out where no value may be missing; or a value is
            probably a mark of missing ones that the file does not declare.
    """
    frames = expected.get("minimum_frames", 1)
    told = expected | {"minimum_frames": 1} | ({} if regrid is None else {"grid": None})
    found = upright(read_trajectories(path, **told))
    states = len(found.channels) - len(expected.get("inputs", ()))
    needed = None if expected.get("single") or frames == 1 else frames
    found = on_even_steps(Path(path), found, states, bool(expected.get("gaps")), needed)
    check_counts(Path(path), len(found.values), len(found.time), 1, frames)
    check_marks(Path(path), found.values, found.channels, expected.get("missing"))
    if regrid is not None and expected.get("grid") is not None:
        found = on_common_grid(Path(path), found, expected["grid"], regrid)
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
