"""How long the parts of a study across time take on one core of this machine, measured in a few seconds."""

from __future__ import annotations

import inspect
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.cli.anchor_counts import anchor_counts
from weightcast.cli.timing import LONG, mean_seconds, one_quiet_thread, processor_seconds, seconds_a_step
from weightcast.core.config.training import TrainingSettings
from weightcast.core.run import Run
from weightcast.core.training import Fit, fit
from weightcast.evolution.baselines.flow_matching import match_flow
from weightcast.evolution.bridge import Bridge
from weightcast.evolution.config.anchors import AnchorTraining, BridgeSettings
from weightcast.evolution.config.evaluation import TimeEvaluationSettings
from weightcast.evolution.config.flow import FlowObjective, FlowSettings, FlowTraining
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.control_path import ControlPath, encode_anchors
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.evaluation import TimeTestSet
from weightcast.evolution.flow import WeightFlow
from weightcast.evolution.state_space import state_space_of
from weightcast.samples.snapshots import Snapshots

FEW_SAMPLES = 100
"""Samples of each snapshot that anchors are fitted to: batches are drawn from more in the same time, but to pair more
takes long."""
PAIRED = 250
"""Samples of a snapshot that are paired for the measurement."""
PAIRING_POWER = 2.3
"""Of the number of samples, in which pairing them takes time: measured from 250 to 2000, with growth and without."""
PIECES = 2
"""Of a stretch that is integrated for the measurement; longer ones cost in proportion."""


@dataclass(frozen=True)
class StretchTimes:
    """Seconds of a training step of a flow, for each piece of its stretches.

    Attributes:
        one: of one stretch.
        several: of as many stretches, side by side, as the training's steps have.
    """

    one: float
    several: float


@dataclass(frozen=True)
class FlowTimes:
    """Of one arm.

    Attributes:
        trainings: by name: anchors, likelihood; those of the arm's objective.
        coding: seconds of the autoencoder's training, if the control path of a controlled equation has one.
    """

    trainings: dict[str, StretchTimes]
    coding: float


@dataclass(frozen=True)
class ScoreTimes:
    """Seconds of the evaluation of one method at one time.

    Attributes:
        draw: as many samples of its density as are evaluated.
        likelihood: of held-out samples.
        distances: of samples to the truth.
        as_source: the fewer distances that the source of the method scores by.
    """

    draw: float
    likelihood: float
    distances: float
    as_source: float


@dataclass(frozen=True)
class MatchingTimes:
    """Seconds of the baseline OT-CFM: of its training, and of carrying samples to the last time."""

    training: float
    draw: float


@dataclass(frozen=True)
class TimeStepTimes:
    """Seconds on one core.

    Attributes:
        anchors: of one step of all anchors of a kind together; for aligned ones, which are trained one after the
            other, of a step of one.
        pairing: of an interval's optimal-transport pairs, for the bridge.
        flows: by arm.
        scores: of the evaluation.
        displacement: of an interval's optimal-transport pairs, for the baseline.
        matching: of the baseline OT-CFM, if there is one.
    """

    anchors: dict[str, float]
    pairing: float
    flows: dict[str, FlowTimes]
    scores: ScoreTimes
    displacement: float
    matching: MatchingTimes | None


def measure_time_steps(study: TimeStudy, snapshots: Snapshots) -> TimeStepTimes:
    """Time a few steps of each kind, of untrained networks.

    Arms of the same sizes are timed once, as controlled equations: ordinary ones take hardly less.

    Args:
        study: its configuration.
        snapshots: samples of the study's number and spread.
    """
    density = StackedDensity.new(study.density, state_space_of(snapshots, study.density), study.seed)
    timed: dict[tuple[str, str], FlowTimes] = {}
    flows = {}
    with one_quiet_thread():
        for name, arm in study.flow.arms.items():
            settings = study.flow.of_arm(name)
            sizes = (settings.model_dump_json(exclude={"arms"}), arm.objective)
            if sizes not in timed:
                count = anchor_counts(study, len(snapshots.observed_times))[arm.anchors]
                timed[sizes] = _flow_times(settings, arm.objective, count, density, snapshots)
            flows[name] = timed[sizes]
        return TimeStepTimes(
            anchors=_anchor_seconds(study, density, snapshots),
            pairing=_pairing_seconds(snapshots, study.anchors.bridge),
            flows=flows,
            scores=_score_times(study.evaluation, density, snapshots),
            displacement=_pairing_seconds(snapshots, BridgeSettings()) if study.evaluation.displacement else 0.0,
            matching=_matching_times(study.evaluation, snapshots) if study.evaluation.flow_matching else None,
        )


