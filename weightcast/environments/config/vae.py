"""The section ``generator.vae``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from weightcast.core.config.settings import MOST_LAYERS, WIDEST, Settings, fitting_layers
from weightcast.core.config.training import TrainingSettings


class VAESettings(Settings):
    """Coder of weights: to a latent at each node of the weight graph, and back."""

    relative_to: Literal["base", "mean", "auto"] = "base"
    """What weights are modelled relative to: those that the base gives in the same environment, the zoo's mean, or
    what serves those visible environments better that ``base.map: auto`` leaves out. Relative to a conditioned base,
    what is generated is how an expert deviates from it; with a pooled base, which is the same everywhere, all are the
    same."""
    coder: Literal["attention", "flat"] = "attention"
    """What encodes and decodes: attention over the nodes, or fully connected layers over all weights in a row."""
    normalisation: Literal["layer", "min-max", "weight"] = "layer"
    """Units of the weights as they are coded, taken from the zoo: of the mean of each weight and the spread of its
    layer; of the smallest and the largest number of its layer, as published; or of mean and spread of each weight."""
    width: int = Field(default=64, ge=1, le=WIDEST)
    heads: int = Field(default=4, ge=1, le=WIDEST)
    layers: Annotated[int, AfterValidator(fitting_layers)] = Field(default=2, ge=1, le=MOST_LAYERS)
    latent: int = Field(default=8, ge=1, le=WIDEST)
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
