"""Rows of metrics.csv of baselines that move samples, and of the sampling floor."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weightcast.core.seeds import derive_seed
from weightcast.evolution.baselines.displacement import DisplacementInterpolation
from weightcast.evolution.baselines.flow_matching import FlowMatching
from weightcast.evolution.evaluation import Row, Samples, TimeTestSet


def evaluate_floor(test: TimeTestSet, seed: int) -> Iterator[Row]:
    """The other part of the samples in place of a prediction: no prediction of so many samples can be nearer to the
    truth, but by chance. Each part is the other's floor."""
    snapshots, count = test.snapshots, test.settings.samples
    train = [_at_most(part, count, derive_seed(seed, "floor", place)) for place, part in enumerate(snapshots.train)]
    held_out = [
        _at_most(part, count, derive_seed(seed, "floor-held-out", place))
        for place, part in enumerate(snapshots.held_out)
    ]
    yield from test.rows("sampling-floor", 0, lambda position: train[position], as_source=False)
    for position in test.source_positions:
        truth = snapshots.train[position][:count]
        yield from test.source_rows("sampling-floor", 0, position, held_out[position], truth)


def evaluate_displacement(test: TimeTestSet, seed: int) -> Iterator[Row]:
    """Displacement interpolation of the observed training samples; the nearest snapshot's after the last one."""
    snapshots = test.snapshots
    last = float(snapshots.observed_times[-1])
    states = snapshots.states
    displacement = DisplacementInterpolation(
        snapshots.observed_times, snapshots.observed_train, rounded=states is not None, seed=seed
    )

    def predict(position: int) -> Samples:
        time = min(float(snapshots.times[position]), last)
        return displacement.sample(time, test.settings.samples, derive_seed(seed, "displacement", position))

    yield from test.rows("displacement", 0, predict)


def evaluate_flow_matching(test: TimeTestSet, seed: int) -> Iterator[Row]:
    """OT-CFM trained on the observed training samples."""
    snapshots = test.snapshots
    last = float(snapshots.observed_times[-1])
    matched = FlowMatching(snapshots.observed_times, snapshots.observed_train, derive_seed(seed, "flow-matching"))

    def predict(position: int) -> Samples:
        time = min(float(snapshots.times[position]), last)
        return matched.sample(time, test.settings.samples, derive_seed(seed, "flow-matching", position))

    yield from test.rows("flow-matching", 0, predict)


def _at_most(samples: Samples, count: int, seed: int) -> Samples:
    if len(samples) <= count:
        return samples
    return samples[np.random.default_rng(seed).choice(len(samples), size=count, replace=False)]
