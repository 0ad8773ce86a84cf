"""The section ``generator.end_to_end``."""

from __future__ import annotations

from pydantic import Field

from weightcast.core.config.settings import Settings
from weightcast.core.config.training import PredictorTraining


class EndToEndSettings(Settings):
    """Fine-tuning of decoder and diffusion together through the predictor's own error on visible environments."""

    environments: int = Field(default=8, ge=1)
    """Visible environments drawn for a step; at most all."""
    samples: int = Field(default=1, ge=1)
    """Weights generated for each of them in a step."""
    training: PredictorTraining
