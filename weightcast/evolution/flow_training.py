"""Training of a flow: towards the anchors, by likelihood with path energy, or first the one and then the other."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from weightcast.core.seeds import derive_seed
from weightcast.core.training import Fit, Resume, fit
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.bridge import Bridge
from weightcast.evolution.config.anchors import BridgeSettings
from weightcast.evolution.config.flow import FlowArm, FlowObjective, FlowSettings, FlowTraining
from weightcast.evolution.control_path import ControlPath, encode_anchors
from weightcast.evolution.flow import WeightFlow
from weightcast.samples.snapshots import Snapshots

Loss = Callable[[int], Tensor]


def new_flow(anchors: Anchors, arm: FlowArm, settings: FlowSettings, seed: int) -> WeightFlow:
    """An untrained flow from the first of the anchors, with its control path if it is a controlled one."""
    graph = anchors.density.graph
    times = torch.from_numpy((anchors.times - anchors.times[0]) / (anchors.times[-1] - anchors.times[0])).float()
    control = None
    if arm.dynamics == "cde":
        centred = anchors.weights - anchors.weights.mean(0)
        scale = centred.square().mean().sqrt().clamp(min=1e-12)
        control = ControlPath(times, encode_anchors(centred / scale, settings.control_path, seed))
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derive_seed(seed, "flow"))
        return WeightFlow(anchors.weights, times, graph, settings, control, arm.start == "anchors")


def bridge_of(snapshots: Snapshots, anchors: Anchors, arm: FlowArm, settings: BridgeSettings, seed: int) -> Bridge:
    """The samples that an arm's likelihood is of: at its anchors' times, and between them if the arm says so."""
    between = arm.bridged or len(anchors.times) > len(snapshots.observed_times)
    parts = settings.per_interval if between else 1
    return Bridge(
        snapshots.observed_times,
        snapshots.observed_train,
        snapshots.counts,
        settings.model_copy(update={"per_interval": parts}),
        seed,
    )


def train_flow(
    flow: WeightFlow,
    anchors: Anchors,
    bridge: Bridge,
    objective: FlowObjective,
    settings: FlowSettings,
    seed: int,
    resume: Resume | None = None,
) -> dict[str, Fit]:
    """Train in place.

    Args:
        flow: from :func:`new_flow`.
        anchors: that it starts from, and is drawn to by the objective ``anchors``.
        bridge: training samples at the anchors' times, or at evenly spaced further times between them.
        objective: anchors, likelihood or both.
        settings: of the two trainings, energy.
        seed: of the draws.
        resume: where state is kept.

    Returns:
        how each training went, by its name.
    """
    stages = {
        "anchors": (settings.anchor_training, _anchor_loss(flow, anchors, settings.anchor_training, seed)),
        "likelihood": (settings.likelihood_training, _likelihood_loss(flow, anchors, bridge, settings, seed)),
    }
    parameters = list(flow.field.parameters())
    results = {}
    for name, (training, loss) in stages.items():
        if objective in (name, "both"):
            kept = None if resume is None else resume.part(name)
            results[name] = fit(parameters, loss, training, resume=kept, label=f"flow, {name}")
    return results


def _anchor_loss(flow: WeightFlow, anchors: Anchors, training: FlowTraining, seed: int) -> Loss:
    """Mean squared distance to the anchors along stretches, in standardised weights (the reference's objective)."""
    standardised = flow.standardise(anchors.weights)

    def loss(step: int) -> Tensor:
        first, length = draw_stretches(len(standardised), training, derive_seed(seed, "flow-anchors", step))
        index = first[:, None] + torch.arange(length + 1)  # [segment, point]
        reached = flow.integrate(standardised[first], flow.grid[index])[1:]  # [point, segment, parameter]
        return (reached - standardised[index[:, 1:].T]).square().mean()

    return loss


def _likelihood_loss(flow: WeightFlow, anchors: Anchors, bridge: Bridge, settings: FlowSettings, seed: int) -> Loss:
    """WeightFlow's equation 9: mean negative log-likelihood along the path, and the path's energy."""
    training = settings.likelihood_training
    standardised = flow.standardise(anchors.weights)
    grid = torch.from_numpy((bridge.times - anchors.times[0]) / (anchors.times[-1] - anchors.times[0])).float()
    # A stretch starts where weights are known: at an anchor. Where the bridge is finer, it passes several of its times
    # on the way to the next one.
    finer = (len(bridge.times) - 1) // (len(anchors.times) - 1)

    def loss(step: int) -> Tensor:
        step_seed = derive_seed(seed, "flow-likelihood", step)
        first, length = draw_stretches(len(standardised), training, step_seed)
        index = finer * first[:, None] + torch.arange(finer * length + 1)
        times = grid[index]
        weights = flow.restore(flow.integrate(standardised[first], times))  # [point, segment, parameter]
        samples = bridge.draw(training.batch, step_seed)[index[:, 1:].T.flatten()]
        likelihood = anchors.density.log_prob(weights[1:].flatten(0, 1), samples).mean()
        speed = weights.diff(dim=0) / times.T.diff(dim=0)[..., None]
        return 0.5 * settings.energy * speed.square().sum(-1).mean() - likelihood

    return loss


def draw_stretches(anchors: int, training: FlowTraining, seed: int) -> tuple[Tensor, int]:
    """First anchors of the stretches of a step [segment], and how many anchors on each ends. One in four steps has
    one stretch from the first anchor to the last: the way that the flow is used."""
    generator = torch.Generator().manual_seed(seed)
    if int(torch.randint(4, (), generator=generator)) == 0:
        return torch.zeros(1, dtype=torch.long), anchors - 1
    length = int(torch.randint(1, min(training.longest, anchors - 1) + 1, (), generator=generator))
    return torch.randint(anchors - length, (training.segments,), generator=generator), length
