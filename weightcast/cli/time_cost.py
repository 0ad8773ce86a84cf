"""What a study across time will cost: how often each of its parts is done times how long that was measured to take."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from weightcast.cli.anchor_counts import anchor_counts
from weightcast.cli.time_step_times import StretchTimes, TimeStepTimes, training_of
from weightcast.cli.work import FORWARD_SHARE
from weightcast.evolution.config.flow import FlowArm, FlowTraining
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.evaluation import TimeTestSet
from weightcast.samples.snapshots import Snapshots

SCORED_AS_SOURCE = "pchip"
"""The one interpolation that is scored at all times (weightcast/evolution/stages/evaluate_anchors.py)."""
WHOLE_PATHS = 1 / 4
"""Share of a flow's training steps with one stretch over the whole path (`draw_stretches`)."""


def estimate_time_seconds(study: TimeStudy, snapshots: Snapshots, times: TimeStepTimes) -> dict[str, float]:
    """Seconds on one core by part of the study, from its anchors to the evaluation.

    Tables, figures and the report are left out: they take seconds.

    Args:
        study: its configuration.
        snapshots: whose times are the study's.
        times: as measured.
    """
    folds = [_Fold(study, snapshots, times, number) for number in (None, *study.evaluation.leave_out)]
    parts = {f"{kind} anchors": sum(fold.anchors(kind) for fold in folds) for kind in study.anchors.kinds}
    parts["transport"] = sum(fold.transport() for fold in folds)
    parts |= {f"flow {arm}": sum(fold.flow(arm) for fold in folds) for arm in study.flow.arms}
    parts = {part: len(study.flow.seeds) * seconds for part, seconds in parts.items()}
    parts["flow matching"] = len(folds) * times.matching.training if times.matching else 0.0
    parts["evaluation"] = sum(fold.evaluation() for fold in folds)
    return {part: seconds for part, seconds in parts.items() if seconds > 0}


@dataclass(frozen=True)
class _Fold:
    """What training may see, and what that costs; for one seed unless said otherwise.

    Attributes:
        study: its configuration.
        snapshots: all of them.
        times: as measured, with all snapshots.
        left_out: number of the snapshot that the fold does without, or None.
    """

    study: TimeStudy
    snapshots: Snapshots
    times: TimeStepTimes
    left_out: int | None

    @property
    def test(self) -> TimeTestSet:
        position = None if self.left_out is None else self.snapshots.observed_positions[self.left_out]
        return TimeTestSet("", self.snapshots.without(self.left_out), position, self.study.evaluation)

    @property
    def intervals(self) -> int:
        return len(self.snapshots.observed_times) - 1 - (self.left_out is not None)

    def count(self, kind: str) -> int:
        return anchor_counts(self.study, self.intervals + 1)[kind]

    def anchors(self, kind: str) -> float:
        steps, step, count = self.study.anchors.training.steps, self.times.anchors[kind], self.count(kind)
        if kind == "aligned":  # one after the other, in a share of the steps
            return count * max(1, steps // count) * step
        return steps * step * count / anchor_counts(self.study, len(self.snapshots.observed_times))[kind]

    def transport(self) -> float:
        """Of the bridged anchors, and again of each flow that is trained between snapshots."""
        bridges = ("bridged" in self.study.anchors.kinds) + sum(map(_bridged, self.study.flow.arms.values()))
        return bridges * self.intervals * self.times.pairing

    def flow(self, name: str) -> float:
        """Of an arm's training, and of the autoencoder before it."""
        arm, settings, measured = self.study.flow.arms[name], self.study.flow.of_arm(name), self.times.flows[name]
        anchors = self.count(arm.anchors)
        total = measured.coding if arm.dynamics == "cde" else 0.0
        for part, pieces in measured.trainings.items():
            training = training_of(settings, part)
            finer = self._pieces(arm) // (anchors - 1) if part == "likelihood" else 1
            total += training.steps * finer * step_seconds(training, anchors, pieces)
        return total

    def _pieces(self, arm: FlowArm) -> int:
        """Of the whole path: the likelihood is taken at the end of each."""
        return self.intervals * (self.study.anchors.bridge.per_interval if _bridged(arm) else 1)

    def evaluation(self) -> float:
        """Of all seeds."""
        curves, kinds, arms = self.study.evaluation.interpolations, self.study.anchors.kinds, self.study.flow.arms
        anchors = sum(self._scored(curve == SCORED_AS_SOURCE) for curve in curves)
        flows = sum(self._path(arm) + self._scored(as_source=True) for arm in arms)
        return len(self.study.flow.seeds) * (len(kinds) * anchors + flows) + self._samples()

    def _scored(self, as_source: bool) -> float:
        """Of a path of weights, once it is known (`evaluate_path`)."""
        scores, some = self.times.scores, self.test.positions
        all_times = self.test.source_positions if as_source else []
        draws = len({*some, *all_times}) * scores.draw
        return draws + len(some) * (scores.likelihood + scores.distances) + len(all_times) * scores.as_source

    def _path(self, name: str) -> float:
        """Weights of a flow at all times: over its anchors one after the other, then to all times side by side."""
        settings = self.study.flow.of_arm(name)
        part, pieces = next(iter(self.times.flows[name].trainings.items()))
        along = (self.count(self.study.flow.arms[name].anchors) - 1) * pieces.one
        onward = len(self.snapshots.times) * pieces.several / training_of(settings, part).segments
        return FORWARD_SHARE * (along + onward)

    def _samples(self) -> float:
        """Of the sampling floor and of the baselines that move samples, whatever the number of seeds."""
        scores, test, baselines = self.times.scores, self.test, self.study.evaluation
        scored = len(test.positions) * scores.distances + len(test.source_positions) * scores.as_source
        total = scored * (1 + baselines.displacement + baselines.flow_matching)
        total += self._displaced_intervals() * self.times.displacement
        if self.times.matching is not None:  # the way to a time is half of the whole way on average
            total += len({*test.positions, *test.source_positions}) * self.times.matching.draw / 2
        return total

    def _displaced_intervals(self) -> int:
        """Those with a time that is evaluated and not observed: displacement interpolates in them."""
        seen = self.test.snapshots
        evaluated = {*self.test.positions, *self.test.source_positions}
        between = [seen.times[position] for position in evaluated if not seen.observed[position]]
        intervals = np.searchsorted(seen.observed_times, between)
        return len({int(interval) for interval in intervals if interval < len(seen.observed_times)})


def _bridged(arm: FlowArm) -> bool:
    """Whether an arm is trained on samples between the snapshots (`bridge_of`)."""
    return arm.bridged or arm.anchors == "bridged"


def step_seconds(training: FlowTraining, anchors: int, pieces: StretchTimes) -> float:
    """Of a training step of a flow: on average over those on the whole path and those on a few of its anchors.

    Args:
        training: how stretches are drawn.
        anchors: of the path.
        pieces: seconds from one anchor to the next.
    """
    length = (1 + min(training.longest, anchors - 1)) / 2  # any number up to the longest
    return WHOLE_PATHS * (anchors - 1) * pieces.one + (1 - WHOLE_PATHS) * length * pieces.several
