"""The stage ``evaluate_flow``: the path of a flow, scored."""

from __future__ import annotations

from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.evolution.evaluation import TimeTestSet, evaluate_path
from weightcast.evolution.jobs import EvaluateFlow
from weightcast.evolution.weight_path import WeightPath
from weightcast.samples.snapshots import Snapshots


@stage("evaluate_flow")
def evaluate_flow(run: Run, settings: EvaluateFlow, flow: WeightPath, snapshots: Snapshots) -> Table:
    """Score the densities that a flow evolves, at all times that are evaluated."""
    test = TimeTestSet.of(settings.study, snapshots, settings.fold, settings.evaluation)
    # The last times may lie after the last snapshot, where not all times are observed.
    laws = flow.to(run.device).laws(snapshots.times, extrapolate=True)
    method = f"flow-{flow.metadata['arm']}"
    rows = list(evaluate_path(method, settings.flow_seed, laws, test))
    if flow.mass_path is not None:
        rows += test.mass_rows(method, settings.flow_seed, flow.masses(snapshots.times, extrapolate=True))
    return Table.of_rows(rows)
