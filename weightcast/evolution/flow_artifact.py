"""A trained flow on disk: everything that is needed to evolve weights, in one artifact."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.evolution.config.flow import FlowArm, FlowSettings
from weightcast.evolution.control_path import ControlPath
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.flow import WeightFlow

KIND = "flow"


def save_flow(
    path: str | Path,
    flow: WeightFlow,
    density: StackedDensity,
    arm: FlowArm,
    settings: FlowSettings,
    metadata: Mapping[str, Any],
) -> None:
    """Write a flow.

    Args:
        path: a ``.safetensors`` file.
        flow: trained.
        density: whose weights it evolves.
        arm: that it is of.
        settings: of the arm.
        metadata: first and last time of the snapshots, and where it comes from.
    """
    described = dict(metadata) | {
        "architecture": density.architecture,
        "flow": settings.model_dump(mode="json"),
        "flow_arm": arm.model_dump(mode="json"),
    }
    save_artifact(path, KIND, flow.state_dict(), described)


def load_flow(path: str | Path) -> tuple[WeightFlow, StackedDensity, dict[str, Any]]:
    """Read what :func:`save_flow` wrote: flow, density, metadata.

    Raises:
        InputError: the file is missing, damaged or of another kind.
    """
    artifact = load_artifact(path, KIND)
    tensors, metadata = artifact.tensors, artifact.metadata
    density = StackedDensity(metadata["architecture"])
    control = None
    if "control.codes" in tensors:
        control = ControlPath(tensors["control.times"], tensors["control.codes"])
    from_anchors = "spline.codes" in tensors
    # Statistics and start come with the state; a spline is rebuilt from its codes, which are standardised anchors.
    anchors = torch.stack([tensors["start"], tensors["start"]])
    grid = tensors["grid"]
    with torch.random.fork_rng(devices=[]):
        flow = WeightFlow(
            anchors, grid[[0, -1]], density.graph, FlowSettings(**metadata["flow"]), control, from_anchors
        )
    flow.grid = grid
    if from_anchors:
        flow.spline = ControlPath(tensors["spline.times"], tensors["spline.codes"])
    flow.load_state_dict(tensors)
    flow.requires_grad_(False)
    return flow.eval(), density, metadata
