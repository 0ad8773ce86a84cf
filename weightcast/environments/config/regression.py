"""Polynomial regression on what is known of an environment: of weights, as a baseline, and of latents."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from weightcast.core.config.settings import Settings


class RegressionSettings(Settings):
    """Regression of the experts' weights, or of their latents, on the coordinates of a condition."""

    degrees: list[Annotated[int, Field(le=10)]] = Field(default=[1, 2, 3], min_length=1)
    """Polynomial degrees among which cross-validation over visible environments chooses."""
    folds: int = Field(default=6, ge=2)
