"""The section ``context``: learned codes of environments, and what is made of a few frames of an unknown one."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

from pydantic import Field

from weightcast.core.config.later_settings import LaterSettings
from weightcast.core.config.settings import WIDEST, Settings
from weightcast.core.config.training import PooledTraining
from weightcast.environments.config.code_prior import CodeDiffusionSettings, CodeDrawName, CodePriorName
from weightcast.environments.config.equations import EquationsSettings

ContextMap = Literal["linear", "output", "film", "deep"]


class ContextTraining(PooledTraining):
    """Training of codes and weight map together."""

    last_unroll: int | None = Field(default=None, ge=1)
    """Rollouts in the loss grow from ``unroll`` to so many steps over the first two thirds of the training. null: they
    stay as long."""


class ChoiceSettings(LaterSettings):
    """Which map and how many numbers a code: by what they make of frames of left-out visible environments."""

    later: ClassVar[tuple[str, ...]] = ("doubts",)

    steps: int = Field(default=1000, ge=1)
    """Optimiser steps of a candidate."""
    left_out: float = Field(default=0.25, gt=0, lt=1)
    """Share of the visible environments that is left out, 32 of them at most; half of them are those whose codes lie
    farthest outside."""
    folds: int = Field(default=1, ge=1)
    """So often candidates are trained, others left out each time: of few environments, few judge by a single time."""
    frames: int = Field(default=10, ge=2)
    """Frames that are shown of each."""
    doubts: list[Annotated[float, Field(ge=1)]] = Field(default=[1.0], min_length=1)
    """How many times as large residuals are to be expected of frames of a new environment as the map leaves of those
    that it was trained on. More than 1 where a window is like itself more than like others of its place, as a season or
    the weather of some days: frames are matched best by a code that the next window knows nothing of, and a larger
    residual draws it to the prior. Left-out visible environments choose; of those within 5 % the least."""


class BeginSettings(Settings):
    """Iterations on windows that are shorter than a trajectory."""

    steps: int = Field(ge=1)
    """Of a window's rollout."""
    iterations: int = Field(ge=1)


class PolishSettings(Settings):
    """Second-order training of all weights and codes after the first-order one, for small predictors and little data:
    Levenberg-Marquardt on the whole rollouts, with a penalty on weights that is chosen on held-out trajectories."""

    begin: list[BeginSettings] = Field(default=[])
    """Before whole rollouts: windows of the trajectories, in this order. Those of one step are a regression, which
    finds its way from a first-order training that got nowhere, as those of stiff systems do."""
    iterations: int = Field(default=40, ge=1)
    penalties: list[float] = Field(default=[1e-2, 5e-3, 2e-3, 1e-3, 5e-4, 2e-4], min_length=1)
    """Among which held-out trajectories and left-out environments choose."""
    most_residuals: int = Field(default=16000, ge=1)
    """Numbers that forecasts are compared with, at most: further training trajectories are left out."""
    choosing_residuals: int = Field(default=16000, ge=1)
    """The same, while maps and penalties are chosen."""
    choosing_iterations: int = Field(default=15, ge=1)
    """For each penalty, from the one before: from the greatest to the least, and back."""


class RefineSettings(Settings):
    """How the code behind a few frames is found: Levenberg-Marquardt under the learned prior, from several starts."""

    starts: int = Field(default=4, ge=1)
    """Best of the visible codes that are refined."""
    iterations: int = Field(default=8, ge=1)
    unroll: int | None = Field(default=None, ge=1)
    """Steps of the rollouts whose residual counts. null: as many as the frames allow."""
    windows: int = Field(default=16, ge=1)
    """Rollouts that are compared with the frames, at most, evenly spread over the starts that there are."""
    tempers: list[float] = Field(default=[1.0, 0.3, 0.1, 0.03, 0.01], min_length=1)
    """Weights of the likelihood, among which left-out visible environments choose by CRPS: neighbouring points and
    frames are no independent witnesses."""
    members: int = Field(default=64, ge=1)
    """Candidates of an ensemble."""
    draw: CodeDrawName | Literal["auto"] = "laplace"
    """How codes are drawn from what frames leave open. ``auto``: chosen by CRPS and coverage on left-out visible
    environments."""


class ContextSettings(LaterSettings):
    """Codes learned for each visible environment together with a map from codes to weights (an auto-decoder)."""

    later: ClassVar[tuple[str, ...]] = ("seeds",)

    seeds: list[Annotated[int, Field(ge=0)]] = Field(default=[0], min_length=1)
    """Codes and map are chosen and trained anew for each, and stand in the tables of frames like a generator's seeds;
    the first one's are used wherever one context is: by commands, in pictures, by experts that start from codes."""
    environments: int = Field(default=256, ge=2)
    """Visible environments that codes and map are learned from, at most, spread evenly over the table: a second-order
    training holds them all at once, and what hundreds teach, thousands do not better."""
    maps: list[ContextMap] = Field(default=["linear", "film"], min_length=1)
    """Kinds of maps, among which left-out visible environments choose, the first of those that are within 5 % of the
    best: ``linear`` (all weights are linear in the code), ``output`` (those of the last layer are), ``film`` (scales
    and shifts from a network), ``deep`` (a network's coefficients of learned directions)."""
    dimensions: list[Annotated[int, Field(ge=1, le=WIDEST)]] = Field(default=[2], min_length=1)
    """Numbers of a code, likewise."""
    width: int = Field(default=64, ge=1, le=WIDEST)
    """Width of the hidden layers of ``film`` and ``deep``."""
    rank: int = Field(default=8, ge=1, le=WIDEST)
    """Learned directions of ``deep``."""
    equations: EquationsSettings | None = None
    """Sparse equations as a further candidate, whose code is their coefficients: they stand in the place of networks
    where left-out visible environments are forecast better by them. null: none."""
    code_penalty: float = Field(default=1e-3, ge=0)
    """Weight of the codes' mean square in the loss, which keeps their scale: a standard normal prior, weakly."""
    prior: CodePriorName | Literal["auto"] = "gaussian"
    """What codes of unseen environments are taken to be like. ``auto``: chosen by the CRPS of forecasts for left-out
    visible environments."""
    code_diffusion: CodeDiffusionSettings = CodeDiffusionSettings()
    training: ContextTraining
    choice: ChoiceSettings = ChoiceSettings()
    polish: PolishSettings | None = None
    refine: RefineSettings = RefineSettings()
