"""The stage ``evaluate_anchors``: interpolations of the weights of anchors, scored."""

from __future__ import annotations

from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.density import Laws
from weightcast.evolution.evaluation import Row, TimeTestSet, evaluate_path
from weightcast.evolution.interpolation import interpolate_weights
from weightcast.evolution.jobs import EvaluateAnchors
from weightcast.evolution.mass import interpolated_mass
from weightcast.samples.snapshots import Snapshots

SCORED_AS_SOURCE = "pchip"
"""One interpolation of each kind of anchors is scored as the source scores, at all times: the strongest of them."""


@stage("evaluate_anchors")
def evaluate_anchors(run: Run, settings: EvaluateAnchors, anchors: Anchors, snapshots: Snapshots) -> Table:
    """Score every interpolation of the study through the anchors of one kind and seed."""
    test = TimeTestSet.of(settings.study, snapshots, settings.fold, settings.evaluation)
    rows: list[Row] = []
    for curve in settings.evaluation.interpolations:
        weights = run.place(interpolate_weights(anchors.times, anchors.weights, snapshots.times, curve))
        method = f"{curve}-{anchors.metadata['anchors']}"
        as_source = curve == SCORED_AS_SOURCE or snapshots.all_train
        rows += evaluate_path(method, settings.anchors_seed, Laws.of(anchors.density, weights), test, as_source)
        masses = test.snapshots.observed_masses
        if masses is not None:
            found = interpolated_mass(test.snapshots.observed_times, masses, snapshots.times, curve)
            rows += test.mass_rows(method, settings.anchors_seed, found, as_source)
    return Table.of_rows(rows)
