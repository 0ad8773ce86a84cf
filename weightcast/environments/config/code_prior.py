"""What codes of environments are taken to be like, and what is drawn of those that frames leave open."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from weightcast.core.config.settings import WIDEST, Settings
from weightcast.core.config.training import TrainingSettings

CodePriorName = Literal["gaussian", "mixture", "diffusion"]
"""``gaussian``: one normal distribution. ``mixture``: several, fitted to the visible codes. ``diffusion``: the same,
fitted to what a diffusion draws that was trained on the visible codes."""
CodeDrawName = Literal["laplace", "weighted", "langevin"]
"""``laplace``: normal distributions around the solutions. ``weighted``: drawn from these, and again by importance.
``langevin``: drawn from these, and moved by Langevin steps under the likelihood itself."""


class CodeDiffusionSettings(Settings):
    """The diffusion of codes, and mixtures of normal distributions, which both are fitted to few points."""

    smoothings: list[Annotated[float, Field(gt=0)]] = Field(default=[0.1, 0.2, 0.4], min_length=1)
    """Noise on the visible codes, in their standard deviations, so that a diffusion does not fall onto single ones:
    chosen by the likelihood of codes that are left out."""
    parts: list[Annotated[int, Field(ge=1)]] = Field(default=[1, 2, 4, 8, 12], min_length=1)
    """Normal distributions of a mixture, chosen likewise."""
    folds: int = Field(default=3, ge=2)
    """Of the visible codes, each left out once."""
    width: int = Field(default=64, ge=1, le=WIDEST)
    """Width of the denoiser's two hidden layers."""
    batch: int = Field(default=128, ge=1)
    """Codes of a training step."""
    training: TrainingSettings = TrainingSettings(steps=1500, learning_rate=1e-2)
