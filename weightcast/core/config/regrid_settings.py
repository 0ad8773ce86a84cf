"""The grid that fields on other grids are brought to: ``data.regrid``."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, FiniteFloat

from weightcast.core.config.settings import Settings

Axis = tuple[FiniteFloat, Annotated[FiniteFloat, Field(gt=0)]]


class RegridSettings(Settings):
    """How the points of the study's grid lie in a file's own coordinates; their number is that of ``data.grid``. A file
    may have more or fewer points on the same extent."""

    y: Axis
    """First point and distance between neighbours along y, as files on the study's grid have them; [0, 1] of a line."""
    x: Axis
    """The same along x."""
    periodic: bool
    """Whether fields go on at the opposite side. They are then interpolated by their Fourier series, of which a coarser
    grid keeps the waves that it holds; others by cubic splines, of which a coarser grid has means around its points."""
