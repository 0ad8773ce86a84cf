"""The grid of a study: the one that most files are on, and whether fields go on at its opposite side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weightcast.core.config.regrid_settings import Axis, RegridSettings
from weightcast.core.console.progress import progress
from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.names import listed
from weightcast.environments.commands.source_data import read_file
from weightcast.trajectories import FileFormat

EDGE_FACTOR = 2.0
"""Mean square difference between opposite edges over that of neighbours, up to which a domain is taken as periodic."""


def common_grid(
    files: Mapping[str, Path],
    table: EnvironmentTable,
    format: FileFormat,
    told: Mapping[str, Any],
) -> tuple[tuple[int, int], RegridSettings | None, list[str]]:
    """The number of points (y, x) that most files have, the coarsest one of several; where these lie, and which files
    are on other grids, for people. Nothing of both where all are alike.

    Args:
        files: of each environment.
        table: of the environments.
        format: of the files.
        told: how they are read, as :func:`~.source_data.read_file` takes it; on whatever grid.

    Raises:
        InputError: a file cannot be used.
    """
    grids: dict[str, tuple[int, int]] = {}
    axes: dict[tuple[int, int], tuple[Axis, Axis]] = {}
    edges: dict[tuple[int, int], Edges] = {}
    for id, file in progress(files.items(), "reading grids"):
        found = read_file(file, format, table[id], grid=None, gaps=True, single=True, **told)
        grid = len(found.y), len(found.x)
        grids[id] = grid
        axes.setdefault(grid, (_axis(found.y), _axis(found.x)))
        edges.setdefault(grid, Edges()).see(found.values[:, :, : len(found.channels) - len(told["inputs"])])
    counts = Counter(grids.values())
    chosen = max(counts, key=lambda grid: (counts[grid], -grid[0] * grid[1]))  # what a file lacks is not invented
    if len(counts) == 1:
        return chosen, None, []
    y, x = axes[chosen]
    settings = RegridSettings(y=y, x=x, periodic=edges[chosen].periodic)
    lines = [
        f"fields of {listed([id for id in grids if grids[id] == grid])} are on {grid[0]} x {grid[1]} points, and "
        f"brought to {chosen[0]} x {chosen[1]} (data.regrid)"
        for grid in counts
        if grid != chosen
    ]
    return chosen, settings, lines


def _axis(coordinates: NDArray[np.float64]) -> Axis:
    """First point and step; a line's single row has none."""
    if len(coordinates) < 2:
        return float(coordinates[0]), 1.0
    return float(coordinates[0]), float(coordinates[-1] - coordinates[0]) / (len(coordinates) - 1)


class Edges:
    """Whether fields go on at the opposite side: whether they differ from it by no more than neighbours do."""

    def __init__(self) -> None:
        self.across, self.inside = np.zeros(2), np.zeros(2)  # mean squares along y and x, summed over what was seen
        self.is_line = False

    def see(self, fields: NDArray[np.floating[Any]]) -> None:
        """Fields [..., y, x]."""
        self.is_line = fields.shape[-2] == 1
        for side in range(2):
            lines = np.moveaxis(fields, side - 2, 0).astype(np.float64)
            self.across[side] += np.nanmean(np.square(lines[0] - lines[-1]))
            self.inside[side] += np.nanmean(np.square(np.diff(lines, axis=0))) if len(lines) > 1 else 0.0

    @property
    def periodic(self) -> bool:
        vary = self.inside > 0  # not along y of a line
        return bool((self.across <= EDGE_FACTOR * self.inside).all() and vary[1] and (vary[0] or self.is_line))
