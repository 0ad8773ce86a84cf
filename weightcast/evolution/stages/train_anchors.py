"""The stage ``train_anchors``: densities fitted at the snapshots, in four ways.

``independent``: every snapshot from its own random weights. ``aligned``: every snapshot from the weights of the one
before, as in the paper (sequential aligning). ``joint``: all snapshots together by likelihood, from shared random
weights, with a penalty on the first and second difference of the path of weights. ``bridged``: the same with further
anchors between the snapshots, at which the samples are those of :mod:`weightcast.evolution.bridge`.

Part of the training samples is set aside and chooses at which step to stop
(:mod:`weightcast.evolution.validation`): few samples are known by heart long before the training ends.
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
from weightcast.evolution.plan import seen_in
from weightcast.evolution.state_space import state_space_of
from weightcast.evolution.validation import DRAWN, credence, set_aside
from weightcast.samples.snapshots import Snapshots


@stage("train_anchors")
def train_anchors(run: Run, settings: TrainAnchors, snapshots: Snapshots) -> Anchors:
    """Fit densities to the snapshots that a fold may see."""
    seen = seen_in(snapshots, settings.fold)
    samples, validation = set_aside(seen.observed_train, settings.anchors.validation, settings.seed)
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
        samples,
        settings.anchors,
        seed,
        metadata,
        validation if settings.anchors.validation > 0 else None,
        seen.stated_masses,
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
    validation: Sequence[NDArray[np.float64]] | None = None,
    masses: NDArray[np.float64] | None = None,
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
        validation: further samples of each snapshot, which choose when the training stops; None: it goes to its end.
        masses: sizes of the population at the snapshots [snapshot]; None: their numbers of samples, if it grows.

    Raises:
        TrainingDiverged: a loss or a gradient is not finite.
    """
    bridge_settings = settings.bridge if kind == "bridged" else settings.bridge.model_copy(update={"per_interval": 1})
    counts = density.space.describe()["kind"] == "counts"
    bridge = Bridge(times, samples, counts, bridge_settings, seed, masses)
    trusted = credence(times, [len(part) for part in samples], bridge.times)
    aside = None
    if validation is None:
        training = settings.training.model_copy(update={"keep": "last"})
        settings = settings.model_copy(update={"training": training})
    else:
        further = Bridge(times, validation, counts, bridge_settings, seed, masses)
        aside = further.draw(DRAWN, derive_seed(seed, "validation"))
    if kind == "aligned":
        weights, seconds = _fit_in_sequence(run, density, bridge, aside, settings, seed)
    else:
        weights, seconds = _fit_together(run, kind, density, bridge, aside, trusted, settings, seed)
    metrics = {
        "negative_log_likelihood": _negative_log_likelihood(
            density, weights, bridge.draw(500, derive_seed(seed, "anchors", "after"))
        )
    }
    if aside is not None:
        metrics["validation_negative_log_likelihood"] = _negative_log_likelihood(density, weights, aside)
    described = dict(metadata or {}) | {
        "anchors": kind,
        "snapshot_positions": bridge.snapshot_positions,
        "seconds": seconds,
        "metrics": metrics,
    }
    return Anchors(bridge.times, weights.cpu(), density, described | run.described())


def _fit_together(
    run: Run,
    kind: AnchorKind,
    density: StackedDensity,
    bridge: Bridge,
    aside: Tensor | None,
    trusted: NDArray[np.float64],
    settings: AnchorSettings,
    seed: int,
) -> tuple[Tensor, float]:
    """All anchors on a leading member axis.

    With a penalty on their path the likelihood of each counts as far as it is trusted [anchor], and all stop at the
    same step: anchors of different steps would make no path.
    """
    count = len(bridge.times)
    if kind == "independent":
        initial = torch.stack([density.initial_weights(derive_seed(seed, "anchor", member)) for member in range(count)])
    else:
        initial = density.initial_weights(derive_seed(seed, "anchor")).expand(count, -1)
    weights = run.place(initial.clone()).requires_grad_()
    penalised = kind != "independent"
    counted = run.place(torch.from_numpy(trusted).float()) if penalised else 1.0
    placed = None if aside is None else run.place(aside)

    def validation() -> Tensor:
        assert placed is not None
        members = -density.log_prob(weights, placed).mean(1)
        return (counted * members / trusted.sum()).sum().expand(count) if penalised else members

    def loss(step: int) -> Tensor:
        drawn = run.place(bridge.draw(settings.training.batch, derive_seed(seed, "anchors", step)))
        members = -counted * density.log_prob(weights, drawn).mean(1)
        if penalised:
            members = members + path_penalty(weights, settings.velocity_penalty, settings.curvature_penalty) / count
        return members

    # The penalty couples neighbours, but its gradient reaches each anchor's own weights: members may be stacked. Each
    # member's share of the penalty sums to the whole.
    validated = None if aside is None else validation
    result = run.fit([weights], loss, settings.training, name=f"{kind} anchors", stacked=True, validation=validated)
    return weights.detach(), result.seconds


def _fit_in_sequence(
    run: Run, density: StackedDensity, bridge: Bridge, aside: Tensor | None, settings: AnchorSettings, seed: int
) -> tuple[Tensor, float]:
    """One after the other, each from the weights of the one before, and each a training with a state of its own."""
    count = len(bridge.times)
    training = settings.training.model_copy(update={"steps": max(1, settings.training.steps // count)})
    placed = None if aside is None else run.place(aside)
    current, aligned, seconds = run.place(density.initial_weights(derive_seed(seed, "anchor"))[None]), [], 0.0
    for position in range(count):
        weights = current.clone().requires_grad_()

        def loss(step: int, weights: Tensor = weights, position: int = position) -> Tensor:
            drawn = run.place(bridge.draw(settings.training.batch, derive_seed(seed, "anchors", position, step)))
            return -density.log_prob(weights, drawn[position : position + 1]).mean(1)

        def validation(weights: Tensor = weights, position: int = position) -> Tensor:
            assert placed is not None
            return -density.log_prob(weights, placed[position : position + 1]).mean(1)

        validated = None if aside is None else validation
        name = f"aligned anchor {position}"
        seconds += run.fit([weights], loss, training, name=name, stacked=True, validation=validated).seconds
        current = weights.detach()
        aligned.append(current[0])
    return torch.stack(aligned), seconds


def path_penalty(weights: Tensor, velocity: float, curvature: float) -> Tensor:
    """Squared first and second differences of a path of weights [anchor, parameter], summed: scalar."""
    first = weights.diff(dim=0)
    return velocity * first.square().sum() + curvature * first.diff(dim=0).square().sum()


@torch.no_grad()
def _negative_log_likelihood(density: StackedDensity, weights: Tensor, samples: Tensor) -> list[float]:
    """Mean negative log-likelihood of samples [anchor, sample, dimension] at each anchor, for the record."""
    found = -density.log_prob(weights, samples.to(weights.device)).mean(1)
    return [round(float(value), 5) for value in found]
