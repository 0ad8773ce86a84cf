"""Samples between snapshots: displacement interpolation, and flow matching where torchcfm is installed."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from refusals import refused

from weightcast.core.run import Run
from weightcast.evolution.displacement import DisplacementInterpolation, stochastic_rounding
from weightcast.evolution.distances.wasserstein import wasserstein


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.fixture
def gaussians(random):
    """Standard deviations 1 and 3, means (0, 0) and (4, 0)."""
    return [random.normal(0, 1, (800, 2)), random.normal([4, 0], 3, (800, 2))]


# --- displacement interpolation ---


def test_halfway_between_two_gaussians(gaussians):
    """The optimal map between isotropic Gaussians is linear, so both mean and standard deviation are halfway."""
    halfway = DisplacementInterpolation([0, 10], gaussians).sample(5, 4000, seed=1)
    assert halfway.mean(axis=0) == pytest.approx([2, 0], abs=0.2)
    assert halfway.std(axis=0) == pytest.approx([2, 2], rel=0.06)


def test_at_a_snapshot_all_of_its_samples_are_drawn_from(gaussians):
    interpolation = DisplacementInterpolation([0, 10], gaussians, limit=50)
    for time, snapshot in zip([0, 10], gaussians, strict=True):
        drawn = interpolation.sample(time, 5000, seed=2)
        assert len(np.unique(drawn, axis=0)) > 700
        assert wasserstein(drawn[:, :1], snapshot[:, :1]) < 0.1


def test_it_is_continuous_at_a_snapshot(gaussians):
    interpolation = DisplacementInterpolation([0, 1, 2], [gaussians[0], gaussians[1], gaussians[0]])
    for time in (1 - 1e-9, 1 + 1e-9):
        assert wasserstein(interpolation.sample(time, 4000, seed=3)[:, :1], gaussians[1][:, :1]) < 0.25


def test_snapshots_of_different_size_keep_their_weights(random):
    start, end = random.normal(size=(30, 1)), random.normal(size=(70, 1)) + 10
    coupling = DisplacementInterpolation([0, 1], [start, end]).coupling(0)
    assert coupling.mass.sum() == pytest.approx(1)
    assert len(coupling.mass) <= 99
    assert coupling.mass @ coupling.start == pytest.approx(start.mean(axis=0))
    assert coupling.mass @ coupling.end == pytest.approx(end.mean(axis=0))
    for value in np.unique(coupling.start)[1:]:  # in one dimension, the best plan crosses nowhere
        assert coupling.end[coupling.start < value].max() <= coupling.end[coupling.start >= value].min()


def test_the_coupling_is_limited_computed_once_and_deterministic(gaussians):
    interpolation = DisplacementInterpolation([0, 10], gaussians, limit=50)
    assert len(interpolation.coupling(0).mass) == 50
    assert interpolation.coupling(0) is interpolation.coupling(0)
    again = DisplacementInterpolation([0, 10], gaussians, limit=50)
    assert np.array_equal(interpolation.sample(3, 20, seed=4), again.sample(3, 20, seed=4))
    assert not np.array_equal(interpolation.sample(3, 20, seed=4), again.sample(3, 20, seed=5))


def test_rounding_keeps_the_mean(random):
    values = np.full((40_000, 2), [0.3, 7.9])
    rounded = stochastic_rounding(values, random)
    assert set(np.unique(rounded)) == {0, 1, 7, 8}
    assert rounded.mean(axis=0) == pytest.approx([0.3, 7.9], abs=0.01)


def test_counts_stay_counts(random):
    counts = [random.poisson(3, (300, 2)), random.poisson(6, (300, 2))]
    interpolation = DisplacementInterpolation([0, 1], counts, rounded=True)
    drawn = interpolation.sample(0.3, 5000, seed=6)
    assert np.array_equal(drawn, np.floor(drawn))
    expected = 0.7 * counts[0].mean(axis=0) + 0.3 * counts[1].mean(axis=0)
    assert drawn.mean(axis=0) == pytest.approx(expected, abs=0.1)
    still = DisplacementInterpolation([0, 1], [counts[0], counts[0]], rounded=True).sample(1 / 3, 500, seed=7)
    assert {tuple(row) for row in still} <= {tuple(row) for row in counts[0].astype(float)}


def test_bad_input_is_refused(gaussians):
    interpolation = DisplacementInterpolation([0, 10], gaussians)
    for time in (-0.1, 10.1, np.nan):
        with refused("time", f"{time:g}", "0 and 10"):
            interpolation.sample(time, 5, seed=0)
    with refused("found a request for 0"):
        interpolation.sample(1, 0, seed=0)
    for times in ([0], [0, 0], [1, 0], [0, np.nan], [[0, 1]]):
        with refused("times", "increase"):
            DisplacementInterpolation(times, gaussians)
    with refused("found 2 sets", "expected 3"):
        DisplacementInterpolation([0, 1, 2], gaussians)
    with refused("time 1: dimensions", "found 1", "expected 2"):
        DisplacementInterpolation([0, 1], [gaussians[0], gaussians[1][:, :1]])
    with refused("time 1", "NaN"):
        DisplacementInterpolation([0, 1], [gaussians[0], gaussians[1] * np.nan])
    with refused("limit", "found 0"):
        DisplacementInterpolation([0, 1], gaussians, limit=0)


def test_samples_that_were_not_coupled_are_carried_as_their_neighbours_are(gaussians, random):
    interpolation = DisplacementInterpolation([0, 10], gaussians)
    carried = interpolation.carry(random.normal(0, 1, (800, 2)), 0, seed=4)
    assert carried.mean(axis=0) == pytest.approx([4, 0], abs=0.3)
    assert carried.std(axis=0) == pytest.approx([3, 3], rel=0.1)
    np.testing.assert_array_equal(
        interpolation.carry(gaussians[0][:50], 0, seed=4), interpolation.carry(gaussians[0][:50], 0, seed=4)
    )
    of_one = interpolation.carry(gaussians[0], 0, seed=4)  # what was coupled goes where it is coupled with
    assert wasserstein(of_one, gaussians[1]) < 1e-9


# --- flow matching ---


def test_flow_matching_carries_the_first_snapshot_through_all_others(random):
    pytest.importorskip("torchcfm")
    from weightcast.evolution.baselines.flow_matching import match_flow

    snapshots = [random.normal(size=(300, 2)) * deviation + mean for deviation, mean in ((1, 0), (1.5, 5), (1, 10))]
    flow = match_flow(Run(), [0, 1, 3], snapshots, seed=0, steps=800, batch=64)
    losses = np.array(flow.metadata["curves"]["flow matching"]["training"])  # means over four steps each
    assert losses[-5:].mean() < losses[:5].mean() / 5
    for time, deviation, mean in ((1, 1.5, 5), (2, 1.25, 7.5), (3, 1, 10)):
        drawn = flow.sample(snapshots[0], time, 2000, seed=1)
        assert drawn.mean(axis=0) == pytest.approx([mean, mean], abs=0.4)
        assert drawn.std(axis=0) == pytest.approx([deviation, deviation], rel=0.25)
    assert {tuple(row) for row in flow.sample(snapshots[0], 0, 50, seed=2)} <= {tuple(row) for row in snapshots[0]}
    with refused("time", "3.5", "0 and 3"):
        flow.sample(snapshots[0], 3.5, 10, seed=0)


def test_flow_matching_depends_on_its_seed_alone(random):
    pytest.importorskip("torchcfm")
    from weightcast.evolution.baselines.flow_matching import match_flow

    snapshots = [random.normal(size=(40, 1)), random.normal(size=(50, 1))]
    np.random.seed(0)  # noqa: NPY002  (global random states must neither matter nor be changed)
    before = np.random.get_state()[1].copy()  # noqa: NPY002
    first, second, other = (
        match_flow(Run(), [0, 1], snapshots, seed=s, steps=5).sample(snapshots[0], 1, 9, seed=3) for s in (0, 0, 1)
    )
    assert np.array_equal(first, second)
    assert not np.array_equal(first, other)
    assert np.array_equal(np.random.get_state()[1], before)  # noqa: NPY002


def test_flow_matching_without_torchcfm_says_what_to_install(gaussians, monkeypatch):
    pytest.importorskip("torchdiffeq")
    from weightcast.evolution.baselines.flow_matching import match_flow

    monkeypatch.setitem(sys.modules, "torchcfm", None)
    monkeypatch.setitem(sys.modules, "torchcfm.conditional_flow_matching", None)
    with refused("torchcfm", "pip install torchcfm==1.0.7"):
        match_flow(Run(), [0, 1], gaussians, seed=0, steps=1)
