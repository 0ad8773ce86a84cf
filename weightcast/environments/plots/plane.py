"""Error over the environments' parameters: where in the plane a method holds and where it fails."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from weightcast.core.methods import method
from weightcast.core.plots.style import (
    FAMILY_MARKERS,
    ROLE_MARKERS,
    SPLIT_LABELS,
    house_style,
    log_ticks,
    method_colour,
)

_DIVERGED_COLOUR = "#d0d0d0"
_MOST_NAMED = 40
"""Environments that are named below the axis, where there are no parameters to draw them at."""


def plot_plane(
    errors: pd.DataFrame,
    environments: pd.DataFrame,
    parameters: Sequence[str],
    methods: Sequence[str],
    axis_label: str = "RMSE / field's std",
) -> Figure:
    """One parameter: error against it. Two or more: a panel a method over the first two, coloured by log error.

    Where no parameters are known: error in each environment, one beside the other, by role.

    Args:
        errors: as returned by ``weightcast.core.significance.environment_errors``.
        environments: columns id, role and the parameters.
        parameters: columns of ``environments``; may be none.
        methods: at most a handful of those in ``errors``, in the order of drawing.
        axis_label: what the error is, with its unit.
    """
    placed = errors.merge(environments, left_on="environment", right_on="id")
    placed = placed[placed["method"].isin(methods)]
    with house_style():
        if not parameters:
            return _draw_environments(placed, environments, methods, axis_label)
        if len(parameters) == 1:
            return _draw_line(placed, parameters[0], methods, axis_label)
        return _draw_panels(placed, parameters[:2], methods, axis_label)


def _draw_line(placed: pd.DataFrame, parameter: str, methods: Sequence[str], axis_label: str) -> Figure:
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes: Axes = figure.subplots()
    axes.set_yscale("log")
    axes.grid(axis="y")
    inside = placed.loc[placed["role"] == "visible", parameter]
    if not inside.empty:
        axes.axvspan(inside.min(), inside.max(), color="#f2f2f2", lw=0, zorder=0, label="range of visible environments")
    for name, style in zip(methods, ("-", "--", "-.", ":", (0, (1, 1)), (0, (5, 1))), strict=False):
        rows = placed[(placed["method"] == name) & np.isfinite(placed["value"])].sort_values(parameter)
        axes.plot(
            rows[parameter],
            rows["value"],
            color=method_colour(name),
            marker=FAMILY_MARKERS[method(name).family],
            ms=4.5,
            mec="white",
            ls=style,
            label=method(name).label,
        )
    axes.set_xlabel(parameter)
    axes.set_ylabel(f"{axis_label} (log)")
    log_ticks(axes, "y")
    figure.legend(loc="outside right upper", handlelength=3)
    return figure


def _draw_environments(
    placed: pd.DataFrame, environments: pd.DataFrame, methods: Sequence[str], axis_label: str
) -> Figure:
    """Markers above each other for every environment, which stand by role and then in the table's order."""
    roles = [role for role in ROLE_MARKERS if role in set(placed["role"])]
    groups = [environments[environments["role"] == role] for role in roles]
    order = {id: position for position, id in enumerate(pd.concat(groups)["id"])} if groups else {}
    figure = Figure(figsize=(10, 4), layout="constrained")
    axes: Axes = figure.subplots()
    axes.set_yscale("log")
    axes.grid(axis="y")
    shapes = ("o", "s", "D", "^", "v", "X")
    for name, shape in zip(methods, shapes, strict=False):
        rows = placed[(placed["method"] == name) & np.isfinite(placed["value"])]
        places = rows["environment"].map(order)
        colour, label = method_colour(name), method(name).label
        axes.plot(places, rows["value"], ls="", marker=shape, ms=5, color=colour, mec="white", label=label)
    edge = -0.5
    for role, group in zip(roles, groups, strict=True):
        axes.text(edge + 0.5 * len(group), 1.01, SPLIT_LABELS[role], transform=axes.get_xaxis_transform(), ha="center")
        edge += len(group)
        if edge < len(order) - 0.5:
            axes.axvline(edge, color="#9a9a9a", lw=0.8)
    axes.set_xlim(-0.5, max(len(order), 1) - 0.5)
    if len(order) <= _MOST_NAMED:
        axes.set_xticks(range(len(order)), list(order), rotation=60, ha="right", rotation_mode="anchor")
    else:
        axes.set_xticks([])
    axes.set_xlabel("environment")
    axes.set_ylabel(f"{axis_label} (log)")
    log_ticks(axes, "y")
    figure.legend(loc="outside right upper")
    return figure


def _draw_panels(placed: pd.DataFrame, parameters: Sequence[str], methods: Sequence[str], axis_label: str) -> Figure:
    finite = placed["value"][np.isfinite(placed["value"]) & (placed["value"] > 0)]
    norm = LogNorm(finite.min(), finite.max()) if len(finite) else LogNorm(0.1, 1.0)
    colours = mpl.colormaps["viridis_r"].with_extremes(bad=_DIVERGED_COLOUR)
    columns = min(len(methods), 4)
    lines = -(-len(methods) // columns)
    figure = Figure(figsize=(10, 0.75 + (2.75 if columns > 2 else 3.6) * lines), layout="constrained")
    panels = figure.subplots(lines, columns, sharex=True, sharey=True, squeeze=False)
    dots = None
    for axes, name in zip(panels.flat, methods, strict=False):
        rows = placed[placed["method"] == name]
        for role, marker in ROLE_MARKERS.items():
            of_role = rows[rows["role"] == role]
            dots = axes.scatter(
                of_role[parameters[0]],
                of_role[parameters[1]],
                c=of_role["value"].where(np.isfinite(of_role["value"])),
                norm=norm,
                cmap=colours,
                plotnonfinite=True,
                marker=marker,
                s=62,
                edgecolors="#3a3a3a",
                linewidths=0.5,
            )
        axes.set_title(method(name).label, color=method_colour(name))
        axes.margins(0.09)
    for axes in panels.flat[len(methods) :]:
        axes.set_visible(False)
    for axes in panels[-1]:
        axes.set_xlabel(parameters[0])
    for axes in panels[:, 0]:
        axes.set_ylabel(parameters[1])
    if dots is not None:
        bar = figure.colorbar(dots, ax=panels, aspect=24, pad=0.015)
        bar.set_label(f"{axis_label} (log)")
        bar.outline.set_visible(False)
        log_ticks(bar.ax, "y")
    roles = [role for role in ROLE_MARKERS if role in set(placed["role"])]
    handles = [
        Line2D([], [], ls="", marker=ROLE_MARKERS[role], mfc="white", mec="#3a3a3a", label=SPLIT_LABELS[role])
        for role in roles
    ]
    if not np.isfinite(placed["value"]).all():
        handles.append(Line2D([], [], ls="", marker="o", mfc=_DIVERGED_COLOUR, mec="#3a3a3a", label="diverged"))
    figure.legend(handles=handles, loc="outside lower center", ncols=4)
    return figure
