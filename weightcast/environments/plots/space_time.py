"""Fields along a line through time: a picture with the place along x and time upwards."""

from __future__ import annotations

from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from weightcast.core.plots.style import house_style

WIDTH = 10.0
HEIGHT = 2.1
"""Of a row of pictures, inches."""


def is_line(sizes: Any) -> bool:
    """Whether fields with these sizes of y and x lie along a line."""
    return bool(sizes["y"] == 1 and sizes["x"] > 1)


def plot_space_time(
    rows: list[tuple[str, list[tuple[str, np.ndarray]], dict[str, Any]]], times: np.ndarray, bar: str
) -> Figure:
    """Rows of pictures beside each other; those of a row share a scale of colours.

    Args:
        rows: what stands at the left, pictures [time, x] with what stands above each, and the scale that they share.
        times: of the pictures' lines, unless a picture has another number of them; those are numbered.
        bar: what the colours are, beside the first row.
    """
    with house_style():
        figure = Figure(figsize=(WIDTH, 0.6 + HEIGHT * len(rows)), layout="constrained")
        columns = max(len(pictures) for _, pictures, _ in rows)
        panels = figure.subplots(len(rows), columns, squeeze=False)
        for number, (line, (name, pictures, scale)) in enumerate(zip(panels, rows, strict=True)):
            for axes, (title, picture) in zip(line, pictures, strict=False):
                own = times if len(times) == len(picture) else np.arange(len(picture))
                draw_space_time(axes, picture, own, scale)
                axes.set_title(title)
            for axes in line[len(pictures) :]:
                axes.set_axis_off()
            line[0].set_ylabel(f"{name}\nt, upwards" if name else "t, upwards")
            drawn = figure.colorbar(line[0].images[0], ax=list(line), pad=0.012)
            drawn.set_label(bar if number == 0 else name)
            drawn.outline.set_visible(False)
        for axes in panels[-1]:
            axes.set_xlabel("x")
    return figure


def draw_space_time(axes: Axes, picture: np.ndarray, times: np.ndarray, scale: dict[str, Any]) -> None:
    """One picture [time, x]; what is not finite is grey."""
    axes.set_facecolor("#d0d0d0")
    step = (float(times[-1] - times[0]) / (len(times) - 1) if len(times) > 1 else 1.0) or 1.0
    extent = (0.0, float(picture.shape[1]), float(times[0]) - step / 2, float(times[-1]) + step / 2)
    axes.imshow(
        np.ma.masked_invalid(picture), origin="lower", interpolation="none", aspect="auto", extent=extent, **scale
    )
