"""Label the dots of a crowded scatter plot so that labels hide neither dots nor each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg

_DIRECTIONS = ((1, 0), (-1, 0), (0, 1), (0, -1), (1, 1), (1, -1), (-1, 1), (-1, -1))
"""Where a label may stand, seen from its dot (right, up), in the order of preference."""
_DISTANCES = (7.0, 13.0, 20.0, 30.0)
"""How far off it may stand, in points."""
_DOT_RADIUS = 5.0
"""Kept free around every dot, in points."""
_HORIZONTAL = {1: "left", 0: "center", -1: "right"}
_VERTICAL = {1: "bottom", 0: "center", -1: "top"}


@dataclass(frozen=True)
class Label:
    """What to write beside a dot at (x, y) in data coordinates."""

    x: float
    y: float
    text: str
    colour: str


def place_labels(axes: Axes, labels: Sequence[Label], fontsize: float = 7.5) -> None:
    """Write each label at the free place nearest to its dot; one that must stand off gets a thin leader.

    Greedy, from the top dot down: the place that overlaps least with dots, with the labels placed before and with what
    lies outside the axes.

    Args:
        axes: with scales and limits set, in a figure whose layout is settled.
        labels: one a dot; all dots are kept free.
        fontsize: in points.
    """
    if not labels:
        return
    figure = axes.get_figure(root=True)
    assert figure is not None
    pixels = figure.dpi / 72
    dots = axes.transData.transform([(label.x, label.y) for label in labels])  # [dot, 2], in pixels
    taken = np.hstack([dots - _DOT_RADIUS * pixels, dots + _DOT_RADIUS * pixels])  # boxes [.., (x0, y0, x1, y1)]
    frame = np.array(axes.bbox.extents)
    for index in np.argsort(-dots[:, 1], kind="stable"):
        label = labels[index]
        size = _text_size(axes, label.text, fontsize)
        others = np.delete(taken, index, axis=0)
        places = [
            (_overlap(box, others) + size.prod() - _overlap(box, frame[None]), direction, distance, box)
            for direction, distance, box in _places(dots[index], size, pixels)
        ]
        # The first free place, else the least bad: differences below a pixel squared do not count.
        _, (right, up), distance, box = min(places, key=lambda place: round(place[0]))
        axes.annotate(
            label.text,
            (label.x, label.y),
            xytext=(distance * right, distance * up),
            textcoords="offset points",
            ha=_HORIZONTAL[right],
            va=_VERTICAL[up],
            fontsize=fontsize,
            color=label.colour,
            arrowprops=None
            if distance == _DISTANCES[0]
            else {"arrowstyle": "-", "color": label.colour, "lw": 0.5, "shrinkA": 0, "shrinkB": 3},
        )
        taken = np.vstack([taken, box])


def _places(dot: np.ndarray, size: np.ndarray, pixels: float) -> Iterator[tuple[tuple[int, int], float, np.ndarray]]:
    """Places around a dot, nearest first: (direction, distance in points, box [x0, y0, x1, y1] in pixels)."""
    for distance in _DISTANCES:
        for direction in _DIRECTIONS:
            anchor = dot + distance * pixels * np.array(direction)
            corner = anchor - size * (1 - np.array(direction)) / 2
            yield direction, distance, np.hstack([corner, corner + size])


def _text_size(axes: Axes, text: str, fontsize: float) -> np.ndarray:
    """Width and height of a text, in pixels."""
    figure = axes.get_figure(root=True)
    assert figure is not None
    probe = axes.text(0, 0, text, fontsize=fontsize)
    extent = probe.get_window_extent(FigureCanvasAgg(figure).get_renderer())
    probe.remove()
    return np.array([extent.width, extent.height])


def _overlap(box: np.ndarray, others: np.ndarray) -> float:
    """Area that a box shares with others, shapes (4,) and (boxes, 4), summed."""
    sides = np.minimum(box[2:], others[:, 2:]) - np.maximum(box[:2], others[:, :2])
    return float(sides.clip(min=0).prod(axis=1).sum())
