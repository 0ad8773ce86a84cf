"""The weight-environment map: principal components of weights and of latents, coloured by each parameter.

Where no parameters are known, dots of an environment are joined instead.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.figure import Figure

from weightcast.core.plots.style import FAMILY_COLOURS, house_style

_MOST_PARAMETERS = 4
_COLUMNS = 2
"""Of panels, where there are no parameters."""


def plot_weight_map(weight_map: pd.DataFrame, environments: pd.DataFrame, parameters: Sequence[str]) -> Figure:
    """A row for each space and base, a column for each parameter (the first four); a dot is a zoo member.

    Without parameters: a panel for each space and base, lines between the members of an environment.

    Args:
        weight_map: columns space, base, environment, member, component_1, component_2, explained_1, explained_2
            (explained: fractions of variance).
        environments: columns id and the parameters.
        parameters: columns of ``environments`` to colour by; may be none.
    """
    if not parameters:
        return _draw_members(weight_map)
    parameters = list(parameters)[:_MOST_PARAMETERS]
    placed = weight_map.merge(environments, left_on="environment", right_on="id")
    groups = list(placed.groupby(["space", "base"], sort=False))
    columns = max(2, len(parameters))
    with house_style():
        figure = Figure(figsize=(10, (2.5 if columns > 2 else 3.3) * len(groups)), layout="constrained")
        panels = figure.subplots(len(groups), columns, squeeze=False)
        for line, ((space, base), rows) in zip(panels, groups, strict=True):
            for axes, parameter in zip(line, parameters, strict=False):
                dots = _draw_dots(axes, rows, c=rows[parameter], cmap="viridis")
                axes.set_title(f"{str(space).capitalize()} ({base}), by {parameter}")
                bar = figure.colorbar(dots, ax=axes, aspect=24, pad=0.015)
                bar.outline.set_visible(False)
            line[0].set_ylabel(f"component 2 ({rows['explained_2'].iloc[0]:.0%})")
            for axes in line[len(parameters) :]:
                axes.set_visible(False)
    return figure


def _draw_members(weight_map: pd.DataFrame) -> Figure:
    groups = list(weight_map.groupby(["space", "base"], sort=False))
    lines = -(-len(groups) // _COLUMNS)
    with house_style():
        figure = Figure(figsize=(10, 3.3 * lines), layout="constrained")
        panels = figure.subplots(lines, _COLUMNS, squeeze=False)
        for axes, ((space, base), rows) in zip(panels.flat, groups, strict=False):
            for _, members in rows.groupby("environment", sort=False):
                axes.plot(members["component_1"], members["component_2"], color="#b4b4b4", lw=0.8, zorder=0)
            _draw_dots(axes, rows, color=FAMILY_COLOURS["baseline"])
            axes.set_title(f"{str(space).capitalize()} ({base})")
            axes.set_ylabel(f"component 2 ({rows['explained_2'].iloc[0]:.0%})")
        for axes in panels.flat[len(groups) :]:
            axes.set_visible(False)
    return figure


def _draw_dots(axes: Axes, rows: pd.DataFrame, **colours: Any) -> ScalarMappable:
    dots = axes.scatter(rows["component_1"], rows["component_2"], s=18, edgecolors="white", linewidths=0.4, **colours)
    axes.set_xticks([])
    axes.set_yticks([])
    axes.margins(0.08)
    axes.set_xlabel(f"component 1 ({rows['explained_1'].iloc[0]:.0%} of variance)")
    return dots
