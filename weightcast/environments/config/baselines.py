"""The section ``baselines``: what a sceptic would try instead."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, NonNegativeFloat

from weightcast.core.config.settings import WIDEST, Settings
from weightcast.core.config.training import PooledTraining
from weightcast.environments.config.equations import EquationsSettings
from weightcast.environments.config.regression import RegressionSettings


class HypernetworkSettings(Settings):
    """Environment parameters -> weights, as a mean and a few learned directions, trained through the predictor."""

    rank: int = Field(default=8, ge=1, le=WIDEST)
    """Learned directions in weight space."""
    width: int = Field(default=64, ge=1, le=WIDEST)
    """Width of the two hidden layers."""
    training: PooledTraining


class FinetuneSettings(Settings):
    """Fine-tuning of the bases on the first frames of one trajectory of the unseen environment."""

    frames: int = Field(default=10, ge=3)
    """Frames observed."""
    steps: list[int] = Field(default=[20, 60, 200], min_length=1)
    """Step counts among which visible environments choose."""
    learning_rates: list[float] = Field(default=[0.0003, 0.001, 0.003], min_length=1)
    """Learning rates among which visible environments choose."""
    choosing_environments: int = Field(default=6, ge=1)
    """Visible environments on which the choice is made."""
    lora_rank: int = Field(default=2, ge=1, le=WIDEST)
    """Rank of what is added to each layer's weights where a case of observed frames is fine-tuned so (LoRA)."""


class InContextSettings(Settings):
    """A larger network of the predictor's kind that sees observed frames of an environment as further channels, the
    same in every step: the small version of a foundation model. In training they are spoilt as in conditions.frames."""

    frames: int = Field(default=10, ge=1)
    """Frames that it sees: the last ones that were observed; the earliest is repeated where there are fewer."""
    width: int = Field(default=24, ge=1, le=WIDEST)
    """Of the network; all else is as in `predictor`."""
    training: PooledTraining


class AutoregressionSettings(Settings):
    """Linear autoregression of states without a grid: pooled, drawn from that to each place by its few frames, and of
    each place's whole record."""

    penalties: list[NonNegativeFloat] = Field(default=[0.0001, 0.001, 0.01, 0.1], min_length=1)
    """Ridge penalties, as shares of the frames, among which left-out visible environments choose."""


class TreesSettings(Settings):
    """Gradient-boosted trees of states without a grid: pooled, told mean and spread of a place's few frames, and of
    each place's whole record."""

    iterations: list[Annotated[int, Field(ge=1, le=10_000)]] = Field(default=[30, 100], min_length=1)
    """Numbers of trees among which left-out visible environments choose."""
    leaves: list[Annotated[int, Field(ge=2, le=1000)]] = Field(default=[4, 16], min_length=1)
    """Most leaves of a tree, likewise."""
    learning_rate: float = Field(default=0.1, gt=0, le=1)
    leaf_steps: int = Field(default=20, ge=1)
    """Steps that a leaf must hold at the least."""


class BaselineSettings(Settings):
    film_matched: PooledTraining | None = None
    """FiLM trained with the predictor evaluations of base, zoo and generator together. null: not."""
    hypernetwork: HypernetworkSettings | None = None
    """Environment parameters -> weights, trained through the predictor. null: none."""
    regression: RegressionSettings = RegressionSettings()
    """Regression of the experts' weights on the environment's parameters; left out where the table has none."""
    finetune: FinetuneSettings = FinetuneSettings()
    in_context: InContextSettings | None = None
    """A larger network that sees the observed frames of an unknown environment as channels. null: none."""
    equations: EquationsSettings | None = None
    """Sparse equations, refitted to the observed frames of an unknown environment. null: none."""
    autoregression: AutoregressionSettings | None = None
    """Linear autoregression, of states without a grid. null: none."""
    trees: TreesSettings | None = None
    """Gradient-boosted trees, of states without a grid. null: none."""
