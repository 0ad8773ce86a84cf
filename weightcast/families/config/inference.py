"""The section ``inference``: how the code of a new environment is found, and what its samples leave open."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from weightcast.core.config.later_settings import LaterSettings
from weightcast.environments.config.code_prior import CodeDiffusionSettings, CodePriorName
from weightcast.families.config.sample_encoder import SampleEncoderSettings


class InferenceSettings(LaterSettings):
    later: ClassVar[tuple[str, ...]] = ("encoder",)

    widened: list[Annotated[float, Field(gt=0)]] = Field(default=[1.25, 2, 3], min_length=1)
    """What standard deviations of the visible codes may be multiplied with in the prior: more than 1, since
    environments are asked for that lie outside of what was visible. Left-out visible environments choose, by the
    likelihood of their later samples under ensembles of codes."""
    priors: list[CodePriorName] = Field(default=["gaussian", "mixture", "diffusion"], min_length=1)
    """What codes of environments may be taken to be like: one normal distribution, several, or what a diffusion draws
    that was trained on the visible codes. The first, unless another one is better for left-out visible environments: by
    the likelihood of their later samples, and by more than twice its standard error."""
    code_diffusion: CodeDiffusionSettings = CodeDiffusionSettings()
    """Of mixtures and the diffusion."""
    starts: int = Field(default=4, ge=1)
    """Codes that a search begins at: the prior's mean, and the most probable ones of visible environments."""
    steps: int = Field(default=80, ge=1)
    """Steps of a search."""
    learning_rate: float = Field(default=0.15, gt=0)
    """Of a search, in standard deviations of the prior."""
    proposals: int = Field(default=256, ge=2)
    """Codes drawn around the solutions, from which those of the ensemble are drawn by probability; of each map."""
    draws: int = Field(default=32, ge=2)
    """Codes of an ensemble, as many of each map (``paths.maps``); one more where that does not divide them."""
    inflations: list[Annotated[float, Field(gt=0)]] = Field(default=[1, 1.5, 2, 3, 4, 6, 9], min_length=1)
    """How far codes of an ensemble may be moved apart, around their mean, for bands on means and tails: samples do not
    say how far the map itself is off. Left-out visible environments choose those whose 90 % bands hold nearest to 90 %,
    at the edge of the others and inside apart; a new environment's lies between, by how far outside it is. Samples and
    likelihoods of an ensemble are of its codes as they are."""
    encoder: SampleEncoderSettings | None = None
    """A network that reads samples and says the code. What it says stands in the tables by itself, and as where a short
    search begins; left-out visible environments are asked which is better; searches of `evolve` begin there as well.
    null: none."""
