"""The section ``paths.zoo.vae``: a variational autoencoder over the experts' paths of weights."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from weightcast.core.config.settings import MOST_LAYERS, WIDEST, Settings, fitting_layers
from weightcast.core.config.training import TrainingSettings
from weightcast.families.config.path_diffusion import PathDiffusionSettings


class PathVaeSettings(Settings):
    """Coder of whole paths: an expert's weights at all knots, through the weight graph, to one code, and back."""

    code: int = Field(default=4, ge=1, le=32)
    """Numbers of a code: what one path may differ in from another."""
    width: int = Field(default=32, ge=1, le=WIDEST)
    """Width of a node of the weight graph inside of the encoder and of the decoder."""
    heads: int = Field(default=4, ge=1, le=WIDEST)
    """Heads of their attention over the nodes, of which the width is a multiple."""
    layers: Annotated[int, AfterValidator(fitting_layers)] = Field(default=1, ge=1, le=MOST_LAYERS)
    """Blocks of attention, of the encoder and as many of the decoder."""
    kl_weight: float = Field(default=1e-3, ge=0)
    """Weight of the Kullback-Leibler term (beta)."""
    functional_weight: float = Field(default=1.0, ge=0)
    """Weight of the functional loss: the negative log-likelihood of the environment's samples under decoded densities,
    beside the reconstruction of weights in units of their layer's spread. 0 turns it off."""
    batch: int = Field(default=6, ge=1)
    """Experts of a step, at most all."""
    knots: int = Field(default=2, ge=1)
    """Knots of each of these at which decoded weights are compared with the expert's, at most all."""
    snapshots: int = Field(default=1, ge=1)
    """Snapshots of each that decoded densities are asked for the likelihood of."""
    samples: int = Field(default=24, ge=1)
    """Samples of each of these."""
    training: Annotated[TrainingSettings, Field()] = TrainingSettings(steps=600, learning_rate=0.01)
    """Of encoder and decoder together."""
    diffusion: PathDiffusionSettings | None = None
    """A conditional diffusion over the codes, told parameters, samples or nothing, with rows of its own in the tables.
    null: none."""
