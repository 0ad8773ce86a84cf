"""Fields of other resolution than the study's, brought to its grid: the same region, simulated finer or coarser.

A predictor is trained on fields of one grid. What another grid holds beyond that cannot be learned, and what it lacks
is not invented: a periodic field is interpolated by its Fourier series, which is exact for the waves that both grids
hold; a coarser grid gets no alias of the finer one's.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import make_interp_spline

from weightcast.core.config.regrid_settings import Axis, RegridSettings
from weightcast.core.errors import InputError
from weightcast.trajectories.record import Trajectories

TOLERANCE = 1e-3
"""Of an extent, by which that of another grid may differ."""
CENTRED = 0.05
"""Of a step, by which the first point may differ from half a step where points are centres of cells."""
FEWEST_POINTS = 4
"""Along a side, which a cubic spline needs."""

Values = NDArray[np.float32]
Coordinates = NDArray[np.float64]


def on_common_grid(
    file: Path, trajectories: Trajectories, grid: Sequence[int], settings: RegridSettings
) -> Trajectories:
    """Trajectories on the study's grid.

    Args:
        file: that they come from, for messages.
        trajectories: of one environment, y and x increasing. A frame with a missing value is missing whole afterwards.
        grid: points along (y, x).
        settings: where they lie.

    Returns:
        the same object where the grid is the study's already.

    Raises:
        InputError: the extent is another one, or points are not evenly far apart.
    """
    values, y, x = regridded(file, trajectories.values, (trajectories.y, trajectories.x), grid, settings)
    return trajectories if values is trajectories.values else replace(trajectories, values=values, y=y, x=x)


def regridded(
    file: Path,
    values: Values,
    coordinates: tuple[Coordinates, Coordinates],
    grid: Sequence[int],
    settings: RegridSettings,
) -> tuple[Values, Coordinates, Coordinates]:
    """Fields [..., y, x] with their increasing coordinates, on the study's grid; see :func:`on_common_grid`."""
    if values.shape[-2:] == tuple(grid):
        return values, *coordinates
    axes = (settings.y, settings.x)
    (of_y, y), (of_x, x) = (
        _along(file, name, own, points, axis, settings.periodic)
        for name, own, points, axis in zip(("y", "x"), coordinates, grid, axes, strict=True)
    )
    with np.errstate(invalid="ignore"):  # what is missing stays so
        found = np.einsum("jy,...yx,ix->...ji", of_y, values.astype(np.float64), of_x, optimize=True)
    return found.astype(np.float32), y, x


def _along(
    file: Path, name: str, own: Coordinates, points: int, axis: Axis, periodic: bool
) -> tuple[NDArray[np.float64], Coordinates]:
    """What makes values at the study's points of those at a file's [point, own point], and the former's coordinates."""
    if len(own) == points:
        return np.eye(points), own
    if min(len(own), points) < FEWEST_POINTS:
        raise InputError(f"{file}: {name}: found {len(own)} points, expected {points}, or {FEWEST_POINTS} or more")
    step = float(own[-1] - own[0]) / (len(own) - 1)
    if not np.allclose(np.diff(own), step, rtol=TOLERANCE, atol=0.0):
        raise InputError(f"{file}: {name}: found points that are not evenly far apart, expected even ones, or {points}")
    first, wanted_step = axis
    nodes = (points - 1) * wanted_step - (len(own) - 1) * step
    cells = points * wanted_step - len(own) * step
    tolerance = TOLERANCE * points * wanted_step
    centred = _is_centred(float(own[0]), step) and _is_centred(first, wanted_step)
    if not periodic and abs(nodes) <= tolerance:
        begin = float(own[0])
    elif abs(cells) <= tolerance:
        begin = float(own[0]) if periodic and not centred else float(own[0]) + (wanted_step - step) / 2
    else:
        raise InputError(
            f"{file}: {name}: found {len(own)} points {step:g} apart, expected the extent of {points} points "
            f"{wanted_step:g} apart (data.regrid)"
        )
    wanted: Coordinates = begin + wanted_step * np.arange(points, dtype=np.float64)
    if periodic:
        return _fourier(own, wanted, len(own) * step), wanted
    return _spline(own, wanted, step, wanted_step), wanted


def _is_centred(first: float, step: float) -> bool:
    """Whether points are the centres of cells that begin at 0."""
    return abs(first / step - 0.5) <= CENTRED


def _fourier(own: Coordinates, wanted: Coordinates, period: float) -> NDArray[np.float64]:
    count, held = len(own), min(len(own), len(wanted))
    angle = 2 * np.pi / period * (wanted[:, None] - own)
    kernel = 1.0 + 2.0 * sum(np.cos(wave * angle) for wave in range(1, (held - 1) // 2 + 1))
    if held % 2 == 0 and held == count:  # the shortest wave of the file's own grid, of which there is half
        kernel = kernel + np.cos(held / 2 * angle)
    return np.asarray(kernel / count)


def _spline(own: Coordinates, wanted: Coordinates, step: float, wanted_step: float) -> NDArray[np.float64]:
    spline = make_interp_spline(own, np.eye(len(own)), k=3)
    if wanted_step <= step:
        return np.asarray(spline(np.clip(wanted, own[0], own[-1])))
    summed = spline.antiderivative()
    low, high = (np.clip(wanted + side * wanted_step / 2, own[0], own[-1]) for side in (-1, 1))
    return np.asarray((summed(high) - summed(low)) / (high - low)[:, None])
