"""How much memory the jobs of a study across time ask for, computed from the study's sizes.

Only light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from weightcast.evolution.jobs import TimePlan

LIBRARIES_MB = 500
"""What a process takes that has imported torch and the library, before it computes anything."""
MARGIN = 1.5
MEGABYTE = 2**20
_DEFAULT_TIMES = 101
_DEFAULT_TRAJECTORIES = 1000
DRAWN_MB = 400
"""Numbers that are held at once while samples are drawn, at most (weightcast.evolution.density.DRAWN_AT_ONCE)."""


def memory_mb(stage: str, plan: TimePlan, of: Mapping[str, str]) -> int:
    """Megabytes that a job of a stage needs, with a margin.

    Args:
        stage: its name.
        plan: of the study.
        of: the job's wildcards.
    """
    computed = {
        "train_anchors": _anchors_bytes,
        "train_flow": _flow_bytes,
        "evaluate_anchors": _evaluation_bytes,
        "evaluate_flow": _evaluation_bytes,
        "evaluate_samples": _evaluation_bytes,
        "couple_snapshots": _coupling_bytes,
        "show_distributions": _evaluation_bytes,
    }
    own = computed[stage](plan, of) if stage in computed else 0.0
    return math.ceil(MARGIN * (LIBRARIES_MB + (own + _samples_bytes(plan)) / MEGABYTE))


def anchor_count(plan: TimePlan, kind: str) -> int:
    """Anchors of a kind, as far as the configuration knows: a file of one's own may hold fewer times."""
    count = _snapshots(plan)
    return (count - 1) * plan.study.anchors.bridge.per_interval + 1 if kind == "bridged" else count


def times_of(plan: TimePlan) -> int:
    """Times of the data, as far as the configuration knows."""
    trajectories = plan.study.data.trajectories
    times = None if trajectories is None else trajectories.times
    return times or _DEFAULT_TIMES


def _snapshots(plan: TimePlan) -> int:
    data = plan.study.data
    return (times_of(plan) - 1) // data.observed_every + 1 if data.observed is None else len(data.observed)


def _samples_bytes(plan: TimePlan) -> float:
    """All samples as they are read, in double precision, and copies of them."""
    data = plan.study.data
    known = data.trajectories
    samples = 2 * _DEFAULT_TRAJECTORIES if known is None else known.train + known.held_out
    return 4.0 * 8 * samples * times_of(plan) * len(data.dimensions)


def likelihood_numbers(plan: TimePlan, members: float, samples: float) -> float:
    """What is kept for the gradient of the likelihood of samples of each of a stack of densities."""
    density, data = plan.study.density, plan.study.data
    outputs = data.states or 3 * density.components
    hidden = density.layers * density.hidden * (12 if density.backbone == "gru" else 24)
    return members * samples * len(data.dimensions) * (4 * outputs + hidden)


def _likelihood_bytes(plan: TimePlan, members: float, samples: float) -> float:
    """The same in single precision."""
    return 4.0 * likelihood_numbers(plan, members, samples)


def _parameters(plan: TimePlan) -> float:
    """Weights of one density, roughly."""
    density, data = plan.study.density, plan.study.data
    outputs = data.states or 3 * density.components
    layer = (6 if density.backbone == "gru" else 12) * density.hidden**2
    return density.layers * layer + density.hidden * (outputs + 16 + len(data.dimensions))


def _anchors_bytes(plan: TimePlan, of: Mapping[str, str]) -> float:
    """A step of all anchors together, and the cost matrix of a pairing."""
    anchors = plan.study.anchors
    members = anchor_count(plan, of["anchors"])
    pairing = 3 * 8.0 * anchors.bridge.pairs**2 if of["anchors"] == "bridged" else 0.0
    return _likelihood_bytes(plan, members, anchors.training.batch) + 20.0 * members * _parameters(plan) + pairing


def flow_numbers(plan: TimePlan, arm: str) -> float:
    """What a step of all stretches of an arm's flow keeps for its gradient, at every stage of its solver."""
    settings = plan.study.flow.of_arm(arm)
    chosen, density = settings.arms[arm], plan.study.density
    count = anchor_count(plan, chosen.anchors)
    training = settings.anchor_training if chosen.objective == "anchors" else settings.likelihood_training
    points = max(count - 1, training.segments * min(training.longest, count - 1))
    calls = {"rk4": 4, "midpoint": 2, "euler": 1, "dopri5": 14}[settings.solver.method] * settings.solver.steps
    outputs = plan.study.data.states or 3 * density.components
    nodes = 6 * density.layers * density.hidden + outputs
    attention = settings.layers * (20 * nodes * settings.width + 2 * settings.heads * nodes)
    kept = points * calls * (attention + 6 * settings.control_path.dimensions * _parameters(plan))
    return kept if chosen.objective == "anchors" else kept + likelihood_numbers(plan, points, training.batch)


def _flow_bytes(plan: TimePlan, of: Mapping[str, str]) -> float:
    """The same in single precision, and the cost matrix of a pairing."""
    return 4.0 * flow_numbers(plan, of["arm"]) + 3 * 8.0 * plan.study.anchors.bridge.pairs**2


def _coupling_bytes(plan: TimePlan, of: Mapping[str, str]) -> float:
    """The cost matrix of a pairing, its plan and what their sums are made of."""
    return 8 * 8.0 * plan.study.anchors.bridge.pairs**2


def _evaluation_bytes(plan: TimePlan, of: Mapping[str, str]) -> float:
    """Drawing, and the cost matrix and plan of an exact transport between samples and the truth."""
    samples = plan.study.evaluation.samples
    outputs = plan.study.data.states or 3 * plan.study.density.components
    drawn = min(DRAWN_MB * MEGABYTE, 20.0 * times_of(plan) * samples * outputs)
    return drawn + 4 * 8.0 * samples**2
