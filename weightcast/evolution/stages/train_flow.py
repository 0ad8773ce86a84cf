"""The stage ``train_flow``: a flow drawn to its anchors, fitted by likelihood with path energy, or both in turn."""

from __future__ import annotations

import math
import sys
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.core.training import Fit
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.bridge import Bridge
from weightcast.evolution.config.anchors import BridgeSettings
from weightcast.evolution.config.flow import FlowArm, FlowObjective, FlowSettings, FlowTraining
from weightcast.evolution.control_path import ControlPath, encode_anchors
from weightcast.evolution.flow import WeightFlow
from weightcast.evolution.flow_artifact import FlowArtifact
from weightcast.evolution.forecast import fit_damped_trends
from weightcast.evolution.jobs import TrainFlow
from weightcast.evolution.mass import MassPath
from weightcast.evolution.plan import seen_in
from weightcast.evolution.validation import DRAWN, set_aside
from weightcast.evolution.weight_path import weights_of
from weightcast.samples.snapshots import Snapshots

Loss = Callable[[int], Tensor]


@stage("train_flow")
def train_flow(run: Run, settings: TrainFlow, anchors: Anchors, snapshots: Snapshots) -> FlowArtifact:
    """Train one arm's flow from its anchors."""
    arm = settings.arm
    seen = seen_in(snapshots, settings.fold)
    samples, aside = set_aside(seen.observed_train, settings.validation, settings.seed)
    seed = derive_seed(settings.seed, "flow", settings.flow_seed)
    bridge = bridge_of(seen, samples, anchors, arm, settings.bridge, seed)
    flow = new_flow(run, anchors, arm, settings.flow, seed)
    untrained = {name: value.detach().clone() for name, value in flow.field.state_dict().items()}
    results = fit_flow(run, flow, anchors, bridge, arm.objective, settings.flow, seed)
    kept: dict[str, Any] = {"kept": "flow"}
    if arm.start == "anchors" and settings.validation > 0:
        validation = bridge_of(seen, aside, anchors, arm, settings.bridge, seed)
        kept = keep_better(run, flow, untrained, anchors, validation, seed)
    path = weights_of(flow, seen.observed_times[0], seen.observed_times[-1], seen.observed_times)
    trends = fit_damped_trends(anchors.density, seen.observed_times, path, seen.observed_train, seed)
    masses = seen.observed_masses
    mass = {} if masses is None else {"mass": MassPath(seen.observed_times, masses).describe()}
    metadata = {
        "arm": settings.arm_name,
        "seed": settings.flow_seed,
        "fold": settings.fold,
        "times": seen.observed_times.tolist(),
        "dimensions": list(seen.dimensions),
        "forecast": trends.describe(),
        **kept,
        **mass,
        "anchors_digest": anchors.metadata["digest"],
        "config_digest": settings.digest,
        "data_digest": snapshots.digest,
        "seconds": sum(result.seconds for result in results.values()),
        "seconds_before": anchors.metadata["seconds"],
        "metrics": {f"last_{name}_loss": float(result.losses[-20:].mean()) for name, result in results.items()},
    }
    return FlowArtifact(flow, anchors.density, arm, settings.flow, metadata | run.described())


def new_flow(run: Run, anchors: Anchors, arm: FlowArm, settings: FlowSettings, seed: int) -> WeightFlow:
    """An untrained flow from the first of the anchors, with its control path if it is a controlled one."""
    graph, times = anchors.density.graph, anchors.scaled_times
    control = None
    if arm.dynamics == "cde":
        centred = anchors.weights - anchors.weights.mean(0)
        scale = centred.square().mean().sqrt().clamp(min=1e-12)
        control = ControlPath(times, encode_anchors(run, centred / scale, settings.control_path, seed).cpu())
    with run.initialised(derive_seed(seed, "flow")):
        flow = WeightFlow(anchors.weights, times, graph, settings, control, arm.start == "anchors")
    return flow.to(run.device)


@torch.no_grad()
def keep_better(
    run: Run, flow: WeightFlow, untrained: dict[str, Tensor], anchors: Anchors, validation: Bridge, seed: int
) -> dict[str, Any]:
    """Put the spline through the anchors in the place of a flow whose training has made samples set aside less likely.

    An untrained flow that starts from its anchors is their spline. Where values repeat, as many zeros do, a likelihood
    has no upper bound, and a training can leave what the anchors had learned.

    Args:
        run: that it was trained in.
        flow: trained, changed in place.
        untrained: state of its field before.
        anchors: that it starts from.
        validation: samples that were set aside, at the anchors' times or at evenly spaced further ones.
        seed: of the draw of these.

    Returns:
        which is kept, and the mean negative log-likelihood of both, for the artifact.
    """
    first, last = float(anchors.times[0]), float(anchors.times[-1])
    drawn = run.place(validation.draw(DRAWN, derive_seed(seed, "flow-validation")))

    def error() -> float:
        weights = weights_of(flow, first, last, validation.times)
        found = float(-anchors.density.log_prob(weights, drawn).mean())
        return found if math.isfinite(found) else math.inf

    trained = {name: value.clone() for name, value in flow.field.state_dict().items()}
    errors = {"flow": error()}
    flow.field.load_state_dict(untrained)
    errors["spline"] = error()
    kept = "flow" if errors["flow"] <= errors["spline"] else "spline"
    if kept == "flow":
        flow.field.load_state_dict(trained)
    said = ", ".join(f"{name} {value:.6g}" for name, value in errors.items())
    print(f"kept: the {kept}; negative log-likelihood of samples set aside: {said}", file=sys.stderr, flush=True)
    return {"kept": kept, "validation": {name: min(value, sys.float_info.max) for name, value in errors.items()}}


