"""The plan of a study across time in words, subject by subject, as ``weightcast check`` prints it."""

from __future__ import annotations

import torch

from weightcast.core.graph import WeightGraph
from weightcast.evolution.commands.data_checks import TimeData
from weightcast.evolution.commands.snapshot_words import describe_times
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.flow import WeightField
from weightcast.evolution.plan import anchor_counts
from weightcast.evolution.state_space import Counts, Reals

BYTES_OF_A_NUMBER = 4

Lines = list[str]


def describe_time_plan(study: TimeStudy, data: TimeData) -> dict[str, Lines]:
    """What the study would compute, and where it would lie.

    Args:
        study: its configuration.
        data: as checked.
    """
    graph = StackedDensity.new(study.density, _space(study), study.seed).graph
    left_out = study.evaluation.leave_out
    seeds = len(study.flow.seeds)
    return {
        "study": [study.study],
        "data": [*data.words, describe_times(len(data.times), study.data.observed_every, study.data.observed)],
        "density": [f"{study.density.backbone}: {graph.num_parameters:,} weights, {graph.num_nodes} nodes"],
        "anchors": [f"{kind}: {count} for each seed" for kind, count in anchor_counts(study, data.snapshots).items()],
        "flows": [
            f"{len(study.flow.arms)} arms, each with {seeds} seeds",
            *(f"{name}: {arm.dynamics} on {arm.anchors} anchors" for name, arm in study.flow.arms.items()),
        ],
        "left out": [
            *([f"snapshot {number}, at all of these again" for number in left_out] or ["no snapshot"]),
            *(
                [f"the last snapshot, to be forecast by {next(iter(study.flow.arms))}"]
                if study.evaluation.forecast
                else []
            ),
        ],
        "storage": _storage(study, data, graph),
    }


def _space(study: TimeStudy) -> Counts | Reals:
    """Values like those of the study's data, but for the standardisation, which has no weights."""
    dimensions = len(study.data.dimensions)
    if study.data.states is not None:
        return Counts(study.data.states, dimensions)
    return Reals((0.0,) * dimensions, (1.0,) * dimensions, study.density.components)


def _storage(study: TimeStudy, data: TimeData, graph: WeightGraph) -> Lines:
    """Sizes of the files that grow with a study; small ones are left out. Real samples are kept in double precision."""
    trainings = len(study.flow.seeds) * (1 + len(study.evaluation.leave_out))
    counts = anchor_counts(study, data.snapshots)
    anchors = sum(counts.values()) * graph.num_parameters
    flows = 0
    for name, arm in study.flow.arms.items():
        settings = study.flow.of_arm(name)
        channels = settings.control_path.dimensions if arm.dynamics == "cde" else 1
        with torch.device("meta"):
            field = WeightField(graph, settings, channels, True)
        # Start, mean and scale of the weights; and a spline through the anchors, of five numbers each.
        vectors = 3 + (5 * counts[arm.anchors] if arm.start == "anchors" else 0)
        flows += sum(parameter.numel() for parameter in field.parameters()) + vectors * graph.num_parameters
    return [
        f"{_size(data.numbers * (1 if study.data.state == 'counts' else 2))} samples in {study.snapshots}",
        f"{_size(trainings * anchors)} anchors in {study.results}",
        f"{_size(trainings * flows)} flows in {study.results}",
    ]


def _size(numbers: float) -> str:
    size = numbers * BYTES_OF_A_NUMBER
    return f"{size / 1e6:6.1f} MB" if size >= 1e6 else f"{size / 1e3:6.1f} kB"
