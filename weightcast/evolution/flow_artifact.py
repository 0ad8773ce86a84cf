"""A trained flow on disk: everything that is needed to evolve weights, in one artifact."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch

from weightcast.core.artifacts import load_artifact, load_built, save_artifact, understood
from weightcast.evolution.config.flow import FlowArm, FlowSettings
from weightcast.evolution.control_path import ControlPath
from weightcast.evolution.density import StackedDensity, described_density
from weightcast.evolution.flow import WeightField, WeightFlow

KIND, FIELD = "flow", "field."


@dataclass(frozen=True)
class FlowArtifact:
    """A flow and what it belongs to.

    Attributes:
        flow: trained.
        density: whose weights it evolves.
        arm: that it is of.
        settings: of the arm.
        metadata: times of the snapshots, names of the dimensions, and where it comes from.
    """

    flow: WeightFlow
    density: StackedDensity
    arm: FlowArm
    settings: FlowSettings
    metadata: dict[str, Any]

    def save(self, path: str | Path) -> None:
        """Write as one artifact."""
        described = self.metadata | {
            "architecture": self.density.architecture,
            "flow": self.settings.model_dump(mode="json"),
            "flow_arm": self.arm.model_dump(mode="json"),
        }
        save_artifact(path, KIND, self.flow.state_dict(), described)

    @classmethod
    def load(cls, path: str | Path) -> FlowArtifact:
        """Read what :meth:`save` wrote; its flow is not trained on.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        artifact = load_artifact(path, KIND)
        tensors, metadata = artifact.tensors, artifact.metadata
        with understood(artifact):
            density = described_density(metadata["architecture"], len(tensors["start"]))
            settings, arm = FlowSettings(**metadata["flow"]), FlowArm(**metadata["flow_arm"])
            control = None
            if "control.codes" in tensors:
                control = ControlPath(tensors["control.times"], tensors["control.codes"])
            from_anchors = "spline.codes" in tensors
            # Statistics and start come with the state; a spline is rebuilt from its codes, standardised anchors.
            anchors = torch.stack([tensors["start"], tensors["start"]])
            grid = tensors["grid"]
            channels = 1 if control is None else control.dimensions
            with torch.random.fork_rng(devices=[]):
                field = {name[len(FIELD) :]: each for name, each in tensors.items() if name.startswith(FIELD)}
                load_built(lambda: WeightField(density.graph, settings, channels, from_anchors), field)  # or refuse
                flow = WeightFlow(anchors, grid[[0, -1]], density.graph, settings, control, from_anchors)
            flow.grid = grid
            if from_anchors:
                flow.spline = ControlPath(tensors["spline.times"], tensors["spline.codes"])
            flow.load_state_dict(tensors)
            flow.requires_grad_(False)
            return cls(flow.eval(), density, arm, settings, metadata)
