"""What a system does in different environments: true trajectories side by side."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from weightcast.core.plots.style import house_style
from weightcast.environments.plots.rollouts import draw_frame, field_scale
from weightcast.environments.plots.space_time import plot_space_time
from weightcast.trajectories.record import Trajectories

FRAMES = 6
"""Shown of each environment, evenly spaced from the first to the last."""
LINE_COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#1a1a1a")
"""Of the channels of a state without a grid (Okabe and Ito, 2008)."""


def plot_environments(shown: Sequence[Trajectories]) -> Figure:
    """Rows: environments; across: frames of the first channel of one trajectory, on one colour scale.

    A state on a single point is drawn as lines over time instead, a line a channel; a field along a line as a picture
    of place and time.

    Args:
        shown: of a few environments, of one system; the first trajectory of each is drawn.
    """
    first = shown[0]
    if len(first.y) == len(first.x) == 1:
        return _plot_lines(shown)
    if len(first.y) == 1:
        return _plot_space_time(shown)
    steps = np.unique(np.linspace(0, len(first.time) - 1, FRAMES).round().astype(int))
    frames = np.stack([part.values[0, steps, 0] for part in shown])  # [environment, step, y, x]
    scale = field_scale(frames)
    cell = 8.1 / FRAMES
    height = cell * frames.shape[2] / frames.shape[3]
    layout = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.01, hspace=0.01)
    with house_style():
        figure = Figure(figsize=(10, 0.45 + len(shown) * (height + 0.07)), layout=layout)
        panels = figure.subplots(len(shown), len(steps), squeeze=False)
        for line, part, row in zip(panels, shown, frames, strict=True):
            for axes, frame in zip(line, row, strict=True):
                draw_frame(axes, frame, scale)
            line[0].set_ylabel(_name(part), rotation=0, ha="right", va="center")
        unit = first.units.get("time")
        for axes, time in zip(panels[0], first.time[steps], strict=True):
            axes.set_title(f"t = {time:.4g}{f' {unit}' if unit else ''}")
        bar = figure.colorbar(panels[0, 0].images[0], ax=panels, aspect=22, pad=0.012)
        unit = first.units.get(first.channels[0])
        bar.set_label(f"{first.channels[0]}{f' ({unit})' if unit else ''}")
        bar.outline.set_visible(False)
    return figure


def _plot_lines(shown: Sequence[Trajectories]) -> Figure:
    with house_style():
        figure = Figure(figsize=(10, 3.2), layout="constrained")
        panels = figure.subplots(1, len(shown), sharey=True, squeeze=False)[0]
        for axes, part in zip(panels, shown, strict=True):
            for channel, name in enumerate(part.channels):
                colour = LINE_COLOURS[channel % len(LINE_COLOURS)]
                axes.plot(part.time, part.values[0, :, channel, 0, 0], color=colour, lw=1.6, label=name)
            axes.set_title(_name(part).replace("\n", ", "))
            axes.set_xlabel("t")
            axes.grid(axis="y")
        figure.legend(*panels[0].get_legend_handles_labels(), loc="outside right center")
    return figure


def _plot_space_time(shown: Sequence[Trajectories]) -> Figure:
    first = shown[0]
    pictures = [(_name(part).replace("\n", ", "), part.values[0, :, 0, 0]) for part in shown]
    scale = field_scale(np.stack([picture for _, picture in pictures]))
    unit = first.units.get(first.channels[0])
    return plot_space_time([("", pictures, scale)], first.time, f"{first.channels[0]}{f' ({unit})' if unit else ''}")


def _name(part: Trajectories) -> str:
    """An environment by its parameters, or by its id where none is known."""
    return "\n".join(f"{name} = {value:g}" for name, value in part.parameters.items()) or part.environment or ""