def training_of(settings: FlowSettings, part: str) -> FlowTraining:
    """Of the two trainings of a flow the one towards the anchors, or that of the likelihood."""
    return settings.anchor_training if part == "anchors" else settings.likelihood_training


def _anchor_seconds(study: TimeStudy, density: StackedDensity, snapshots: Snapshots) -> dict[str, float]:
    """By kind. All are trained by the likelihood of samples of the bridge; penalties on their path cost little."""
    samples = [part[:FEW_SAMPLES] for part in snapshots.observed_train]
    counts = anchor_counts(study, len(samples))
    settings, timed = study.anchors.bridge, {}
    for kind, count in counts.items():
        parts = settings.per_interval if kind == "bridged" else 1
        few = settings.model_copy(update={"per_interval": parts})
        bridge = Bridge(snapshots.observed_times, samples, snapshots.counts, few, seed=0)
        members = 1 if kind == "aligned" else count
        if members not in timed:
            timed[members] = _likelihood_seconds(density, bridge, members, study.anchors.training)
    return {kind: timed[1 if kind == "aligned" else count] for kind, count in counts.items()}


def _likelihood_seconds(density: StackedDensity, bridge: Bridge, members: int, training: AnchorTraining) -> float:
    """Of a step of this many anchors together."""
    weights = density.initial_weights(0).repeat(members, 1).requires_grad_()

    def loss(step: int) -> Tensor:
        return -density.log_prob(weights, bridge.draw(training.batch, step)[:members]).mean(1)

    def train(steps: int) -> Fit:
        settings = TrainingSettings(steps=steps, learning_rate=training.learning_rate)
        return fit([weights], loss, settings, stacked=True)

    return seconds_a_step(train)


def _pairing_seconds(snapshots: Snapshots, settings: BridgeSettings) -> float:
    """Of an interval in the middle."""
    if settings.per_interval == 1:
        return 0.0
    middle = len(snapshots.observed_times) // 2
    chosen = slice(middle - 1, middle + 1)
    samples = snapshots.observed_train[chosen]
    number = min(max(map(len, samples)), settings.pairs)
    measured = min(number, PAIRED)
    few = settings.model_copy(update={"pairs": measured})
    seconds = processor_seconds(lambda: Bridge(snapshots.observed_times[chosen], samples, snapshots.counts, few, 0))
    return seconds * (number / measured) ** PAIRING_POWER


def _flow_times(
    settings: FlowSettings, objective: FlowObjective, count: int, density: StackedDensity, snapshots: Snapshots
) -> FlowTimes:
    """With random weights for this many anchors."""
    weights = density.initial_weights(0) + 0.1 * torch.randn(count, density.graph.num_parameters)
    grid, path = torch.linspace(0, 1, count), settings.control_path
    control = ControlPath(grid, torch.randn(count, min(path.dimensions, count - 1)))
    flow = WeightFlow(weights, grid, density.graph, settings, control, from_anchors=True)
    trainings = {}
    for part in ("anchors", "likelihood"):
        if objective in (part, "both"):
            scored = density if part == "likelihood" else None
            trainings[part] = _stretch_times(flow, scored, training_of(settings, part), snapshots)
    coding = 0.0
    if path.kind == "autoencoder":
        coding = path.steps * seconds_a_step(
            lambda steps: encode_anchors(Run(), weights, path.model_copy(update={"steps": steps}), seed=0)
        )
    return FlowTimes(trainings, coding)


