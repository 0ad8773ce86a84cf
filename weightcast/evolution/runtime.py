"""How many minutes the jobs of a study across time ask for, computed from the study.

As across environments (:mod:`weightcast.environments.runtime`) an upper bound rather than a forecast, from what a step
computes with and a rate that was measured once. Only light modules are imported: Snakemake reads this file in every
process that it starts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping

from weightcast.evolution.jobs import TimePlan
from weightcast.evolution.memory import anchor_count, flow_numbers, likelihood_numbers, times_of

START_SECONDS = 60
LEAST_MINUTES = 10
MARGIN = 3.0
NUMBERS_A_SECOND = 5e7
"""Kept for the gradient in a step of a training."""
STEP_SECONDS = 0.03
"""Of a step, however small: a loop over dimensions, or over the stages of a solver."""
UNBALANCED_SECONDS = 3e-5
"""Of an unbalanced transport between samples, for each of their pairs."""
TRANSPORT_SECONDS = 5e-7
"""Of an exact transport between samples, for each of their pairs."""
GPU = 5.0
"""How many times as fast trainings are at the least on a GPU. A guess, on the safe side: not measured."""


def runtime_minutes(stage: str, plan: TimePlan, of: Mapping[str, str]) -> int:
    """Minutes for a job.

    Args:
        stage: its name; one that is not known to take longer asks for the least.
        plan: of the study.
        of: the job's wildcards.
    """
    seconds = _SECONDS[stage](plan, of) if stage in _SECONDS else 0.0
    if plan.study.device.startswith("cuda") and stage.startswith("train_"):
        seconds /= GPU
    return max(LEAST_MINUTES, 5 * math.ceil(MARGIN * (START_SECONDS + seconds) / 60 / 5))


def _train_anchors(plan: TimePlan, of: Mapping[str, str]) -> float:
    training, kind = plan.study.anchors.training, of["anchors"]
    members = anchor_count(plan, kind)
    numbers = likelihood_numbers(plan, members, training.batch)
    pairing = times_of(plan) * plan.study.anchors.bridge.pairs**2 * TRANSPORT_SECONDS * 10 if kind == "bridged" else 0.0
    return pairing + training.steps * (STEP_SECONDS + numbers / NUMBERS_A_SECOND)


def _train_flow(plan: TimePlan, of: Mapping[str, str]) -> float:
    settings = plan.study.flow.of_arm(of["arm"])
    arm = settings.arms[of["arm"]]
    trainings = {
        "anchors": [settings.anchor_training],
        "likelihood": [settings.likelihood_training],
        "both": [settings.anchor_training, settings.likelihood_training],
    }[arm.objective]
    numbers = flow_numbers(plan, of["arm"])
    steps = sum(training.steps for training in trainings)
    return settings.control_path.steps * STEP_SECONDS + steps * (STEP_SECONDS + numbers / NUMBERS_A_SECOND)


def _couple_snapshots(plan: TimePlan, of: Mapping[str, str]) -> float:
    """A thousand steps of unbalanced transport for each interval, as far as their number is known."""
    intervals = 10 if plan.study.data.imported else times_of(plan)
    return intervals * plan.study.anchors.bridge.pairs**2 * UNBALANCED_SECONDS


def _train_flow_matching(plan: TimePlan, of: Mapping[str, str]) -> float:
    return 1800.0  # its own number of steps


def _evaluate(plan: TimePlan, of: Mapping[str, str]) -> float:
    """Samples at every evaluated time, and their exact transport to the truth, of a few methods."""
    evaluation = plan.study.evaluation
    evaluated = times_of(plan) / evaluation.every
    methods = 2 + len(evaluation.interpolations)
    drawn = evaluation.samples * len(plan.study.data.dimensions) / 1e5
    return methods * evaluated * (drawn + evaluation.samples**2 * TRANSPORT_SECONDS + 0.02)


def _snapshots(plan: TimePlan, of: Mapping[str, str]) -> float:
    data = plan.study.data
    trajectories = 2000 if data.trajectories is None else data.trajectories.train + data.trajectories.held_out
    return trajectories * times_of(plan) * len(data.dimensions) / 1e4


_SECONDS: dict[str, Callable[[TimePlan, Mapping[str, str]], float]] = {
    "simulate_snapshots": _snapshots,
    "import_snapshots": _snapshots,
    "train_anchors": _train_anchors,
    "train_flow": _train_flow,
    "train_flow_matching": _train_flow_matching,
    "couple_snapshots": _couple_snapshots,
    "evaluate_anchors": _evaluate,
    "evaluate_flow": _evaluate,
    "evaluate_samples": _evaluate,
    "show_distributions": _evaluate,
}
