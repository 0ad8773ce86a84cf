"""What a lower error costs: seconds of training against median error."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weightcast.methods import method
from weightcast.plots.labels import spread
from weightcast.plots.style import FAMILY_MARKERS, house_style, log_ticks, method_colour, split_label
from weightcast.plots.summary import family_handles
from weightcast.statistics import split_order


def plot_costs(summary: pd.DataFrame, metric: str = "rmse", axis_label: str = "RMSE / field's std") -> Figure:
    """A dot a method, a panel an unseen split, both axes log; methods that train nothing are horizontal lines.

    Args:
        summary: as returned by ``weightcast.statistics.summarise``, with train_seconds.
        metric: which rows of it.
        axis_label: what the metric is, with its unit.
    """
    rows = summary[(summary["metric"] == metric) & np.isfinite(summary["median"]) & (summary["median"] > 0)]
    splits = sorted(rows["split"].unique(), key=split_order)
    splits = [split for split in splits if split != "visible"] or splits
    with house_style():
        figure = Figure(figsize=(10, 5.0), layout="constrained")
        panels = figure.subplots(1, len(splits), sharex=True, sharey=True, squeeze=False)[0]
        for axes, split in zip(panels, splits, strict=True):
            axes.set_xscale("log")
            axes.set_yscale("log")
            axes.grid()
            axes.set_title(split_label(split))
            axes.set_xlabel("seconds of training, all stages (log)")
        panels[0].set_ylabel(f"{axis_label} (log)")
        for axes, split in zip(panels, splits, strict=True):
            _draw_panel(axes, rows[rows["split"] == split])
        for axes in panels:
            log_ticks(axes, "x")
            log_ticks(axes, "y")
        figure.legend(handles=family_handles(rows["method"].unique()), loc="outside lower center", ncols=4)
        figure.draw_without_rendering()  # settles the layout, so that labels can be spread in its pixels
        for axes in panels:
            spread(axes)
    return figure


def _draw_panel(axes: Axes, rows: pd.DataFrame) -> None:
    """One split's methods; labels start beside their dots and are spread later."""
    for _, row in rows.iterrows():
        known, colour = method(row["method"]), method_colour(row["method"])
        if row["train_seconds"] > 0:
            axes.plot(
                row["train_seconds"], row["median"], marker=FAMILY_MARKERS[known.family], color=colour, mec="white", ms=7
            )
            axes.annotate(
                known.label,
                (row["train_seconds"], row["median"]),
                xytext=(6, 0),
                textcoords="offset points",
                va="center",
                fontsize=7.5,
                color=colour,
            )
        elif row["train_seconds"] == 0:
            axes.axhline(row["median"], color=colour, lw=1, ls=(0, (4, 3)), zorder=0)
            axes.text(
                0.005,
                row["median"],
                f"{known.label} (0 s)",
                transform=axes.get_yaxis_transform(),
                va="bottom",
                fontsize=7.5,
                color=colour,
            )
    axes.margins(0.12)
