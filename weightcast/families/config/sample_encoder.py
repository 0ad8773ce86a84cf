"""The section ``inference.encoder``: a network that reads samples and says the code, without a search."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from weightcast.core.config.settings import WIDEST, Settings
from weightcast.core.config.training import TrainingSettings


class SampleEncoderSettings(Settings):
    """A permutation-invariant network from the samples of a few snapshots, and their times, to the code: trained on
    visible environments, of which random snapshots and random numbers of samples are shown, and on environments that
    are made up: codes of the prior, and samples that the trained map draws for them."""

    width: int = Field(default=64, ge=1, le=WIDEST)
    """Of its hidden layers."""
    snapshots: int = Field(default=4, ge=1)
    """Most snapshots of an environment that are shown in training."""
    samples: int = Field(default=128, ge=1)
    """Most samples of a snapshot that are shown in training."""
    made: int = Field(default=1024, ge=1)
    """Environments that are made up, of all maps together."""
    made_share: float = Field(default=0.75, ge=0, le=1)
    """Part of a step's environments that are made up; the others are visible ones. 0: visible ones alone, 1: none."""
    members: int = Field(default=64, ge=1)
    """Environments in a step."""
    training: Annotated[TrainingSettings, Field()] = TrainingSettings(steps=1500, learning_rate=0.003)
    """Of the network."""
    refinement: int = Field(default=25, ge=1)
    """Steps of a search that begins at the code that the network says, and at no other."""
