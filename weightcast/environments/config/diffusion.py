"""The section ``generator.diffusion``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from weightcast.core.config.settings import MOST_LAYERS, WIDEST, Settings, fitting_layers
from weightcast.core.config.training import TrainingSettings
from weightcast.environments.config.regression import RegressionSettings


class DiffusionSettings(Settings):
    """Diffusion transformer with adaptive layer norm over the node latents."""

    relative_to: Literal["mean", "regression"] = "mean"
    """What latents are modelled relative to: the zoo's mean, or their polynomial regression on the coordinates of the
    condition. Relative to regression, what is generated is what it leaves over."""
    regression: RegressionSettings = RegressionSettings()
    """Used relative to regression."""
    left_out: float = Field(default=0.0, ge=0, le=0.5)
    """Share of the visible environments, of those at the edge, that is left out of a first training: the second one, on
    all, takes as many steps as had the least error on them. 0: no first training, and the steps as they are set."""
    width: int = Field(default=64, ge=1, le=WIDEST)
    heads: int = Field(default=4, ge=1, le=WIDEST)
    layers: Annotated[int, AfterValidator(fitting_layers)] = Field(default=3, ge=1, le=MOST_LAYERS)
    prediction: Literal["x0", "v", "epsilon"] = "x0"
    """What the network predicts from a noised latent."""
    noise_steps: int = Field(default=1000, ge=2, le=10_000)
    """Steps of the noise schedule."""
    sample_steps: int = Field(default=4, ge=1, le=10_000)
    """Steps of the deterministic sampler."""
    frequencies: int = Field(default=2, ge=0, le=WIDEST)
    """Sinusoidal features of each parameter beside the parameter itself.
    More fit finer dependence and extrapolate worse."""
    parameter_noise: float = Field(default=0.0, ge=0)
    """Noise on the scaled parameters while training."""
    condition_dropout: float = Field(default=0.0, ge=0, lt=1)
    """Share of a step's latents whose environment is hidden from the network, which so learns what weights are likely
    anywhere as well: the prior of weights that nothing is known for. 0: there is none."""
    batch: int = Field(default=32, ge=1)
    training: TrainingSettings
