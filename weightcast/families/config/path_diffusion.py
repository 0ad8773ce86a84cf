"""The section ``paths.zoo.vae.diffusion``: a conditional diffusion over the latents of an autoencoder of paths."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from weightcast.core.config.settings import MOST_LAYERS, WIDEST, Settings, fitting_layers
from weightcast.core.config.training import TrainingSettings
from weightcast.environments.config.diffusion import DiffusionSettings


class PathDiffusionSettings(Settings):
    """The diffusion of weights of one time, for codes of whole paths: told the parameters where they are known, what
    the network of ``inference.encoder`` says of the samples where there is one, or nothing."""

    width: int = Field(default=64, ge=1, le=WIDEST)
    """Width of its blocks."""
    heads: int = Field(default=4, ge=1, le=WIDEST)
    """Heads of attention, of which the width is a multiple."""
    layers: Annotated[int, AfterValidator(fitting_layers)] = Field(default=2, ge=1, le=MOST_LAYERS)
    """Blocks."""
    sample_steps: int = Field(default=20, ge=1, le=1000)
    """Denoising steps of a draw."""
    frequencies: int = Field(default=0, ge=0, le=64)
    """Sinusoidal features of each number of the condition beside the number itself. More fit finer dependence and
    extrapolate worse."""
    condition_dropout: float = Field(default=0.2, gt=0, lt=1)
    """Share of a step's codes of which the network is told nothing, which so learns what codes are likely anywhere."""
    batch: int = Field(default=64, ge=1)
    """Codes of a training step."""
    training: Annotated[TrainingSettings, Field()] = TrainingSettings(steps=1000, learning_rate=0.003)
    """Of the network."""
    draws: int = Field(default=32, ge=2)
    """Codes that are generated of an environment."""
    refinement: int = Field(default=25, ge=1)
    """Steps of a search that begins at generated codes, by the likelihood of the shown samples."""

    @property
    def of_weights(self) -> DiffusionSettings:
        """The same as settings of the diffusion of weights."""
        own = {"width", "heads", "layers", "sample_steps", "frequencies", "condition_dropout", "batch", "training"}
        # Of the velocity: what it generates is then as far apart as what it was shown, where x0 falls onto the middle.
        return DiffusionSettings.model_validate(self.model_dump(include=own) | {"prediction": "v"})
