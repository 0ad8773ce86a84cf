"""The section ``generator.diffusion``."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from weightcast.core.config.settings import Settings
from weightcast.core.config.training import TrainingSettings


class DiffusionSettings(Settings):
    """Diffusion transformer with adaptive layer norm over the node latents."""

    width: int = Field(default=64, ge=1)
    heads: int = Field(default=4, ge=1)
    layers: int = Field(default=3, ge=1)
    prediction: Literal["x0", "v", "epsilon"] = "x0"
    """What the network predicts from a noised latent."""
    noise_steps: int = Field(default=1000, ge=2)
    """Steps of the noise schedule."""
    sample_steps: int = Field(default=4, ge=1)
    """Steps of the deterministic sampler."""
    frequencies: int = Field(default=2, ge=0)
    """Sinusoidal features of each parameter beside the parameter itself.
    More fit finer dependence and extrapolate worse."""
    parameter_noise: float = Field(default=0.0, ge=0)
    """Noise on the scaled parameters while training."""
    condition_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of a step's latents whose environment is hidden from the network, which so learns what weights are likely
    anywhere as well: the prior of weights that nothing is known for. 0: there is none."""
    batch: int = Field(default=32, ge=1)
    training: TrainingSettings
