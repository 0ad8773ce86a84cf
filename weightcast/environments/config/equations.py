"""Settings of sparse equations: a method of the table, and what a context may be in the place of networks."""

from __future__ import annotations

import math
from typing import Annotated, ClassVar

from pydantic import Field

from weightcast.core.config.later_settings import LaterSettings

MOST_ROWS = 20_000
"""Points of the steps of an environment's fields that are regressed on: a term that they do not show is not there."""
FIELD_NUMBERS = 1_000_000
"""Numbers of fields that coefficients are fitted to, of all environments together."""
UNROLL = 8
"""Steps of the rollouts that coefficients are fitted to."""


class EquationsSettings(LaterSettings):
    """Sparse equations: their terms are those that visible environments need together, their coefficients are fitted to
    each, and to the frames of an unseen one. States have polynomials; fields, which are taken as periodic, have
    products of values, first derivatives, Laplacians, and what a flow carries whose vorticity they are."""

    later: ClassVar[tuple[str, ...]] = ("hill",)

    degree: int = Field(default=2, ge=1, le=8)
    """The highest one of the products of values that are looked for."""
    waves: int = Field(default=0, ge=0, le=8)
    """Of fields: forces that depend on the place are looked for with up to so many periods along a side."""
    hill: list[Annotated[int, Field(ge=1, le=8)]] = Field(default=[])
    """Of states whose polynomials do not explain what happens: powers n of a Hill function 1 / (1 + (x / K)^n) of one
    component x, that products may be multiplied with: rates that saturate or are inhibited. K is each environment's
    own. []: none."""
    tolerances: list[Annotated[float, Field(ge=1)]] = Field(default=[1.2, 2.0, 5.0], min_length=1)
    """How much larger an equation's error on held-out trajectories may be for the sake of fewer terms: left-out visible
    environments choose among these by what is made of their frames."""
    most_terms: int = Field(default=24, ge=1)
    """Of all equations together: each is an unknown of the search."""
    frames: int = Field(default=10, ge=2)
    """Frames of left-out visible environments that are shown for the choice."""
    substeps: int = Field(default=4, ge=1)
    """Runge-Kutta steps between two frames; of fields doubled until they are enough."""

    def terms(self, channels: int, grid: tuple[int, int]) -> int:
        """How many terms an equation may have, of fields on a grid (y, x)."""
        products = math.comb(channels + self.degree, self.degree)
        if grid == (1, 1):
            return products
        if grid[0] == 1:  # along a line there is one slope, and no flow
            return products + channels * (3 + channels) + 2 * self.waves
        # Of each channel: slopes, Laplacians, and slopes times a value, and what a flow carries.
        return products + channels * (4 + 3 * channels) + 2 * (2 * self.waves * (self.waves + 1))