def bridge_of(
    snapshots: Snapshots,
    samples: Sequence[NDArray[np.float64]],
    anchors: Anchors,
    arm: FlowArm,
    settings: BridgeSettings,
    seed: int,
) -> Bridge:
    """The samples that an arm's likelihood is of: at its anchors' times, and between them if the arm says so.

    Args:
        snapshots: whose times are observed.
        samples: of each observed one, or part of them [sample, dimension].
        anchors: that the arm starts from.
        arm: whose likelihood it is.
        settings: how samples between snapshots are made.
        seed: of their draws.
    """
    between = arm.bridged or len(anchors.times) > len(snapshots.observed_times)
    parts = settings.per_interval if between else 1
    return Bridge(
        snapshots.observed_times,
        samples,
        snapshots.counts,
        settings.model_copy(update={"per_interval": parts}),
        seed,
        snapshots.stated_masses,
    )


def fit_flow(
    run: Run,
    flow: WeightFlow,
    anchors: Anchors,
    bridge: Bridge,
    objective: FlowObjective,
    settings: FlowSettings,
    seed: int,
) -> dict[str, Fit]:
    """Train in place.

    Args:
        run: that it is trained in.
        flow: from :func:`new_flow`.
        anchors: that it starts from, and is drawn to by the objective ``anchors``.
        bridge: training samples at the anchors' times, or at evenly spaced further times between them.
        objective: anchors, likelihood or both.
        settings: of the two trainings, energy.
        seed: of the draws.

    Returns:
        how each training went, by its name.

    Raises:
        TrainingDiverged: a loss or a gradient is not finite.
    """
    stages = {
        "anchors": (settings.anchor_training, _anchor_loss(run, flow, anchors, settings.anchor_training, seed)),
        "likelihood": (settings.likelihood_training, _likelihood_loss(run, flow, anchors, bridge, settings, seed)),
    }
    parameters = list(flow.field.parameters())
    results = {}
    for name, (training, loss) in stages.items():
        if objective in (name, "both"):
            results[name] = run.fit(parameters, loss, training, name=f"flow, {name}")
    return results


def _anchor_loss(run: Run, flow: WeightFlow, anchors: Anchors, training: FlowTraining, seed: int) -> Loss:
    """Mean squared distance to the anchors along stretches, in standardised weights (the reference's objective)."""
    standardised = flow.standardise(run.place(anchors.weights))

    def loss(step: int) -> Tensor:
        draws = run.draws(derive_seed(seed, "flow-anchors", step))
        first, length = draw_stretches(len(standardised), training, draws)
        index = first[:, None] + torch.arange(length + 1, device=first.device)  # [segment, point]
        reached = flow.integrate(standardised[first], flow.grid[index])[1:]  # [point, segment, parameter]
        return (reached - standardised[index[:, 1:].T]).square().mean()

    return loss


def _likelihood_loss(
    run: Run, flow: WeightFlow, anchors: Anchors, bridge: Bridge, settings: FlowSettings, seed: int
) -> Loss:
    """WeightFlow's equation 9: mean negative log-likelihood along the path, and the path's energy."""
    training = settings.likelihood_training
    standardised = flow.standardise(run.place(anchors.weights))
    scaled = (bridge.times - anchors.times[0]) / (anchors.times[-1] - anchors.times[0])
    grid = run.place(torch.from_numpy(scaled).float())
    # A stretch starts where weights are known: at an anchor. Where the bridge is finer, it passes several of its times
    # on the way to the next one.
    finer = (len(bridge.times) - 1) // (len(anchors.times) - 1)

    def loss(step: int) -> Tensor:
        draws = run.draws(derive_seed(seed, "flow-likelihood", step))
        first, length = draw_stretches(len(standardised), training, draws)
        index = finer * first[:, None] + torch.arange(finer * length + 1, device=first.device)
        times = grid[index]
        weights = flow.restore(flow.integrate(standardised[first], times))  # [point, segment, parameter]
        # A seed of their own: with that of the stretches, which samples are drawn would hang on where a stretch lies.
        drawn = run.place(bridge.draw(training.batch, derive_seed(seed, "flow-samples", step)))
        likelihood = anchors.density.log_prob(weights[1:].flatten(0, 1), drawn[index[:, 1:].T.flatten()]).mean()
        speed = weights.diff(dim=0) / times.T.diff(dim=0)[..., None]
        return 0.5 * settings.energy * speed.square().sum(-1).mean() - likelihood

    return loss


def draw_stretches(anchors: int, training: FlowTraining, draws: Draws) -> tuple[Tensor, int]:
    """First anchors of the stretches of a step [segment], and how many anchors on each ends. One in four steps has
    one stretch from the first anchor to the last: the way that the flow is used."""
    if draws.integer(0, 4) == 0:
        return torch.zeros(1, dtype=torch.long, device=draws.device), anchors - 1
    length = draws.integer(1, min(training.longest, anchors - 1) + 1)
    return draws.integers(anchors - length, training.segments), length
