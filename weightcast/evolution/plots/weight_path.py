"""The path of weights on two principal components: with all anchors, and the evolved paths alone."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import matplotlib as mpl
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from numpy.typing import NDArray

from weightcast.core.methods import FLOW_PREFIX, method
from weightcast.core.plots.style import house_style

SPACES: Mapping[str, str] = {"anchors": "With all anchors", "paths": "Evolved paths alone"}
"""Spaces of the map, each with its own principal components, and their titles."""
_ANCHOR_MARKERS = {"independent": "x", "aligned": "o", "joint": "s", "bridged": "^"}
_ARM_STYLES = ("solid", "dashed", "dashdot", "dotted")
_COLOURS = "viridis"


def plot_weight_path(weight_path: pd.DataFrame, observed: NDArray[np.float64], time_label: str = "time") -> Figure:
    """Anchors as markers, a shape a kind; paths of flows as lines, a style an arm. Colours are times.

    Args:
        weight_path: columns space, stage (``anchors`` or ``flow``), artifact (the kind of anchors, or the arm), seed,
            time, component_1, component_2, explained_1, explained_2 (explained: fractions of variance). The first of
            its seeds is drawn.
        observed: times of the snapshots, marked by dots on the paths.
        time_label: with the unit of time.
    """
    rows = weight_path[weight_path["seed"] == weight_path["seed"].min()]
    spaces = [space for space in SPACES if space in set(rows["space"])]
    arms = list(dict.fromkeys(rows.loc[rows["stage"] == "flow", "artifact"]))
    styles = {arm: _ARM_STYLES[number % len(_ARM_STYLES)] for number, arm in enumerate(arms)}
    norm = Normalize(float(rows["time"].min()), float(rows["time"].max()))
    with house_style():
        figure = Figure(figsize=(10, 4.9), layout="constrained")
        panels = figure.subplots(1, len(spaces), squeeze=False)[0]
        for axes, space in zip(panels, spaces, strict=True):
            of_space = rows[rows["space"] == space]
            for name, anchors in of_space[of_space["stage"] == "anchors"].groupby("artifact"):
                _draw_anchors(axes, anchors, str(name), norm)
            for arm, path in of_space[of_space["stage"] == "flow"].groupby("artifact"):
                _draw_path(axes, path.sort_values("time"), styles[str(arm)], norm, observed)
            axes.set_xticks([])
            axes.set_yticks([])
            axes.margins(0.07)
            axes.set_title(SPACES[space])
            axes.set_xlabel(f"component 1 ({of_space['explained_1'].iloc[0]:.0%} of variance)")
            axes.set_ylabel(f"component 2 ({of_space['explained_2'].iloc[0]:.0%})")
        bar = figure.colorbar(ScalarMappable(norm, _COLOURS), ax=panels, aspect=30, pad=0.015)
        bar.set_label(time_label)
        bar.outline.set_visible(False)
        kinds = [kind for kind in _ANCHOR_MARKERS if kind in set(rows.loc[rows["stage"] == "anchors", "artifact"])]
        handles = [
            Line2D([], [], ls="", marker=_ANCHOR_MARKERS[kind], mfc="none", color="#4a4a4a", label=f"anchors, {kind}")
            for kind in kinds
        ]
        handles += [
            Line2D([], [], color="#4a4a4a", ls=styles[arm], lw=2, label=method(f"{FLOW_PREFIX}{arm}").label)
            for arm in arms
        ]
        if arms:
            handles.append(Line2D([], [], ls="", marker=".", color="#1a1a1a", label="observed times"))
        figure.legend(handles=handles, loc="outside lower center", ncols=4, handlelength=3)
    return figure


def _draw_anchors(axes: Axes, anchors: pd.DataFrame, kind: str, norm: Normalize) -> None:
    marker = _ANCHOR_MARKERS.get(kind, "D")
    colours = mpl.colormaps[_COLOURS](norm(anchors["time"].to_numpy()))
    # Crosses have no face; the faces of the others are empty, so that paths below them can be seen.
    filled = {"color": colours} if marker == "x" else {"facecolors": "none", "edgecolors": colours}
    axes.scatter(
        anchors["component_1"], anchors["component_2"], marker=marker, s=30, linewidths=1.2, zorder=3, **filled
    )


def _draw_path(axes: Axes, path: pd.DataFrame, style: str, norm: Normalize, observed: NDArray[np.float64]) -> None:
    """A line coloured by time, dots at the observed times, an open circle at the start."""
    points = path[["component_1", "component_2"]].to_numpy()
    times = path["time"].to_numpy()
    pieces = np.stack([points[:-1], points[1:]], axis=1)
    if style == "solid":
        lines = LineCollection(list(pieces), cmap=_COLOURS, norm=norm, linewidths=2.2, capstyle="round", zorder=4)
        lines.set_array((times[:-1] + times[1:]) / 2)
        axes.add_collection(lines)
    else:
        # Dashes of short pieces would run together: the whole line is dashed, in grey, and its dots are coloured.
        axes.plot(points[:, 0], points[:, 1], color="#6a6a6a", ls=style, lw=1.4, zorder=4)
    first, second = (np.interp(observed, times, points[:, axis]) for axis in (0, 1))
    dots: dict[str, Any] = {"edgecolors": "#1a1a1a", "linewidths": 0.6, "zorder": 5}
    axes.scatter(first, second, c=observed, cmap=_COLOURS, norm=norm, s=16, **dots)
    axes.plot(*points[0], marker="o", ms=8, mfc="none", mec="#1a1a1a", mew=1.1, zorder=5)
    axes.autoscale_view()
