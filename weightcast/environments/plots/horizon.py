"""Error against forecast horizon: median and interval of every method, a panel a split."""

from __future__ import annotations

from collections.abc import Collection

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from weightcast.core.methods import SKILL_FLOOR, method
from weightcast.core.plots.style import (
    FAINT_COLOUR,
    FAMILY_COLOURS,
    house_style,
    log_limits,
    log_ticks,
    method_colour,
    split_label,
)
from weightcast.core.significance import split_order

_LINE_STYLES = ("-", "--", "-.", ":")


def plot_horizon(
    curves: pd.DataFrame,
    featured: Collection[str],
    trained_horizon: int,
    axis_label: str = "RMSE / field's std",
) -> Figure:
    """Lines for medians over environments, bands for their 95 % intervals, log y.

    Args:
        curves: as returned by ``weightcast.core.significance.error_by_horizon``.
        featured: methods drawn in colour, with a label and, where there is a network, a band; all others are thin
            grey lines.
        trained_horizon: frames, marked by a vertical line.
        axis_label: what the error is, with its unit.
    """
    splits = sorted(curves["split"].unique(), key=split_order)
    styles = _line_styles(featured)
    shown = curves[np.isfinite(curves["median"]) & (curves["median"] > 0)]
    with house_style():
        figure = Figure(figsize=(10, 4.6), layout="constrained")
        panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
        for axes, split in zip(panels, splits, strict=True):
            axes.set_yscale("log")
            _draw_panel(axes, shown[shown["split"] == split], styles)
            axes.axvline(trained_horizon, color="#9a9a9a", lw=0.9, ls=(0, (4, 3)), zorder=0)
            axes.set_title(split_label(split))
            axes.set_xlabel("forecast horizon, frames")
        panels[0].set_ylabel(f"{axis_label} (log)")
        if len(shown):
            panels[0].set_ylim(log_limits(shown["median"]))
        for axes in panels:
            log_ticks(axes, "y")
            axes.text(
                trained_horizon,
                1.0,
                "trained horizon ",
                transform=axes.get_xaxis_transform(),
                ha="right",
                va="top",
                fontsize=7.5,
                color="#6a6a6a",
            )
        handles = [
            Line2D([], [], color=method_colour(name), ls=style, lw=2, label=method(name).label)
            for name, style in styles.items()
            if name in set(shown["method"])
        ]
        if set(shown["method"]) - set(styles):
            handles.append(Line2D([], [], color=FAINT_COLOUR, lw=1, label="other methods"))
        figure.legend(handles=handles, loc="outside lower center", ncols=4, handlelength=3)
    return figure


def _line_styles(featured: Collection[str]) -> dict[str, str]:
    """A line style for each featured method: those of one colour differ in style."""
    used: dict[str, int] = {}
    styles = {}
    for name in featured:
        colour = method_colour(name)
        styles[name] = _LINE_STYLES[used.get(colour, 0) % len(_LINE_STYLES)]
        used[colour] = used.get(colour, 0) + 1
    return styles


def _draw_panel(axes: Axes, curves: pd.DataFrame, styles: dict[str, str]) -> None:
    """One split's curves."""
    axes.grid(axis="y")
    for name, curve in curves.groupby("method"):
        if name not in styles:
            axes.plot(curve["horizon"], curve["median"], color=FAINT_COLOUR, lw=0.9, zorder=1)
            continue
        colour = method_colour(str(name))
        front = 4 if colour == FAMILY_COLOURS["generator"] else 2 if name in SKILL_FLOOR else 3
        axes.plot(curve["horizon"], curve["median"], color=colour, ls=styles[str(name)], lw=1.8, zorder=front)
        if name in SKILL_FLOOR:
            continue
        upper = np.where(np.isfinite(curve["ci_high"]), curve["ci_high"], curve["median"])
        axes.fill_between(curve["horizon"], curve["ci_low"], upper, color=colour, alpha=0.14, lw=0, zorder=front)
    axes.set_xlim(left=0)
