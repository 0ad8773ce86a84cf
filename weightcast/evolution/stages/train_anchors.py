"""The stage ``train_anchors``: densities fitted at the snapshots, in four ways.

``independent``: every snapshot from its own random weights. ``aligned``: every snapshot from the weights of the one
before, as in the paper (sequential aligning). ``joint``: all snapshots together by likelihood, from shared random
weights, with a penalty on the first and second difference of the path of weights. ``bridged``: the same with further
anchors between the snapshots, at which the samples are those of :mod:`weightcast.evolution.bridge`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.bridge import Bridge
from weightcast.evolution.config.anchors import AnchorKind, AnchorSettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.jobs import TrainAnchors
from weightcast.evolution.plan import left_out
from weightcast.evolution.state_space import state_space_of
from weightcast.samples.snapshots import Snapshots


@stage("train_anchors")
def train_anchors(run: Run, settings: TrainAnchors, snapshots: Snapshots) -> Anchors:
    """Fit densities to the snapshots that a fold may see."""
    seen = snapshots.without(left_out(settings.fold))
    seed = derive_seed(settings.seed, "anchors", settings.anchors_seed)
    density = StackedDensity.new(settings.density, state_space_of(seen, settings.density), seed)
    metadata = {
        "seed": settings.anchors_seed,
        "fold": settings.fold,
        "times": seen.observed_times.tolist(),
        "dimensions": list(seen.dimensions),
        "config_digest": settings.digest,
        "data_digest": snapshots.digest,
    }
    return fit_anchors(
        run,
        settings.kind,
        density,
        seen.observed_times,
        seen.observed_train,
        settings.anchors,
        seed,
        metadata,
    )


def fit_anchors(
    run: Run,
    kind: AnchorKind,
    density: StackedDensity,
    times: NDArray[np.float64],
    samples: Sequence[NDArray[np.float64]],
    settings: AnchorSettings,
    seed: int,
    metadata: Mapping[str, Any] | None = None,
) -> Anchors:
    """Fit densities to snapshots.

    Args:
        run: that they are trained in.
        kind: as this module names them.
        density: the architecture.
        times: of the snapshots [snapshot].
        samples: of each [sample, dimension], in the data's units.
        settings: training, penalties, bridge.
        seed: of initial weights and draws.
        metadata: to store with the anchors.

    Raises:
        TrainingDiverged: a loss or a gradient is not finite.
    """
    bridge_settings = settings.bridge if kind == "bridged" else settings.bridge.model_copy(update={"per_interval": 1})
    bridge = Bridge(times, samples, density.space.describe()["kind"] == "counts", bridge_settings, seed)
    if kind == "aligned":
        weights, seconds = _fit_in_sequence(run, density, bridge, settings, seed)
    else:
        weights, seconds = _fit_together(run, kind, density, bridge, settings, seed)
    described = dict(metadata or {}) | {
        "anchors": kind,
        "snapshot_positions": bridge.snapshot_positions,
        "seconds": seconds,
        "metrics": {"negative_log_likelihood": _negative_log_likelihood(density, weights, bridge, seed)},
    }
    return Anchors(bridge.times, weights.cpu(), density, described | run.described())


def _fit_together(
    run: Run, kind: AnchorKind, density: StackedDensity, bridge: Bridge, settings: AnchorSettings, seed: int
) -> tuple[Tensor, float]:
    """All anchors on a leading member axis."""
    count = len(bridge.times)
    if kind == "independent":
        initial = torch.stack([density.initial_weights(derive_seed(seed, "anchor", member)) for member in range(count)])
    else:
        initial = density.initial_weights(derive_seed(seed, "anchor")).expand(count, -1)
    weights = run.place(initial.clone()).requires_grad_()
    penalised = kind != "independent"

    def loss(step: int) -> Tensor:
        drawn = run.place(bridge.draw(settings.training.batch, derive_seed(seed, "anchors", step)))
        members = -density.log_prob(weights, drawn).mean(1)
        if penalised:
            members = members + path_penalty(weights, settings.velocity_penalty, settings.curvature_penalty) / count
        return members

    # The penalty couples neighbours, but its gradient reaches each anchor's own weights: members may be stacked. Each
    # member's share of the penalty sums to the whole.
    result = run.fit([weights], loss, settings.training, name=f"{kind} anchors", stacked=True)
    return weights.detach(), result.seconds


def _fit_in_sequence(
    run: Run, density: StackedDensity, bridge: Bridge, settings: AnchorSettings, seed: int
) -> tuple[Tensor, float]:
    """One after the other, each from the weights of the one before, and each a training with a state of its own."""
    count = len(bridge.times)
    training = settings.training.model_copy(update={"steps": max(1, settings.training.steps // count)})
    current, aligned, seconds = run.place(density.initial_weights(derive_seed(seed, "anchor"))[None]), [], 0.0
    for position in range(count):
        weights = current.clone().requires_grad_()

        def loss(step: int, weights: Tensor = weights, position: int = position) -> Tensor:
            drawn = run.place(bridge.draw(settings.training.batch, derive_seed(seed, "anchors", position, step)))
            return -density.log_prob(weights, drawn[position : position + 1]).mean(1)

        seconds += run.fit([weights], loss, training, name=f"aligned anchor {position}", stacked=True).seconds
        current = weights.detach()
        aligned.append(current[0])
    return torch.stack(aligned), seconds


def path_penalty(weights: Tensor, velocity: float, curvature: float) -> Tensor:
    """Squared first and second differences of a path of weights [anchor, parameter], summed: scalar."""
    first = weights.diff(dim=0)
    return velocity * first.square().sum() + curvature * first.diff(dim=0).square().sum()


@torch.no_grad()
def _negative_log_likelihood(density: StackedDensity, weights: Tensor, bridge: Bridge, seed: int) -> list[float]:
    """Negative log-likelihood of fresh training samples at each anchor, for the record."""
    drawn = bridge.draw(500, derive_seed(seed, "anchors", "after")).to(weights.device)
    return [round(float(value), 5) for value in -density.log_prob(weights, drawn).mean(1)]
