"""How trainings went: errors against the step, a panel for each stage."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import MaxNLocator

from weightcast.core.plots.style import house_style, log_ticks

COLOURS = {"training": "#0072b2", "validation": "#d55e00"}
_DASHES = {"training": "-", "validation": (0, (4, 1.5))}  # never told apart by colour alone
_COLUMNS = 3
_MANY = 8  # more lines in a panel than this are drawn faintly


def plot_training_curves(curves: pd.DataFrame) -> Figure:
    """Small multiples of training curves; the scale is logarithmic where all errors of a stage are positive.

    Args:
        curves: columns stage, artifact, training, step, part, value; see
            :func:`weightcast.core.training_curves.training_curves`. Panels come in the order of the stages in it.
    """
    stages = list(dict.fromkeys(curves["stage"]))
    rows = -(-len(stages) // _COLUMNS)
    with house_style():
        figure = Figure(figsize=(10, 0.5 + 2.4 * rows), layout="constrained")
        panels = list(figure.subplots(rows, min(_COLUMNS, len(stages)), squeeze=False).flat)
        for axes, stage in zip(panels, stages, strict=False):
            _draw_panel(axes, curves[curves["stage"] == stage], stage)
        for axes in panels[len(stages) :]:
            axes.set_axis_off()
        handles = [Line2D([], [], color=COLOURS[part], ls=_DASHES[part], label=part) for part in COLOURS]
        figure.legend(handles=handles, loc="outside lower center", ncols=2)
    return figure


def _draw_panel(axes: Axes, curves: pd.DataFrame, stage: str) -> None:
    """One stage's trainings."""
    lines = list(curves.groupby(["artifact", "training", "part"], sort=False))
    trainings = curves.groupby(["artifact", "training"]).ngroups
    faint = 0.35 if trainings > _MANY else 0.8
    for (_, _, part), line in lines:
        alone = len(line) == 1  # a line of one point is invisible
        axes.plot(
            line["step"],
            line["value"],
            color=COLOURS[str(part)],
            ls=_DASHES[str(part)],
            lw=1.0,
            alpha=faint,
            marker="o" if alone else None,
            ms=3,
        )
    axes.set_title(f"{stage}: {trainings} training{'s' if trainings > 1 else ''}")
    axes.set_xlabel("step")
    axes.xaxis.set_major_locator(MaxNLocator(4, integer=True))
    axes.grid(axis="y")
    finite = curves["value"][np.isfinite(curves["value"])]
    if len(finite) and (finite > 0).all():
        axes.set_yscale("log")
        axes.set_ylim(finite.min() / 1.25, finite.max() * 1.25)
        log_ticks(axes, "y")
