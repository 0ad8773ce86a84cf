"""Anchors: the weights of densities fitted at the snapshots, in four ways.

``independent``: every snapshot from its own random weights. ``aligned``: every snapshot from the weights of the one
before, as in the paper (sequential aligning). ``joint``: all snapshots together by likelihood, from shared random
weights, with a penalty on the first and second difference of the path of weights. ``bridged``: the same with further
anchors between the snapshots, at which the samples are those of :mod:`weightcast.evolution.bridge`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.seeds import derive_seed
from weightcast.core.training import Resume, fit
from weightcast.evolution.bridge import Bridge
from weightcast.evolution.config.anchors import AnchorKind, AnchorSettings
from weightcast.evolution.density import StackedDensity


@dataclass(frozen=True)
class Anchors:
    """Weights at a number of times.

    Attributes:
        times: [anchor], increasing, in the data's unit.
        weights: [anchor, parameter].
        density: whose weights they are.
        metadata: of the artifact: kind, architecture, seed, settings, seconds, metrics, digests.
    """

    times: NDArray[np.float64]
    weights: Tensor
    density: StackedDensity
    metadata: dict[str, Any]

    def save(self, path: str | Path) -> None:
        """Write as one artifact."""
        tensors = {"weights": self.weights, "times": torch.from_numpy(self.times)}
        save_artifact(path, "anchors", tensors, self.metadata | {"architecture": self.density.architecture})

    @classmethod
    def load(cls, path: str | Path) -> Anchors:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        artifact = load_artifact(path, "anchors")
        density = StackedDensity(artifact.metadata["architecture"])
        return cls(artifact.tensors["times"].numpy(), artifact.tensors["weights"], density, artifact.metadata)


def train_anchors(
    kind: AnchorKind,
    density: StackedDensity,
    times: NDArray[np.float64],
    samples: Sequence[NDArray[np.float64]],
    settings: AnchorSettings,
    seed: int,
    resume: Resume | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Anchors:
    """Fit densities to snapshots.

    Args:
        kind: see above.
        density: the architecture.
        times: of the snapshots [snapshot].
        samples: of each [sample, dimension], in the data's units.
        settings: training, penalties, bridge.
        seed: of initial weights and draws.
        resume: where state is kept; not for aligned anchors, which take seconds.
        metadata: to store with the anchors.
    """
    bridge_settings = settings.bridge if kind == "bridged" else settings.bridge.model_copy(update={"per_interval": 1})
    bridge = Bridge(times, samples, density.space.describe()["kind"] == "counts", bridge_settings, seed)
    if kind == "aligned":
        weights, seconds = _train_in_sequence(density, bridge, settings, seed)
    else:
        weights, seconds = _train_together(kind, density, bridge, settings, seed, resume)
    described = dict(metadata or {}) | {
        "anchors": kind,
        "snapshot_positions": bridge.snapshot_positions,
        "seconds": seconds,
        "metrics": {"negative_log_likelihood": _negative_log_likelihood(density, weights, bridge, seed)},
    }
    return Anchors(bridge.times, weights, density, described)


def _train_together(
    kind: AnchorKind,
    density: StackedDensity,
    bridge: Bridge,
    settings: AnchorSettings,
    seed: int,
    resume: Resume | None,
) -> tuple[Tensor, float]:
    """All anchors on a leading member axis."""
    count = len(bridge.times)
    if kind == "independent":
        initial = torch.stack([density.initial_weights(derive_seed(seed, "anchor", member)) for member in range(count)])
    else:
        initial = density.initial_weights(derive_seed(seed, "anchor")).expand(count, -1)
    weights = initial.clone().requires_grad_()
    penalised = kind != "independent"

    def loss(step: int) -> Tensor:
        drawn = bridge.draw(settings.training.batch, derive_seed(seed, "anchors", step))
        members = -density.log_prob(weights, drawn).mean(1)
        if penalised:
            members = members + path_penalty(weights, settings.velocity_penalty, settings.curvature_penalty) / count
        return members

    # The penalty couples neighbours, but its gradient reaches each anchor's own weights: members may be stacked. Each
    # member's share of the penalty sums to the whole.
    result = fit([weights], loss, settings.training, stacked=True, resume=resume, label=f"{kind} anchors")
    return weights.detach(), result.seconds


def _train_in_sequence(
    density: StackedDensity, bridge: Bridge, settings: AnchorSettings, seed: int
) -> tuple[Tensor, float]:
    """One after the other, each from the weights of the one before."""
    count = len(bridge.times)
    training = settings.training.model_copy(update={"steps": max(1, settings.training.steps // count)})
    current, aligned, seconds = density.initial_weights(derive_seed(seed, "anchor"))[None], [], 0.0
    for position in range(count):
        weights = current.clone().requires_grad_()

        def loss(step: int, weights: Tensor = weights, position: int = position) -> Tensor:
            drawn = bridge.draw(settings.training.batch, derive_seed(seed, "anchors", position, step))
            return -density.log_prob(weights, drawn[position : position + 1]).mean(1)

        seconds += fit([weights], loss, training, stacked=True, label=f"aligned anchor {position}").seconds
        current = weights.detach()
        aligned.append(current[0])
    return torch.stack(aligned), seconds


def path_penalty(weights: Tensor, velocity: float, curvature: float) -> Tensor:
    """Squared first and second differences of a path of weights [anchor, parameter], summed: scalar."""
    first = weights.diff(dim=0)
    return velocity * first.square().sum() + curvature * first.diff(dim=0).square().sum()


@torch.no_grad()
def _negative_log_likelihood(density: StackedDensity, weights: Tensor, bridge: Bridge, seed: int) -> list[float]:
    """Of fresh training samples at each anchor, for the record."""
    drawn = bridge.draw(500, derive_seed(seed, "anchors", "after"))
    return [round(float(value), 5) for value in -density.log_prob(weights, drawn).mean(1)]
