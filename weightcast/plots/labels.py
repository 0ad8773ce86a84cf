"""Keep the labels of a crowded scatter plot apart."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.text import Annotation


def spread(axes: Axes, gap: float = 1.0) -> None:
    """Move annotations up or down, and to the left of their dots near the right edge, until none overlap.

    Greedy, from the top of the axes down: a label that collides with one already placed goes just below it.

    Args:
        axes: whose annotations to spread; its figure's layout must be settled.
        gap: least distance between labels, in points.
    """
    figure = axes.get_figure(root=True)
    renderer = FigureCanvasAgg(figure).get_renderer()
    points = 72 / figure.dpi  # type: ignore[union-attr]
    labels = [text for text in axes.texts if isinstance(text, Annotation)]
    for label in labels:
        if label.get_window_extent(renderer).x1 > axes.bbox.x1:
            label.set_horizontalalignment("right")
            label.set_position((-label.get_position()[0], label.get_position()[1]))
    placed = []
    for label in sorted(labels, key=lambda text: -text.get_window_extent(renderer).y1):
        box = label.get_window_extent(renderer)
        for other in placed:
            if box.x0 < other.x1 and other.x0 < box.x1 and box.y1 > other.y0 - gap / points:
                down = box.y1 - (other.y0 - gap / points)
                x, y = label.get_position()
                label.set_position((x, y - down * points))
                box = label.get_window_extent(renderer)
        placed.append(box)
