"""The section ``evaluation`` of a study of environments across time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from weightcast.core.config.settings import Settings
from weightcast.core.config.training import TrainingSettings


class ShownSettings(Settings):
    """What is shown of an environment that nobody knows."""

    times: list[float] | None = Field(default=None, min_length=1)
    """Times of the snapshots that are shown. null: the first ``snapshots`` of each environment."""
    snapshots: int = Field(default=2, ge=1)
    """How many snapshots are shown where no times are named."""
    samples: int = Field(ge=1)
    """Samples of each snapshot that are shown; all of one that has fewer."""


class FamilyEvaluationSettings(Settings):
    shown: dict[str, ShownSettings] = Field(min_length=1)
    """Cases by name. Methods that are shown samples are scored in each, at the times after the last snapshot shown."""
    times: list[float] | None = Field(default=None, min_length=1)
    """Times that are scored, as far as an environment has them. null: all."""
    samples: int = Field(default=500, ge=2)
    """Drawn from each density, and compared with as many true ones."""
    alone: Annotated[TrainingSettings, Field()] = TrainingSettings(steps=300, learning_rate=0.01, keep="best")
    """Training of the densities that see the shown samples of one environment alone."""
    bootstrap: int = Field(default=2000, ge=100)
    """Resamples behind an interval."""
