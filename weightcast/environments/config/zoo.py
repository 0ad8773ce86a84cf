"""The sections ``base`` and ``zoo``: what experts start from, and how many are trained."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from weightcast.core.config.settings import WIDEST, Settings
from weightcast.core.config.training import PooledTraining, PredictorTraining
from weightcast.environments.config.condition import ConditionName

BaseName = Literal["erm", "conditioned", "context"]
PublishedBase = Literal["erm", "conditioned"]
"""Bases whose experts are published: codes of environments belong to the map that they were learned with."""
PUBLISHED_ZOO = "zoo.json"
"""The manifest of a published zoo, in its folder."""
BaseMap = Literal["film", "low-rank", "auto"]


class FilmSettings(Settings):
    """Feature-wise linear modulation of a pooled network by the environment's parameters."""

    width: int = Field(default=64, ge=1, le=WIDEST)
    """Width of the two hidden layers that turn parameters into scales and shifts."""


class LowRankSettings(Settings):
    """A mean and a few learned directions of all weights, with coefficients from the environment's parameters."""

    rank: int = Field(default=8, ge=1, le=WIDEST)
    """Learned directions in weight space."""
    width: int = Field(default=64, ge=1, le=WIDEST)
    """Width of the two hidden layers that turn parameters into coefficients."""
    learning_rate: float = Field(default=0.003, gt=0)
    """Peak learning rate of its training, in the place of that of ``conditioned``: a step moves all weights at once."""


class MapChoiceSettings(Settings):
    """Which map the conditioned base is: by forecasts for left-out visible environments, told their parameters."""

    steps: int = Field(default=1000, ge=1)
    """Optimiser steps of a candidate."""
    left_out: float = Field(default=0.25, gt=0, lt=1)
    """Share of the visible environments that is left out; half of them lie farthest outside in their parameters."""


class BaseSettings(Settings):
    """Networks trained on all visible environments together, from which experts are fine-tuned."""

    erm: PooledTraining
    """One pooled network (empirical risk minimisation), as in the paper."""
    conditioned: PooledTraining | None = None
    """A network modulated by the environment's parameters; folds into plain weights for each environment. null: none,
    as where nobody knows the parameters, or they are to be hidden."""
    condition: ConditionName = "parameters"
    """What the weights of conditioned networks depend on."""
    map: BaseMap = "film"
    """What the conditioned base turns parameters into: ``film`` (scales and shifts of a pooled network), ``low-rank``
    (coefficients of learned directions of all weights), or ``auto``: what serves left-out visible environments better.
    In tables it is ``film`` where that is set, and ``conditioned`` otherwise."""
    film: FilmSettings = FilmSettings()
    low_rank: LowRankSettings = LowRankSettings()
    choice: MapChoiceSettings = MapChoiceSettings()


class Perturbation(Settings):
    layer: str = "layers.0"
    """Layer of the base that members of one environment are perturbed in before fine-tuning."""
    scale: float = Field(default=0.02, ge=0)
    """Standard deviation of the perturbation, relative to that of the layer's weights."""


class ZooSettings(Settings):
    published: str | None = None
    """Folder of a published zoo (``weightcast zoo import``; docs/zoos.md) whose experts are used, of one base: none are
    trained, and what the sections ``base`` and ``zoo`` say is how those were. null: experts are trained."""
    bases: list[BaseName] = Field(default=["erm", "conditioned"], min_length=1)
    """Bases from which zoos are made, of those that there are: ``context`` is the section of that name, each expert
    starting from the weights of its environment's code."""
    members: int = Field(default=4, ge=1, le=100_000)
    """Experts of each visible environment. Unseen ones get one, for reference only."""
    shard_environments: int = Field(default=6, ge=1)
    """Environments whose experts one job trains together, stacked."""
    initialisation: Literal["base", "random"] = "base"
    """Where experts start: from the base, perturbed, or each from random weights of its own, which scatters the zoo."""
    permuted: bool = False
    """Whether the hidden neurons of each expert are put into a random order, which changes nothing of what it computes:
    what experts of one basin are worth is seen beside it. For ``fno`` and ``mlp``."""
    perturbation: Perturbation = Perturbation()
    training: PredictorTraining
    """How experts are fine-tuned from a base."""
    training_erm: PredictorTraining | None = None
    """The same for experts from the pooled base, which have further to go; as ``training`` if left out."""

    def training_from(self, base: str) -> PredictorTraining:
        """How experts are fine-tuned from this base."""
        return self.training_erm if base == "erm" and self.training_erm is not None else self.training
