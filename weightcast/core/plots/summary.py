"""Summary dot plot: every method's median error and interval, a panel a split."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from weightcast.core.methods import SKILL_FLOOR, Family, method
from weightcast.core.plots.style import (
    FAMILY_COLOURS,
    FAMILY_LABELS,
    FAMILY_MARKERS,
    NO_NETWORK_COLOUR,
    house_style,
    log_limits,
    log_ticks,
    method_colour,
    split_label,
)
from weightcast.core.significance import split_order


def plot_summary(summary: pd.DataFrame, metric: str = "rmse", axis_label: str = "RMSE / field's std") -> Figure:
    """Dots for medians over environments, bars for their 95 % intervals, log x; best method of the unseen on top.

    A median that is infinite (diverged rollouts), or far beyond all others, is drawn as an arrow at the right edge.

    Args:
        summary: as returned by ``weightcast.core.significance.summarise``.
        metric: which rows of it.
        axis_label: what the metric is, with its unit.
    """
    rows = summary[summary["metric"] == metric]
    splits = sorted(rows["split"].unique(), key=split_order)
    names = _order(rows, splits)
    limits = log_limits(rows[["median", "ci_low", "ci_high"]])
    with house_style():
        figure = Figure(figsize=(10, 1.15 + 0.235 * len(names)), layout="constrained")
        panels = figure.subplots(1, len(splits), sharey=True, squeeze=False)[0]
        for axes, split in zip(panels, splits, strict=True):
            axes.set_xscale("log")
            axes.set_xlim(limits)
            _draw_panel(axes, rows[rows["split"] == split].set_index("method"), names)
            axes.set_title(split_label(split))
            axes.set_xlabel(f"{axis_label} (log)")
        panels[0].set_yticks(range(len(names)), [method(name).label for name in names])
        for tick, name in zip(panels[0].get_yticklabels(), names, strict=True):
            tick.set_color(method_colour(name) if name not in SKILL_FLOOR else "#5f5f5f")
        figure.legend(handles=family_handles(rows["method"].unique()), loc="outside lower center", ncols=4)
    return figure


def family_handles(names: np.ndarray) -> list[Line2D]:
    """Legend entries for the families that occur among ``names``."""
    families: list[Family] = ["generator", "reference", "baseline"]
    present = {method(name).family for name in names if name not in SKILL_FLOOR}
    handles = [
        Line2D([], [], ls="", marker=FAMILY_MARKERS[f], color=FAMILY_COLOURS[f], label=FAMILY_LABELS[f])
        for f in families
        if f in present
    ]
    if set(names) & set(SKILL_FLOOR):
        handles.append(Line2D([], [], ls="", marker="o", color=NO_NETWORK_COLOUR, label="no network (skill floor)"))
    return handles


def _order(rows: pd.DataFrame, splits: list[str]) -> list[str]:
    """Methods from bottom to top: worst to best in the first unseen split."""
    unseen = [split for split in splits if split != "visible"] or splits
    medians = rows.pivot(index="method", columns="split", values="median")
    return list(medians.sort_values([unseen[0], *splits], ascending=False, na_position="first").index)


def _draw_panel(axes: Axes, rows: pd.DataFrame, names: list[str]) -> None:
    """One split: ``rows`` indexed by method, drawn at the methods' heights in ``names``."""
    axes.set_ylim(-0.7, len(names) - 0.3)
    axes.grid(axis="both")
    axes.tick_params(axis="y", length=0)
    edge = axes.get_xlim()[1]
    floors = [rows.loc[name, "median"] for name in SKILL_FLOOR if name in rows.index]
    if floors and np.isfinite(min(floors)):
        axes.axvspan(min(floors), edge, color="#f2f2f2", zorder=0, lw=0)
        axes.text(
            min(floors),
            0.995,
            " no skill",
            transform=axes.get_xaxis_transform(),
            va="top",
            fontsize=7.5,
            color="#707070",
        )
    for height, name in enumerate(names):
        if name not in rows.index:
            continue
        row, colour = rows.loc[name], method_colour(name)
        if not row["median"] <= edge:
            _draw_arrow(axes, height, f"{row['median']:.2g}" if np.isfinite(row["median"]) else "diverged", colour)
            continue
        axes.plot([row["ci_low"], min(row["ci_high"], edge)], [height, height], color=colour, lw=1.6, alpha=0.75)
        axes.plot(row["median"], height, marker=FAMILY_MARKERS[method(name).family], color=colour, ms=5.5, mec="white")
    log_ticks(axes, "x")


def _draw_arrow(axes: Axes, height: float, label: str, colour: str) -> None:
    """A method whose error lies beyond the right edge."""
    place: dict[str, Any] = {
        "xycoords": axes.get_yaxis_transform(),
        "textcoords": "offset points",
        "va": "center",
        "color": colour,
    }
    axes.annotate("\N{BLACK RIGHT-POINTING TRIANGLE}", (1, height), xytext=(-2, 0), ha="right", **place)
    axes.annotate(label, (1, height), xytext=(-13, 0), ha="right", fontsize=7.5, **place)
