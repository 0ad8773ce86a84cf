"""The section ``paths.zoo``: experts, a path of weights for each visible environment, and what paths are like."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from weightcast.core.config.later_settings import LaterSettings
from weightcast.core.config.training import TrainingSettings
from weightcast.environments.config.code_prior import CodeDiffusionSettings
from weightcast.families.config.path_vae import PathVaeSettings


class PathZooSettings(LaterSettings):
    """Experts: each visible environment's own path of weights, which begins at the shared map's and is trained on its
    samples alone. Principal components of all of them are the codes of a second family of paths, whose prior is normal:
    generation by regression on parameters, and by the likelihood of shown samples."""

    later: ClassVar[tuple[str, ...]] = ("diffusion", "vae")

    knots: int = Field(default=9, ge=2, le=256)
    """Evenly spaced times at which an expert has weights of its own; between them they are interpolated."""
    components: int = Field(default=4, ge=1, le=32)
    """Principal components of the experts' paths: numbers of a code. At most two fewer than there are experts."""
    snapshots: int = Field(default=3, ge=1)
    """Snapshots of each environment in a step."""
    batch: int = Field(default=24, ge=1)
    """Samples of each of these."""
    training: Annotated[TrainingSettings, Field()] = TrainingSettings(steps=200, learning_rate=0.002, keep="best")
    """Of all experts together; with ``keep: best`` a fifth of each one's samples says when it stops."""
    diffusion: CodeDiffusionSettings | None = None
    """A diffusion of the experts' codes, as the prior of a new environment in the place of one normal distribution. It
    has rows of its own in the tables; visible environments, each left out of both priors once in ``folds`` parts, say
    which is better. null: none."""
    vae: PathVaeSettings | None = None
    """A variational autoencoder over the experts' paths, whose decoder makes a third family of paths, with codes and
    rows of its own in the tables: by the likelihood of shown samples, by regression on parameters, and, as a reference,
    an expert of the very environment, encoded and decoded. null: none."""
