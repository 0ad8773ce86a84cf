"""Summary dot plot of a study across time: every method's error and interval, with the sampling floor as a line."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from weightcast.core.methods import method
from weightcast.core.plots.style import log_limits, log_ticks
from weightcast.core.plots.summary import plot_summary
from weightcast.core.significance import split_order

FLOOR = "sampling-floor"
_FLOOR_COLOUR = "#5f5f5f"


def plot_time_summary(summary: pd.DataFrame, metric: str, axis_label: str) -> Figure:
    """A panel a split; the floor is what independent samples of the truth reach.

    Args:
        summary: of the splits to draw.
        metric: which rows of it.
        axis_label: what the metric is, with its unit.
    """
    rows = summary[summary["metric"] == metric]
    compared = rows[[method(name).family != "reference" for name in rows["method"]]]
    figure = plot_summary(compared, metric, axis_label)
    floors = rows[rows["method"] == FLOOR].set_index("split")["median"]
    splits = sorted(compared["split"].unique(), key=split_order)
    limits = log_limits(pd.concat([compared["median"], compared["ci_low"], compared["ci_high"], floors]))
    for axes, split in zip(figure.axes, splits, strict=True):
        floor = float(floors.get(split, np.nan))
        if not floor > 0:
            continue
        axes.set_xlim(min(limits[0], axes.get_xlim()[0]), axes.get_xlim()[1])
        log_ticks(axes, "x")
        axes.axvline(floor, color=_FLOOR_COLOUR, lw=1.1, ls=(0, (4, 3)), zorder=0)
        axes.text(
            floor,
            0.995,
            " sampling floor",
            transform=axes.get_xaxis_transform(),
            va="top",
            fontsize=7.5,
            color=_FLOOR_COLOUR,
        )
    return figure
