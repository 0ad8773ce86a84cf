"""How amounts grow with the size of a case: a panel a case, both axes logarithmic, a line a way with its range."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from side_by_side import Row

from weightcast.core.plots.style import FAMILY_COLOURS, house_style, log_ticks

UNITS = ("s", "ms", "MB")
"""Of amounts that are drawn; others are of the machine, or counts."""
COLOURS = (FAMILY_COLOURS["generator"], FAMILY_COLOURS["baseline"], "#1a1a1a", "#009e73", "#cc79a7", "#e69f00")
MARKERS = "sod^vP"
COLUMNS, FEWEST_SIZES = 3, 2
NOT_DRAWN = ("first call of ", "bound by ", "moved by ")

Panel = dict[str, list[Row]]
"""Rows of each way."""


def draw(rows: Sequence[Row]) -> Figure:
    """The figure of all cases that were measured at two sizes or more."""
    panels = panels_of(rows)
    lines = max(1, -(-len(panels) // COLUMNS))
    with house_style():
        figure = Figure(figsize=(12, 3.1 * lines), layout="constrained")
        grid = figure.subplots(lines, COLUMNS, squeeze=False).flatten()
        for axes in grid[len(panels) :]:
            axes.set_axis_off()
        for axes, ((benchmark, case, unit), panel) in zip(grid, panels.items(), strict=False):
            axes.set_title(f"{benchmark}: {case}")
            axes.set_ylabel(unit)
            _draw_panel(axes, panel)
    return figure


def panels_of(rows: Sequence[Row]) -> dict[tuple[str, str, str], Panel]:
    """Rows by benchmark, case and unit, then by way; ways with a single size are left out."""
    found: dict[tuple[str, str, str], Panel] = {}
    for row in rows:
        way, _, unit = row.measure.rpartition(", ")
        if way and unit in UNITS and row.size > 0 and not way.startswith(NOT_DRAWN):
            found.setdefault((row.benchmark, row.case, unit), {}).setdefault(way, []).append(row)
    kept = {key: {way: of for way, of in panel.items() if len(of) >= FEWEST_SIZES} for key, panel in found.items()}
    return {key: panel for key, panel in kept.items() if panel}


def _draw_panel(axes: Axes, panel: Panel) -> None:
    for (way, rows), colour, marker in zip(panel.items(), COLOURS, MARKERS, strict=False):
        sizes = [row.size for row in rows]
        values = [row.value for row in rows]
        axes.fill_between(sizes, [row.low for row in rows], [row.high for row in rows], color=colour, alpha=0.2, lw=0)
        axes.plot(sizes, values, marker=marker, color=colour, ms=4, lw=1.4, label=way)
    axes.set_xscale("log")
    axes.set_yscale("log")
    log_ticks(axes, "x")
    log_ticks(axes, "y")
    axes.grid()
    axes.legend(fontsize=7)
