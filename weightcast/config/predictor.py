"""The section ``predictor``: the small network whose weights are the data."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from weightcast.config.settings import Settings


class FNOSettings(Settings):
    """A compact Fourier neural operator (weightcast.nets.fno)."""

    kind: Literal["fno"] = "fno"
    width: int = Field(default=12, ge=1)
    """Channels inside the network."""
    modes: tuple[int, int] = (4, 4)
    """Fourier modes kept along (y, x), at most half the grid."""
    depth: int = Field(default=3, ge=1)
    """Number of Fourier layers."""
    projection: int = Field(default=24, ge=1)
    """Width of the projection's hidden layer."""
    positional: bool = True
    """Show the network the grid's coordinates: for dynamics that depend on the place."""
    residual: bool = True
    """Predict the increment of a frame rather than the next frame itself."""


PredictorSettings = FNOSettings
