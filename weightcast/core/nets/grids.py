"""Grids of the levels of a U-shaped network. Free of torch, since the configuration is checked against them too."""

from __future__ import annotations

Grid = tuple[int, int]


def level_grids(grid: Grid, levels: int) -> list[Grid]:
    """The grid (y, x) and what is left of it after each of so many halvings, a half point counting as a whole one."""
    grids = [grid]
    for _ in range(levels):
        rows, columns = grids[-1]
        grids.append(((rows + 1) // 2, (columns + 1) // 2))
    return grids
