"""Multi-marginal flow matching with conditions, on clouds of samples that move as is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from refusals import refused
from test_environment_displacement import snapshots

from weightcast.core.draws import Draws
from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.run import Run
from weightcast.families.baselines.conditional_flow import ConditionalFlow, match_conditional_flow
from weightcast.families.baselines.snapshot_splines import SnapshotSplines, chained
from weightcast.families.config.evaluation import FamilyEvaluationSettings
from weightcast.families.config.opponents import ConditionalFlowSettings
from weightcast.families.first_samples import evenly_drawn, first_samples
from weightcast.families.jobs import FLOW, TrainConditionalFlow
from weightcast.families.stages.train_conditional_flow import train_conditional_flow

CLOUD = np.random.default_rng(0).normal(size=(60, 2))
STANDARD = (np.zeros(2), np.ones(2))
SPEEDS = {"a": -1.0, "b": -0.5, "c": 0.0, "d": 0.5, "e": 1.0, "new": 0.25}
"""Clouds move along x at these speeds, and along y at 1 whatever the speed."""


def moving(speed: float) -> dict[float, np.ndarray]:
    """Snapshots whose rows are in another order at each time."""
    random = np.random.default_rng(1)
    return {time: random.permutation(CLOUD + time * np.array([speed, 1.0])) for time in (0.0, 1.0, 2.0, 4.0)}


@pytest.fixture(scope="module")
def matched():
    family = snapshots(**{id: moving(speed) for id, speed in SPEEDS.items()})
    rows = tuple(Environment(id, {"speed": speed}, "visible") for id, speed in SPEEDS.items())
    table = EnvironmentTable(rows, ("speed",), Path("t.csv"))
    settings = ConditionalFlowSettings.model_validate(
        {"training": {"steps": 600, "learning_rate": 0.005}, "width": 32, "batch": 128}
    )
    flow = match_conditional_flow(Run(), family, table, list("abcde"), settings, seed=0, name="test")
    return flow, family, table


# --- curves through samples


def test_chains_are_those_of_optimal_transport() -> None:
    """A cloud that moves as a whole: every sample's partner is where it has moved to."""
    samples = list(moving(0.5).values())
    chain = chained(samples, 100, np.random.default_rng(0))
    assert chain.shape == (60, 4, 2)
    np.testing.assert_allclose(chain[:, 3] - chain[:, 0], np.tile([2.0, 4.0], (60, 1)), atol=1e-9)
    few = chained([samples[0][:7], samples[1]], 40, np.random.default_rng(0))
    assert few.shape == (40, 2, 2)  # as many as the largest has, at most as many as are coupled
    assert {tuple(row) for row in few[:, 0]} == {tuple(row) for row in samples[0][:7]}


def test_points_lie_on_curves_whose_velocity_is_theirs() -> None:
    """Straight motion: the spline is the straight line. Environments of one snapshot have no curve, those of fewer
    snapshots are padded."""
    two = {time: values for time, values in moving(-1.0).items() if time < 2}
    family = snapshots(one={1.0: CLOUD}, two=two, four=moving(0.5))
    splines = SnapshotSplines.of(family, ["one", "two", "four"], 100, STANDARD, (0.0, 4.0), 0)
    of, times, places, velocities = splines.draw(400, Draws("cpu", 3))

    assert set(of.tolist()) == {1, 2} and (of == 1).sum() == pytest.approx(200, abs=40)
    assert times[of == 1].max() <= 0.25 < times[of == 2].max() <= 1
    expected = torch.where(of[:, None] == 1, torch.tensor([-4.0, 4.0]), torch.tensor([2.0, 4.0]))  # for a unit of 4
    torch.testing.assert_close(velocities, expected, atol=1e-4, rtol=0)
    begun = places - times[:, None] * expected
    assert torch.cdist(begun.double(), torch.from_numpy(CLOUD)).min(1).values.max() < 1e-5


def test_curves_bend_through_the_snapshots() -> None:
    """One sample at four times: the natural spline through it, which SciPy's own evaluation goes through as well."""
    values = [np.array([[0.0]]), np.array([[1.0]]), np.array([[0.0]]), np.array([[2.0]])]
    family = snapshots(a=dict(zip((0.0, 1.0, 2.0, 4.0), values, strict=True)))
    splines = SnapshotSplines.of(family, ["a"], 10, (np.zeros(1), np.ones(1)), (0.0, 4.0), 0)
    _, times, places, velocities = splines.draw(4000, Draws("cpu", 1))
    order = times.argsort()
    steps = times[order].diff() > 1e-4
    slope = (places[order].diff(dim=0) / times[order].diff()[:, None])[steps]
    middle = (0.5 * (velocities[order][1:] + velocities[order][:-1]))[steps]
    assert float((slope - middle).abs().max()) < 0.2  # of velocities up to 9
    for time, value in zip((0.0, 0.25, 0.5, 1.0), values, strict=True):
        near = (times - time).abs() < 2e-3
        assert float((places[near] - float(value[0, 0])).abs().max()) < 0.05