def _stretch_times(
    flow: WeightFlow, density: StackedDensity | None, training: FlowTraining, snapshots: Snapshots
) -> StretchTimes:
    one = _piece_seconds(flow, density, 1, training.batch, snapshots)
    if training.segments == 1:
        return StretchTimes(one, one)
    return StretchTimes(one, _piece_seconds(flow, density, training.segments, training.batch, snapshots))


def _piece_seconds(
    flow: WeightFlow, density: StackedDensity | None, stretches: int, batch: int, snapshots: Snapshots
) -> float:
    """Of a training step, by likelihood if there is a density, otherwise by distance to anchors."""
    times = float(flow.grid[1]) * torch.linspace(0, 1, PIECES + 1).expand(stretches, -1)
    start = flow.standardise(flow.start).expand(stretches, -1)
    drawn = np.random.default_rng(0).choice(snapshots.observed_train[-1], (PIECES * stretches, batch))
    samples = torch.from_numpy(drawn)

    def loss(step: int) -> Tensor:
        reached = flow.integrate(start, times)[1:]
        if density is None:
            return (reached - start).square().mean()
        return -density.log_prob(flow.restore(reached).flatten(0, 1), samples).mean()

    def train(steps: int) -> Fit:
        return fit(list(flow.field.parameters()), loss, TrainingSettings(steps=steps, learning_rate=1e-4))

    return seconds_a_step(train) / PIECES


def _score_times(settings: TimeEvaluationSettings, density: StackedDensity, snapshots: Snapshots) -> ScoreTimes:
    """Of training samples in place of predictions."""
    tests = [_test_at(position, settings, snapshots) for position in _spread_positions(len(snapshots.times))]
    weights = density.initial_weights(0).expand(2, -1)

    def predict(test: TimeTestSet) -> NDArray[np.float64]:
        return test.snapshots.train[1][: settings.samples]

    def score_as_source(test: TimeTestSet) -> object:
        truth = test.snapshots.held_out[1][: settings.samples]
        return list(test.source_rows("", 0, 1, predict(test), truth))

    return ScoreTimes(
        draw=_draw_seconds(density, weights[:1], settings.samples),
        likelihood=processor_seconds(lambda: list(tests[0].likelihood_rows("", 0, density, weights))),
        distances=mean_seconds(lambda test: list(test.rows("", 0, lambda _: predict(test), as_source=False)), tests),
        as_source=mean_seconds(score_as_source, tests),
    )


def _draw_seconds(density: StackedDensity, weights: Tensor, samples: int) -> float:
    """Of this many; where that takes long, of a tenth of them, in proportion."""

    def seconds(number: int) -> float:
        return processor_seconds(lambda: density.sample(weights, number, 0))

    few = max(1, samples // 10)
    longest = seconds(few) * samples / few
    return longest if longest > LONG else seconds(samples)


def _spread_positions(count: int) -> list[int]:
    """Of some of this many times, but not of the first; one in the middle before the others."""
    spread = [count // 2, count // 4, (3 * count) // 4]
    return [position for position in dict.fromkeys(spread) if position > 0]


def _test_at(position: int, settings: TimeEvaluationSettings, snapshots: Snapshots) -> TimeTestSet:
    """Of one time, which is number 1 in it: number 0 is the first one."""
    kept = [0, position]
    two = Snapshots(
        snapshots.times[kept],
        np.array([True, True]),
        (snapshots.train[0], snapshots.train[position]),
        (snapshots.held_out[0], snapshots.held_out[position]),
        snapshots.dimensions,
        snapshots.states,
    )
    return TimeTestSet("", two, None, settings)


def _matching_times(settings: TimeEvaluationSettings, snapshots: Snapshots) -> MatchingTimes:
    """Raises an `InputError` if its package is not installed."""
    times, samples = snapshots.observed_times, snapshots.observed_train
    steps = inspect.signature(match_flow).parameters["steps"].default
    matched = match_flow(Run(), times, samples, 0, steps=1)
    return MatchingTimes(
        training=steps * seconds_a_step(lambda steps: match_flow(Run(), times, samples, 0, steps=steps)),
        draw=processor_seconds(lambda: matched.sample(samples[0], float(times[-1]), settings.samples, 0)),
    )
