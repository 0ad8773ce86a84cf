"""The section ``generator``: weight VAE, latent diffusion, end-to-end fine-tuning, and the arms that are compared."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from weightcast.config.settings import Settings
from weightcast.config.training import PredictorTraining, TrainingSettings
from weightcast.config.zoo import BaseName


class VAESettings(Settings):
    """Attention over the nodes of the weight graph, to a latent at each node and back."""

    width: int = Field(default=64, ge=1)
    heads: int = Field(default=4, ge=1)
    layers: int = Field(default=2, ge=1)
    latent: int = Field(default=8, ge=1)
    """Latent dimensions of a node."""
    kl_weight: float = Field(default=1e-5, ge=0)
    """Weight of the Kullback-Leibler term (beta)."""
    functional_weight: float = Field(default=1.0, ge=0)
    """Weight of the functional loss: the decoded network must behave as the original. 0 turns it off."""
    functional_batch: int = Field(default=2, ge=1)
    """States on which a decoded network is compared with its original in a step."""
    balanced: bool = True
    """Reconstruction error of each layer relative to the spread of its weights in the zoo."""
    batch: int = Field(default=16, ge=1)
    training: TrainingSettings


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
    """Sinusoidal features of each parameter beside the parameter itself. More fit finer dependence and extrapolate worse."""
    parameter_noise: float = Field(default=0.0, ge=0)
    """Noise on the scaled parameters while training."""
    batch: int = Field(default=32, ge=1)
    training: TrainingSettings


class EndToEndSettings(Settings):
    """Fine-tuning of decoder and diffusion together through the predictor's own error on visible environments."""

    environments: int = Field(default=8, ge=1)
    """Visible environments drawn for a step; at most all."""
    samples: int = Field(default=1, ge=1)
    """Weights generated for each of them in a step."""
    training: PredictorTraining


class ArmSettings(Settings):
    """One configuration of the generator. ``vae`` and ``diffusion`` override single keys of the shared sections."""

    base: BaseName
    end_to_end: bool
    """Whether end-to-end fine-tuning follows the diffusion."""
    vae: dict[str, Any] = Field(default_factory=dict)
    diffusion: dict[str, Any] = Field(default_factory=dict)


class GeneratorSettings(Settings):
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    """The whole generator is trained once for each."""
    samples: int = Field(default=1, ge=1)
    """Predictors generated for each environment in the evaluation."""
    arms: dict[str, ArmSettings] = Field(min_length=1)
    vae: VAESettings
    diffusion: DiffusionSettings
    end_to_end: EndToEndSettings

    def of_arm(self, arm: str) -> tuple[VAESettings, DiffusionSettings]:
        """The arm's own VAE and diffusion settings: the shared ones with its overrides."""
        overrides = self.arms[arm]
        vae = VAESettings.model_validate(_overlaid(self.vae.model_dump(), overrides.vae))
        return vae, DiffusionSettings.model_validate(_overlaid(self.diffusion.model_dump(), overrides.diffusion))


def _overlaid(below: dict[str, Any], above: dict[str, Any]) -> dict[str, Any]:
    merged = dict(below)
    for key, value in above.items():
        nested = isinstance(value, dict) and isinstance(merged.get(key), dict)
        merged[key] = _overlaid(merged[key], value) if nested else value
    return merged
