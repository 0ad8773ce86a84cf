"""Growth rate and velocity over the first two dimensions of the state, halfway between snapshots."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.colors import TwoSlopeNorm
from matplotlib.figure import Figure
from numpy.typing import NDArray

from weightcast.core.plots.style import house_style

MOST_PANELS = 5
"""Times that are shown."""
ARROWS = 60
_DENSITY = 192  # dots an inch of the points, which are a picture inside of an otherwise scalable figure


class GrowthAt(NamedTuple):
    """What is known of one time.

    Attributes:
        time: in the data's unit.
        points: [point, dimension]; of one or more dimensions.
        growth: rate at each [point], by the data's unit of time.
        velocity: at each [point, dimension].
    """

    time: float
    points: NDArray[np.float64]
    growth: NDArray[np.float64]
    velocity: NDArray[np.float64]


def plot_growth_map(found: Sequence[GrowthAt], dimensions: Sequence[str]) -> Figure:
    """A panel a time: points coloured by their growth rate, and arrows where they go; of one dimension, the rate over
    it.

    Args:
        found: at most so many are drawn, evenly chosen.
        dimensions: names.
    """
    chosen = [found[place] for place in np.unique(np.linspace(0, len(found) - 1, MOST_PANELS).round().astype(int))]
    rates = np.concatenate([each.growth for each in chosen])
    low, high = (float(value) for value in np.quantile(rates, [0.01, 0.99]))
    flat = len(dimensions) == 1
    colours = TwoSlopeNorm(0.0, min(low, -1e-9), max(high, 1e-9))
    with house_style():
        figure = Figure(figsize=(10, 2.9), layout="constrained", dpi=_DENSITY)
        panels = figure.subplots(1, len(chosen), squeeze=False, sharex=True, sharey=True)[0]
        points = None
        for axes, each in zip(panels, chosen, strict=True):
            vertical = each.growth if flat else each.points[:, 1]
            points = axes.scatter(
                each.points[:, 0], vertical, c=each.growth, norm=colours, cmap="PuOr_r", s=5, lw=0, rasterized=True
            )
            if not flat:
                step = max(1, len(each.points) // ARROWS)
                x, v = each.points[::step, :2], each.velocity[::step, :2]
                axes.quiver(*x.T, *v.T, angles="xy", width=0.004, color="#3a3a3a", alpha=0.7)
            axes.set_title(f"t = {each.time:g}", fontsize=8.5)
            axes.set_xlabel(dimensions[0])
        panels[0].set_ylabel("growth rate" if flat else dimensions[1])
        assert points is not None
        bar = figure.colorbar(points, ax=list(panels), aspect=30, pad=0.012, extend="both")
        bar.set_label("growth rate", fontsize=7.5)
        bar.ax.tick_params(labelsize=7)
        bar.outline.set_visible(False)
    return figure
