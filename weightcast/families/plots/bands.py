"""Means over time of an environment that nobody knows: what an ensemble says, and what is true."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch

from weightcast.core.plots.style import FAMILY_COLOURS, house_style

MOST_DIMENSIONS = 4
_SHOWN_COLOUR = "#8c8c8c"


def plot_bands(
    bands: pd.DataFrame, dimensions: Sequence[str], shown: Mapping[str, Sequence[float]], quantity: str = "mean"
) -> Figure:
    """A row of panels for each case, a panel for each dimension: the band on its mean, and the truth.

    Args:
        bands: of one environment, of one quantity: columns case, time, dimension (position), low, mid, high, truth.
        dimensions: names; the first few are drawn.
        shown: times of the snapshots that are shown, by case, where they are known.
        quantity: what the bands are on.
    """
    names = list(dimensions)[:MOST_DIMENSIONS]
    cases = list(dict.fromkeys(bands["case"]))
    colour, truth = FAMILY_COLOURS["generator"], FAMILY_COLOURS["reference"]
    with house_style():
        figure = Figure(figsize=(10, 0.5 + 2.3 * len(cases)), layout="constrained")
        panels = figure.subplots(len(cases), len(names), squeeze=False, sharex=True)
        for row, case in zip(panels, cases, strict=True):
            for position, (axes, name) in enumerate(zip(row, names, strict=True)):
                own = bands[(bands["case"] == case) & (bands["dimension"] == position)].sort_values("time")
                for time in shown.get(case, ()):
                    axes.axvline(time, color=_SHOWN_COLOUR, lw=0.9, ls=(0, (2, 2)), zorder=0)
                axes.fill_between(own["time"], own["low"], own["high"], color=colour, alpha=0.3, lw=0)
                axes.plot(own["time"], own["mid"], color=colour, lw=1.4)
                axes.plot(own["time"], own["truth"], color=truth, lw=1.1, ls="--")
                axes.set_title(f"{name}, shown: {case}")
                axes.grid(axis="y")
        for axes in panels[-1]:
            axes.set_xlabel("time")
        panels[0][0].set_ylabel(quantity)
        handles = [
            Patch(color=colour, alpha=0.3, label="90 % of the ensemble"),
            Line2D([], [], color=colour, lw=1.4, label="its median"),
            Line2D([], [], color=truth, lw=1.1, ls="--", label="held-out samples"),
            Line2D([], [], color=_SHOWN_COLOUR, lw=0.9, ls=(0, (2, 2)), label="time of a shown snapshot"),
        ]
        figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure
