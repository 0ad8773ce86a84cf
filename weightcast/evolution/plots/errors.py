"""Errors against time, of a few methods, with the observed times marked."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from weightcast.core.methods import method
from weightcast.core.plots.style import FAMILY_MARKERS, house_style, log_limits, log_ticks, method_colour

_STYLES = ("-", "--", "-.", ":", (0, (1, 1)), (0, (6, 1)))
_LEFT_OUT = ("held_out", "forecast")
_OBSERVED_COLOUR = "#d4d4d4"


class ErrorPanel(NamedTuple):
    """A metric to draw, and what to write at its axis."""

    metric: str
    label: str


def plot_time_errors(
    errors: pd.DataFrame,
    featured: Sequence[str],
    panels: Sequence[ErrorPanel],
    observed: NDArray[np.float64],
    time_label: str = "time",
) -> Figure:
    """Lines against time, one a method, log y; thin lines are single seeds, thick ones their median.

    Args:
        errors: columns method, split, seed, time, metric, value. Rows of the splits ``observed`` and ``unobserved``
            make the lines; those of ``held_out`` and ``forecast``, where a snapshot was left out of all training, open
            markers.
        featured: methods to draw, at most a handful, the first in front.
        panels: metrics, one below the other.
        observed: times of the snapshots.
        time_label: with the unit of time.
    """
    shown = errors[errors["method"].isin(featured) & np.isfinite(errors["value"])]
    styles = _line_styles(featured)
    with house_style():
        figure = Figure(figsize=(10, 0.6 + 2.7 * len(panels)), layout="constrained")
        grid = figure.subplots(len(panels), 1, squeeze=False, sharex=True)[:, 0]
        for axes, panel in zip(grid, panels, strict=True):
            rows = shown[shown["metric"] == panel.metric]
            for time in observed:
                axes.axvline(time, color=_OBSERVED_COLOUR, lw=0.8, zorder=0)
            for rank, name in enumerate(featured):
                _draw_method(axes, rows[rows["method"] == name], name, styles[name], 10 - rank)
            axes.set_yscale("log")
            axes.grid(axis="y")
            axes.set_ylabel(f"{panel.label} (log)")
            axes.set_ylim(_limits(rows["value"].to_numpy()))
            log_ticks(axes, "y")
        grid[-1].set_xlabel(time_label)
        present = set(shown["method"])
        handles = [
            Line2D([], [], color=method_colour(name), ls=styles[name], lw=2, label=method(name).label)
            for name in featured
            if name in present
        ]
        handles.append(Line2D([], [], color=_OBSERVED_COLOUR, lw=1.2, label="observed times"))
        if set(_LEFT_OUT) & set(shown["split"]):
            handles.append(
                Line2D([], [], ls="", marker="o", mfc="white", mec="#5a5a5a", ms=5, label="snapshot left out")
            )
        figure.legend(handles=handles, loc="outside lower center", ncols=4, handlelength=3)
    return figure


def _line_styles(featured: Sequence[str]) -> dict[str, str | tuple[int, tuple[int, int]]]:
    """A line style for each method: those of one colour differ in style."""
    used: dict[str, int] = {}
    styles = {}
    for name in featured:
        colour = method_colour(name)
        styles[name] = _STYLES[used.get(colour, 0) % len(_STYLES)]
        used[colour] = used.get(colour, 0) + 1
    return styles


def _draw_method(
    axes: Axes, rows: pd.DataFrame, name: str, style: str | tuple[int, tuple[int, int]], front: float
) -> None:
    """One method's errors: a line over all times, markers where a snapshot was left out."""
    colour = method_colour(name)
    over_time = rows[rows["split"].isin(["observed", "unobserved"])]
    if over_time["seed"].nunique() > 1:
        for _, of_seed in over_time.sort_values("time").groupby("seed"):
            axes.plot(of_seed["time"], of_seed["value"], color=colour, lw=0.6, alpha=0.35, zorder=front - 0.5)
    median = over_time.groupby("time")["value"].median()
    few = len(median) <= 12
    axes.plot(
        median.index,
        median.to_numpy(),
        color=colour,
        ls=style,
        lw=1.7,
        zorder=front,
        marker=FAMILY_MARKERS[method(name).family] if few else None,
        ms=3.5,
    )
    left_out = rows[rows["split"].isin(_LEFT_OUT)].groupby("time")["value"].median()
    axes.plot(
        left_out.index,
        left_out.to_numpy(),
        ls="",
        marker=FAMILY_MARKERS[method(name).family],
        ms=6,
        mfc="white",
        mec=colour,
        mew=1.3,
        zorder=front,
    )


def _limits(values: NDArray[np.float64]) -> tuple[float, float]:
    """Ends of an axis around nearly all errors: at a start that is a single point they may be as good as zero."""
    positive = values[np.isfinite(values) & (values > 0)]
    if not positive.size:
        return log_limits(positive)
    return log_limits(positive[positive >= np.quantile(positive, 0.02)])
