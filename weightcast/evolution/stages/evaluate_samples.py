"""The stage ``evaluate_samples``: what moves samples rather than weights, the floor and the exact law, scored."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.evolution.baselines.flow_matching import FlowMatching
from weightcast.evolution.displacement import DisplacementInterpolation
from weightcast.evolution.evaluation import Row, Samples, TimeTestSet
from weightcast.evolution.jobs import EvaluateSamples
from weightcast.samples.snapshots import Snapshots
from weightcast.systems.exact_law import ExactLaw
from weightcast.systems.stochastic import build_stochastic_system


@stage("evaluate_samples")
def evaluate_samples(
    run: Run, settings: EvaluateSamples, snapshots: Snapshots, flow_matching: FlowMatching | None
) -> Table:
    """Score the sampling floor, the exact law, displacement interpolation and OT-CFM, as far as the study has them."""
    test = TimeTestSet.of(settings.study, snapshots, settings.fold, settings.evaluation)
    rows = list(evaluate_floor(test, settings.seed))
    law = None if settings.system is None else build_stochastic_system(settings.system, settings.system_settings).law
    if law is not None:
        rows += evaluate_exact_law(test, law, settings.seed)
    rows += test.previous_rows("last-snapshot", 0, lambda samples, *_: samples)  # as if nothing moved
    if test.forecast:
        rows += evaluate_last_snapshot(test, settings.seed)
        return Table.of_rows(rows)  # what interpolates keeps the last snapshot as well
    if settings.evaluation.displacement:
        rows += evaluate_displacement(test, settings.seed)
    if flow_matching is not None:
        rows += evaluate_flow_matching(test, flow_matching.to(run.device), settings.seed)
    return Table.of_rows(rows)


def evaluate_floor(test: TimeTestSet, seed: int) -> Iterator[Row]:
    """The other part of the samples in place of a prediction: no prediction of so many samples can be nearer to the
    truth, but by chance. Each part is the other's floor, and of predictions as many samples are compared."""
    snapshots, count = test.snapshots, test.settings.samples
    if snapshots.all_train:
        yield from evaluate_own_law(test, seed)
        return
    train = [_at_most(part, count, derive_seed(seed, "floor", place)) for place, part in enumerate(snapshots.train)]
    held_out = [
        _at_most(part, count, derive_seed(seed, "floor-held-out", place))
        for place, part in enumerate(snapshots.held_out)
    ]
    yield from test.rows("sampling-floor", 0, lambda position: train[position], as_source=False)
    yield from test.previous_rows("sampling-floor", 0, lambda _, __, position: train[position])
    for position in test.source_positions:
        truth = snapshots.train[position][:count]
        yield from test.source_rows("sampling-floor", 0, position, held_out[position], truth)


def evaluate_own_law(test: TimeTestSet, seed: int) -> Iterator[Row]:
    """Where no samples are held out: draws of the very samples that predictions are compared with, as many as of a
    prediction. What knows all of them by heart, and draws each by itself, is so far away."""

    def predict(position: int) -> Samples:
        random = np.random.default_rng(derive_seed(seed, "floor", position))
        return random.choice(test.snapshots.train[position], size=test.settings.samples)

    yield from test.rows("sampling-floor", 0, predict)


def evaluate_exact_law(test: TimeTestSet, law: ExactLaw, seed: int) -> Iterator[Row]:
    """The law itself in place of a prediction. No density has a lower expected negative log-likelihood, and no samples
    are nearer to the truth but by chance."""
    times, states = test.snapshots.times, test.snapshots.states

    def predict(position: int) -> Samples:
        drawn = law.sample(float(times[position]), test.settings.samples, derive_seed(seed, "exact-law", position))
        return drawn if states is None else drawn.clip(0, states - 1)  # rare counts that no sample of the study has

    def log_prob(position: int, truth: Samples) -> float:
        return float(law.log_prob(truth, float(times[position])).mean())

    yield from test.rows("exact-law", 0, predict)
    yield from test.mean_likelihood_rows("exact-law", 0, log_prob)


def evaluate_last_snapshot(test: TimeTestSet, seed: int) -> Iterator[Row]:
    """Persistence: training samples of the last snapshot that was seen, in place of a forecast."""
    last = test.snapshots.observed_train[-1]

    def predict(position: int) -> Samples:
        random = np.random.default_rng(derive_seed(seed, "last-snapshot", position))
        return random.choice(last, size=test.settings.samples)

    yield from test.rows("last-snapshot", 0, predict)
    if (masses := test.snapshots.observed_masses) is not None:
        yield from test.mass_rows("last-snapshot", 0, np.full(len(test.snapshots.times), masses[-1] / masses[0]))


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

    def carry(samples: Samples, before: int, _: int) -> Samples:
        interval = list(snapshots.observed_positions).index(before)
        return displacement.carry(samples, interval, derive_seed(seed, "displacement", "carry", before))

    yield from test.rows("displacement", 0, predict)
    yield from test.previous_rows("displacement", 0, carry)
    if (masses := snapshots.observed_masses) is not None:  # the mass is that of a line
        line = np.interp(snapshots.times, snapshots.observed_times, masses / masses[0])
        yield from test.mass_rows("displacement", 0, line)


def evaluate_flow_matching(test: TimeTestSet, matched: FlowMatching, seed: int) -> Iterator[Row]:
    """OT-CFM, which carries the first snapshot's training samples; those of the last snapshot after it."""
    snapshots = test.snapshots
    last = float(snapshots.observed_times[-1])

    def predict(position: int) -> Samples:
        time = min(float(snapshots.times[position]), last)
        chosen = derive_seed(seed, "flow-matching", position)
        return matched.sample(snapshots.observed_train[0], time, test.settings.samples, chosen)

    def carry(samples: Samples, before: int, position: int) -> Samples:
        return matched.carry(samples, float(snapshots.times[before]), float(snapshots.times[position]))

    yield from test.rows("flow-matching", 0, predict)
    yield from test.previous_rows("flow-matching", 0, carry)


def _at_most(samples: Samples, count: int, seed: int) -> Samples:
    if len(samples) <= count:
        return samples
    return samples[np.random.default_rng(seed).choice(len(samples), size=count, replace=False)]
