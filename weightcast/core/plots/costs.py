"""What a lower error costs: seconds of training against median error."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weightcast.core.methods import method
from weightcast.core.plots.labels import Label, place_labels
from weightcast.core.plots.style import FAMILY_MARKERS, house_style, log_limits, log_ticks, method_colour, split_label
from weightcast.core.plots.summary import family_handles
from weightcast.core.significance import split_order


def plot_costs(summary: pd.DataFrame, metric: str = "rmse", axis_label: str = "RMSE / field's std") -> Figure:
    """A dot a method, a panel an unseen split, both axes log; methods that train nothing are horizontal lines.

    Methods that diverge, or whose error is far beyond that of all others, are left out.

    Args:
        summary: as returned by ``weightcast.core.significance.summarise``, with train_seconds.
        metric: which rows of it.
        axis_label: what the metric is, with its unit.
    """
    rows = summary[(summary["metric"] == metric) & np.isfinite(summary["median"]) & (summary["median"] > 0)]
    splits = sorted(rows["split"].unique(), key=split_order)
    splits = [split for split in splits if split != "visible"] or splits
    limits = log_limits(rows.loc[rows["split"].isin(splits), "median"])
    rows = rows[rows["median"] <= limits[1]]
    with house_style():
        figure = Figure(figsize=(10, 5.2), layout="constrained")
        panels = figure.subplots(1, len(splits), sharex=True, sharey=True, squeeze=False)[0]
        labels = []
        panels[0].set_yscale("log")
        panels[0].set_ylim(limits)
        for axes, split in zip(panels, splits, strict=True):
            axes.set_xscale("log")
            axes.grid()
            axes.margins(x=0.14)
            axes.set_title(split_label(split))
            axes.set_xlabel("seconds of training, with all it builds on (log)")
            labels.append(_draw_panel(axes, rows[rows["split"] == split]))
        panels[0].set_ylabel(f"{axis_label} (log)")
        for axes in panels:
            log_ticks(axes, "x")
            log_ticks(axes, "y")
        figure.legend(handles=family_handles(rows["method"].unique()), loc="outside lower center", ncols=4)
        figure.draw_without_rendering()  # settles the layout, in whose pixels labels are placed
        for axes, of_panel in zip(panels, labels, strict=True):
            place_labels(axes, of_panel)
    return figure


def _draw_panel(axes: Axes, rows: pd.DataFrame) -> list[Label]:
    """One split's methods; returns the labels that their dots are to have."""
    labels = []
    for name, seconds, median in zip(rows["method"], rows["train_seconds"], rows["median"], strict=True):
        known, colour = method(name), method_colour(name)
        if seconds > 0:
            axes.plot(seconds, median, marker=FAMILY_MARKERS[known.family], color=colour, mec="white", ms=7)
            labels.append(Label(seconds, median, known.label, colour))
        elif seconds == 0:
            axes.axhline(median, color=colour, lw=1, ls=(0, (4, 3)), zorder=0)
            axes.annotate(
                f"{known.label} (0 s)",
                (0, median),
                xycoords=axes.get_yaxis_transform(),
                xytext=(3, 1.5),
                textcoords="offset points",
                fontsize=7.5,
                color=colour,
            )
    return labels
