"""The section ``density``: the autoregressive network whose weights evolve."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from weightcast.core.config.settings import MOST_LAYERS, WIDEST, Settings


class DensitySettings(Settings):
    """p(x) as a product over dimensions of p(next dimension | those before it)."""

    backbone: Literal["gru", "transformer"] = "gru"
    hidden: int = Field(default=16, ge=1, le=WIDEST)
    """Width of the backbone."""
    layers: int = Field(default=1, ge=1, le=MOST_LAYERS)
    heads: int = Field(default=2, ge=1, le=WIDEST)
    """Attention heads of the Transformer; must divide ``hidden``."""
    components: int = Field(default=8, ge=1, le=WIDEST)
    """Gaussians that each dimension of a real state is a mixture of."""
    atoms: float = Field(default=0.05, gt=0, le=1)
    """Part of a snapshot's samples from which on a value that repeats in a real dimension, as a zero does where nothing
    is measured, has a probability of its own beside the mixture. 1: none has."""
    order: Literal["sequential", "random"] = "sequential"
    """In which order dimensions are drawn: as in the data, or a random order, fixed by the seed."""
