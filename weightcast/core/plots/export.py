"""Figures to bytes: SVG while that is small, PNG otherwise."""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Literal

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from weightcast.core.plots.style import house_style

LARGEST_SVG = 500_000
"""Bytes; a figure whose SVG is larger becomes a PNG."""
_PIXELS_PER_INCH = 96  # a CSS inch
_PNG_DENSITY = 2  # device pixels a CSS pixel, sharp on dense screens and in print
_NO_METADATA = {"Date": None, "Creator": None, "Format": None, "Type": None}


@dataclass(frozen=True)
class RenderedFigure:
    """A figure ready to be saved or embedded.

    Attributes:
        content: of the file.
        suffix: ``svg`` or ``png``.
        width: CSS pixels at natural size.
        height: CSS pixels at natural size.
    """

    content: bytes
    suffix: Literal["svg", "png"]
    width: int
    height: int

    @property
    def media_type(self) -> str:
        """Media type for a data URI."""
        return "image/svg+xml" if self.suffix == "svg" else "image/png"


def render_png(figure: Figure, density: float = _PNG_DENSITY) -> bytes:
    """A figure as PNG; the same figure gives the same bytes.

    Args:
        figure: made in the house style.
        density: device pixels a CSS pixel.
    """
    FigureCanvasAgg(figure)
    buffer = io.BytesIO()
    with house_style():
        figure.savefig(buffer, format="png", dpi=density * _PIXELS_PER_INCH, metadata={"Software": None})
    return buffer.getvalue()


def render(figure: Figure) -> RenderedFigure:
    """Render a figure; the same figure gives the same bytes."""
    width, height = (round(inches * _PIXELS_PER_INCH) for inches in figure.get_size_inches())
    FigureCanvasAgg(figure)
    with house_style():
        buffer = io.BytesIO()
        figure.savefig(buffer, format="svg", metadata=_NO_METADATA)
        if buffer.tell() <= LARGEST_SVG:
            return RenderedFigure(buffer.getvalue(), "svg", width, height)
    return RenderedFigure(render_png(figure), "png", width, height)