def test_single_snapshots_are_refused() -> None:
    with refused("flow matching", "one snapshot of each visible environment"):
        SnapshotSplines.of(snapshots(one={1.0: CLOUD}), ["one"], 9, STANDARD, (0.0, 1.0), 0)


# --- the field


def test_samples_of_a_new_environment_move_at_its_own_speed(matched) -> None:
    """The speed 0.25 was never seen: 600 steps find the way of 1.0 along x and 4.0 along y to 0.15, where the speeds
    beside it lead to 0.0 and 2.0."""
    flow, family, table = matched
    start, begin, parameters = first_samples(flow.scaling, family, table, list("abcde"), "new", 60, 0)
    assert begin == 0.0 and float(parameters[0]) == pytest.approx(0.25)
    found = flow.carry(start, begin, [0.0, 2.0, 4.0, 9.0], parameters)

    assert found.shape == (4, 60, 2)
    np.testing.assert_allclose(found[0], start, atol=1e-5)
    np.testing.assert_allclose((found[2] - start).mean(0), [1.0, 4.0], atol=0.15)
    np.testing.assert_array_equal(found[3], found[2])  # nothing was seen later
    late = flow.carry(start + np.array([0.5, 2.0]), 2.0, [4.0], parameters)
    np.testing.assert_allclose((late[0] - start).mean(0), [1.0, 4.0], atol=0.15)


def test_without_guidance_parameters_say_nothing(matched) -> None:
    flow = matched[0]
    slow, fast = (torch.tensor([value]) for value in (-1.0, 1.0))
    ways = {
        guidance: [
            (flow.guided(guidance).carry(CLOUD, 0.0, [4.0], told)[0] - CLOUD).mean(0)[0] for told in (slow, fast)
        ]
        for guidance in (0.0, 1.0, 1.2)
    }
    assert ways[0.0][0] == ways[0.0][1]
    assert ways[1.0][1] - ways[1.0][0] == pytest.approx(8.0, abs=0.5)
    assert ways[1.2][1] - ways[1.2][0] > ways[1.0][1] - ways[1.0][0] + 0.5


def test_a_flow_is_the_same_after_it_was_written(matched, tmp_path) -> None:
    flow = matched[0].guided(1.1)
    flow.save(tmp_path / "flow.safetensors")
    read = ConditionalFlow.load(tmp_path / "flow.safetensors")
    assert (read.guidance, read.first, read.last, read.scaling) == (1.1, 0.0, 4.0, flow.scaling)
    told = torch.tensor([0.3])
    np.testing.assert_array_equal(read.carry(CLOUD, 0.0, [3.0], told), flow.carry(CLOUD, 0.0, [3.0], told))


def test_the_stage_writes_what_the_evaluation_reads(matched, tmp_path) -> None:
    """With all that the stage says of a flow beside its numbers."""
    _, family, table = matched
    flow = ConditionalFlowSettings.model_validate(
        {"training": {"steps": 2, "learning_rate": 0.005}, "width": 4, "batch": 8, "guidances": [1.0, 0.5]}
    )
    evaluation = FamilyEvaluationSettings.model_validate({"shown": {"few": {"times": [0, 1], "samples": 5}}})
    settings = TrainConditionalFlow(
        study="moving", logarithmic=[], flow=flow, left_out=2, evaluation=evaluation, seed=0, family_seed=0
    )
    trained = train_conditional_flow(Run(), settings, family, table)
    trained.save(tmp_path / "flow.safetensors")

    read = ConditionalFlow.load(tmp_path / "flow.safetensors")
    assert read.guidance in (1.0, 0.5)
    assert set(read.metadata["guidances"]) == {"1", "0.5"} and read.metadata["told"] == FLOW


def test_few_samples_are_drawn_evenly() -> None:
    drawn = evenly_drawn(np.arange(6.0)[:, None], 16, 0)
    counts = np.bincount(drawn[:, 0].astype(int), minlength=6)
    assert len(drawn) == 16 and set(counts) == {2, 3}
