"""The section ``anchors``: how densities are fitted at the snapshots."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field

from weightcast.core.config.later_settings import LaterSettings
from weightcast.core.config.settings import Settings
from weightcast.core.config.training import TrainingSettings

AnchorKind = Literal["independent", "aligned", "joint", "bridged"]


class AnchorTraining(TrainingSettings):
    batch: int = Field(default=128, ge=1)
    """Samples of each snapshot in a step."""
    keep: Literal["last", "best"] = "best"
    """Which weights a training ends in: the last ones, or those of the least validation error on the way (of training
    samples that are set aside; see ``validation``)."""


class BridgeSettings(LaterSettings):
    """Samples between snapshots: optimal-transport pairs, joined by a random bridge."""

    later: ClassVar[tuple[str, ...]] = ("jumps",)

    per_interval: int = Field(default=5, ge=1)
    """Anchors an interval between two snapshots is divided into; 1 adds none."""
    pairs: int = Field(default=1000, ge=2)
    """Most samples of a snapshot that are paired: the cost grows with their cube."""
    jumps: Literal["free", "thinned"] = "free"
    """How counts get from one end of a pair to the other. ``free``: each step comes at a time of its own, evenly: right
    for arrivals from a point. ``thinned``: at the pace at which the means of neighbouring snapshots relax, and with as
    much chance as deaths, each by itself, and arrivals leave beside what the pairs pass on."""
    noise: float = Field(default=0.0, ge=0)
    """The bridge's diffusion between real states, in standard deviations of a dimension per square root of the data's
    whole duration."""
    growth: bool = False
    """Whether numbers of samples are sizes of a population that grows and dies (cells), by unbalanced transport."""
    relaxation: float = Field(default=1.0, gt=0)
    """What a death or a birth costs in unbalanced transport, in mean squared distances between two snapshots."""


class AnchorSettings(Settings):
    kinds: list[AnchorKind] = Field(default=["independent", "aligned", "joint", "bridged"], min_length=1)
    """``independent``: each snapshot alone. ``aligned``: each starts from the one before (the paper). ``joint``: all
    together, their path penalised. ``bridged``: joint, with further anchors between the snapshots."""
    training: AnchorTraining
    validation: float = Field(default=0.1, ge=0, le=0.5)
    """Part of the training samples of each snapshot that choose when the anchors' training stops, and whether a flow is
    better than the spline through its anchors. 0: nothing is set aside, and the last weights are kept."""
    """Training of all anchors; aligned ones share its steps among the snapshots."""
    velocity_penalty: float = Field(default=3e-3, ge=0)
    """Penalty of joint and bridged anchors on the squared first difference of the path of weights."""
    curvature_penalty: float = Field(default=3e-2, ge=0)
    """Penalty of joint and bridged anchors on the squared second difference of the path of weights."""
    bridge: BridgeSettings = BridgeSettings()
