"""The section ``generator``: seeds, the arms that are compared, and what they share."""

from __future__ import annotations

from typing import Annotated, Any

from pydantic import Field

from weightcast.core.config.overlay import null_leaves_out, overlaid
from weightcast.core.config.settings import Settings
from weightcast.environments.config.condition import ConditionName
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.config.zoo import BaseName


class ArmSettings(Settings):
    """One configuration of the generator. ``vae`` and ``diffusion`` override single keys of the shared sections, and
    ``frames`` those of ``conditions.frames``."""

    base: BaseName
    condition: ConditionName = "parameters"
    """What generated weights depend on."""
    end_to_end: bool
    """Whether end-to-end fine-tuning follows the diffusion."""
    vae: dict[str, Any] = Field(default_factory=dict)
    diffusion: dict[str, Any] = Field(default_factory=dict)
    frames: dict[str, Any] = Field(default_factory=dict)


class GeneratorSettings(Settings):
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    """The whole generator is trained once for each; 0 or more, since files are named by them."""
    samples: int = Field(default=1, ge=1)
    """Predictors generated for each environment in the evaluation."""
    arms: Annotated[dict[str, ArmSettings], null_leaves_out(ArmSettings)]
    """None of them ({}): a study of baselines and references alone. In a file laid over another, null takes an arm
    away."""
    vae: VAESettings
    diffusion: DiffusionSettings
    end_to_end: EndToEndSettings

    def of_arm(self, arm: str) -> tuple[VAESettings, DiffusionSettings]:
        """The arm's own VAE and diffusion settings: the shared ones with its overrides."""
        overrides = self.arms[arm]
        vae = VAESettings.model_validate(overlaid(self.vae.model_dump(), overrides.vae))
        return vae, DiffusionSettings.model_validate(overlaid(self.diffusion.model_dump(), overrides.diffusion))
