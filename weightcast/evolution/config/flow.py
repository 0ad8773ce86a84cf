"""The section ``flow``: the control path, and the differential equation that evolves weights."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AfterValidator, Field

from weightcast.core.config.overlay import null_leaves_out, overlaid
from weightcast.core.config.settings import MOST_LAYERS, WIDEST, Settings, fitting_layers
from weightcast.core.config.training import TrainingSettings
from weightcast.evolution.config.anchors import AnchorKind

FlowObjective = Literal["anchors", "likelihood", "both"]


class ControlPathSettings(Settings):
    """Anchors projected to a few dimensions; a natural cubic spline through the codes controls the flow."""

    kind: Literal["autoencoder", "pca", "mds", "isomap"] = "pca"
    dimensions: int = Field(default=2, ge=1, le=8)
    steps: int = Field(default=500, ge=1)
    """Training steps of the autoencoder."""
    neighbours: int = Field(default=5, ge=1)
    """Nearest anchors that Isomap joins each one to."""


class FlowTraining(TrainingSettings):
    segments: int = Field(default=8, ge=1)
    """Stretches of the path in a step, each integrated from its own start time."""
    longest: int = Field(default=5, ge=1)
    """Most anchors that a stretch runs over."""
    batch: int = Field(default=128, ge=1)
    """Samples of each anchor in a step, for the likelihood."""


class SolverSettings(Settings):
    method: Literal["rk4", "midpoint", "euler", "dopri5"] = "rk4"
    """Fixed-step, or adaptive (dopri5)."""
    steps: int = Field(default=1, ge=1)
    """Steps of a fixed-step method between two anchors."""
    tolerance: float = Field(default=1e-4, gt=0)
    """Relative and absolute error that the adaptive method allows."""
    adjoint: bool = False
    """Gradients by the adjoint equation: memory does not grow with the steps, time does."""


class FlowArm(Settings):
    """One configuration of the flow. ``settings`` overrides single keys of the section ``flow``."""

    dynamics: Literal["ode", "cde"]
    """``ode``: dw/dt = g(w, t); ``cde``: dw/dt = g(w, t) dZ/dt along the control path Z."""
    anchors: AnchorKind
    objective: FlowObjective = "likelihood"
    """``anchors``: squared distance to the anchors (the reference code); ``likelihood``: of the samples, with path
    energy (the paper's equation 9); ``both``: one after the other."""
    start: Literal["anchors", "rest"] = "anchors"
    """``anchors``: g is added to the velocity of the spline through the anchors, and is zero before training;
    ``rest``: g is all there is (the paper)."""
    bridged: bool = True
    """Whether the likelihood is that of samples between the snapshots too (anchors.bridge), or of the snapshots alone
    (the paper)."""
    settings: dict[str, Any] = Field(default_factory=dict)


class FlowSettings(Settings):
    seeds: list[int] = Field(default=[0, 1, 2], min_length=1)
    """Anchors and flows are trained once for each; 0 or more, since files are named by them."""
    arms: Annotated[dict[str, FlowArm], null_leaves_out(FlowArm)] = Field(min_length=1)
    """The first is what ``weightcast evolve`` and WeightPath.load use. In a file laid over another, null takes an arm
    away."""
    width: int = Field(default=32, ge=2, le=WIDEST)
    heads: int = Field(default=4, ge=1, le=WIDEST)
    layers: Annotated[int, AfterValidator(fitting_layers)] = Field(default=2, ge=1, le=MOST_LAYERS)
    control_path: ControlPathSettings = ControlPathSettings()
    energy: float = Field(default=1e-6, ge=0)
    """Weight of the path's energy, half of the squared speed of the weights, integrated over the path's own time from
    0 to 1."""
    solver: SolverSettings = SolverSettings()
    anchor_training: FlowTraining
    """Training towards the anchors."""
    likelihood_training: FlowTraining
    """Training by the likelihood of samples."""

    def of_arm(self, arm: str) -> FlowSettings:
        """The shared settings with the arm's overrides, and the arm alone."""
        chosen = self.arms[arm]
        plain = self.model_dump() | {"arms": {arm: chosen.model_dump() | {"settings": {}}}}
        return FlowSettings.model_validate(overlaid(plain, chosen.settings))
