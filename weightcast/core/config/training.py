"""Settings that every training shares."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from weightcast.core.config.settings import Settings


class TrainingSettings(Settings):
    """AdamW with linear warm-up and cosine decay."""

    steps: int = Field(ge=1, le=100_000_000)
    """Optimiser steps."""
    learning_rate: float = Field(gt=0)
    """Peak learning rate."""
    weight_decay: float = Field(default=0.0, ge=0)
    """Decoupled weight decay."""
    clip: float = Field(default=1.0, gt=0)
    """Largest gradient norm, of each member on its own."""
    average: float | None = Field(default=None, gt=0, lt=1)
    """Decay of an exponential moving average of the weights, which is then what the training ends in. null: the weights
    themselves."""
    keep: Literal["last", "best"] = "last"
    """Which weights a training ends in: the last ones, or those of the least validation error on the way (of visible
    environments)."""


class PredictorTraining(TrainingSettings):
    """Training through the predictor's own error on windows of the training trajectories."""

    unroll: int = Field(default=2, ge=1)
    """Steps that the predictor is unrolled for in the loss."""
    batch: int = Field(default=4, ge=1)
    """Windows of each environment (or member) in a step."""


class PooledTraining(PredictorTraining):
    """Training of one network on several environments at once."""

    environments: int = Field(default=8, ge=1)
    """Visible environments drawn for a step; at most all."""
