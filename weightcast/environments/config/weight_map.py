"""What a map from a condition to a predictor's weights is made of."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from weightcast.core.config.settings import WIDEST, Settings


class PooledMap(Settings):
    """The same weights in every environment."""

    kind: Literal["pooled"] = "pooled"


class FilmMap(Settings):
    """Feature-wise linear modulation, folded into plain weights."""

    kind: Literal["film"] = "film"
    width: int = Field(default=64, ge=1, le=WIDEST)
    """Width of the two hidden layers that turn a condition into scales and shifts."""


class HypernetworkMap(Settings):
    """A mean and a few learned directions."""

    kind: Literal["hypernetwork"] = "hypernetwork"
    rank: int = Field(default=8, ge=1, le=WIDEST)
    """Learned directions in weight space."""
    width: int = Field(default=64, ge=1, le=WIDEST)
    """Width of the two hidden layers."""


class LinearMap(Settings):
    """Weights as a mean plus one learned direction for each coordinate: linear in the condition, so that nothing bends
    outside of the range."""

    kind: Literal["linear"] = "linear"
    scope: Literal["all", "output"] = "all"
    """Which weights depend on the condition: all, or those of the last layer alone. The latter is a sum of learned
    functions whose coefficients are the coordinates."""


AnyWeightMap = Annotated[PooledMap | FilmMap | HypernetworkMap | LinearMap, Field(discriminator="kind")]
