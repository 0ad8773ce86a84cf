"""The section ``evaluation``: horizons and resampling."""

from __future__ import annotations

from pydantic import Field

from weightcast.core.config.settings import Settings


class EvaluationSettings(Settings):
    horizons: list[int] = Field(min_length=1)
    """Forecast lengths, in frames, at which errors are stated; must contain the trained horizon."""
    observed_frames: int | None = Field(default=None, ge=2)
    """Conditioned methods are evaluated once more on unseen environments, not told the parameters but shown the first
    so many frames of one training trajectory. null: not."""
    adaptation_scores: bool = False
    """Score also as CoDA and GEPS score adaptation (docs/adaptation.md): further metrics in metrics.csv,
    report/adaptation.csv, and a section of the report."""
    bootstrap: int = Field(default=2000, ge=100)
    """Resamples behind an interval."""
