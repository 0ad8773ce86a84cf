"""What `weightcast check` says a study across time will cost."""

from __future__ import annotations

import gc
import re
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from command_line import refused, run
from tiny_study import ROOT

from weightcast.cli import timing
from weightcast.cli.time_cost import SCORED_AS_SOURCE, estimate_time_seconds, step_seconds
from weightcast.cli.time_step_times import (
    FlowTimes,
    MatchingTimes,
    ScoreTimes,
    StretchTimes,
    TimeStepTimes,
    measure_time_steps,
)
from weightcast.core.draws import Draws
from weightcast.evolution.commands.example_samples import example_samples
from weightcast.evolution.config.flow import FlowTraining
from weightcast.evolution.config.load import load_time_study, parse_time_study
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.plan import planned_time_jobs
from weightcast.evolution.stages.simulate_snapshots import simulated_snapshots
from weightcast.evolution.stages.train_flow import draw_stretches
from weightcast.samples.snapshots import Snapshots

MINI = ROOT / "tests" / "workflow" / "mini-time.yaml"
NO_SCORES = ScoreTimes(0, 0, 0, 0)


def mini(**sections: Any) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(MINI.read_text(encoding="utf-8"))
    return config | sections


def written(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "my.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def costs(shown: str) -> dict[str, float]:
    """Minutes by part; the whole by the name 'all'."""
    whole, *parts = shown[shown.index("\ncost ") :].splitlines()[1:]
    found = {"all": float(re.search(r"about ([\d.,]+) core-minutes on this machine", whole)[1])}  # type: ignore[index]
    return found | {part: float(minutes) for minutes, part in (line.split(maxsplit=1) for line in parts)}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timing, "BUDGET", 0.0)


# --- the command


def test_every_part_has_its_cost(quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    path = written(tmp_path, mini())
    shown, errors = run(capsys, "check", "--config", path)
    assert errors == ""
    jobs = sum(planned_time_jobs(load_time_study(path)).values())
    assert list(costs(shown)) == [
        "all",
        "simulation",
        "aligned anchors",
        "bridged anchors",
        "transport",
        "flow cde",
        "flow paper",
        "evaluation",
        f"start of {jobs} jobs",
    ]
    assert torch.get_num_threads() == threads
    assert gc.isenabled()


def test_no_timing(capsys: pytest.CaptureFixture[str]) -> None:
    shown, _ = run(capsys, "check", "--config", MINI, "--no-timing")
    assert "in a complete run" in shown
    assert "core-minutes" not in shown


def test_no_projection_on_a_gpu(capsys: pytest.CaptureFixture[str]) -> None:
    refused(capsys, "check", "--config", MINI, "--gpu-rate", "5", words=("--gpu-rate", "across time"))


def test_a_file_of_ones_own(quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Real numbers far from zero, few of them, one of few times: nothing of that gets in the way of timing."""
    values = np.random.default_rng(0).normal(1e4, 1e-2, (60, 3, 2))
    np.save(tmp_path / "mine.npy", values)
    data = {"source": "npy", "file": str(tmp_path / "mine.npy"), "state": "real", "dimensions": ["x", "y"]}
    flow = mini()["flow"] | {"arms": {"cde": {"dynamics": "cde", "anchors": "bridged", "bridged": False}}}
    flow["control_path"] = {"kind": "autoencoder", "steps": 5}
    matching = find_spec("torchcfm") is not None  # an extra of its own
    evaluation = {"samples": 30, "flow_matching": matching, "leave_out": [1]}
    path = written(tmp_path, mini(data=data, flow=flow, evaluation=evaluation))
    shown, errors = run(capsys, "check", "--config", path)
    assert errors == ""
    assert ("flow matching" in costs(shown)) == matching
    assert "simulation" not in costs(shown)


# --- how often each part is done: by hand, with one second for one kind of work and none for the others


def epidemic(**evaluation: Any) -> TimeStudy:
    config = yaml.safe_load((ROOT / "config" / "epidemic.yaml").read_text(encoding="utf-8"))
    config["evaluation"] |= evaluation
    return parse_time_study(config)


def snapshots_of(study: TimeStudy) -> Snapshots:
    """At the study's times; nothing looks at the samples themselves."""
    assert study.data.trajectories is not None
    times = np.linspace(0, 50, study.data.trajectories.times)
    samples = tuple(np.zeros((2, 3)) for _ in times)
    observed = np.arange(len(times)) % study.data.observed_every == 0
    return Snapshots(times, observed, samples, samples, ("S", "I", "R"), 52)


def seconds(study: TimeStudy, **measured: Any) -> dict[str, float]:
    flows = {arm: FlowTimes({}, 0) for arm in study.flow.arms}
    for arm, settings in study.flow.arms.items():
        flows[arm] = FlowTimes({settings.objective: StretchTimes(0, 0)}, 0)
    nothing: dict[str, Any] = {
        "anchors": dict.fromkeys(study.anchors.kinds, 0.0),
        "pairing": 0.0,
        "flows": flows,
        "scores": NO_SCORES,
        "displacement": 0.0,
        "matching": None,
    }
    return estimate_time_seconds(study, snapshots_of(study), TimeStepTimes(**(nothing | measured)))


def test_anchors_take_their_steps_for_each_seed() -> None:
    once = {"independent": 1.0, "aligned": 1.0, "joint": 1.0, "bridged": 1.0}
    # 1000 steps, 3 seeds; the 11 snapshots of aligned anchors share the steps, of which each has 90.
    assert seconds(epidemic(), anchors=once) == {
        "independent anchors": 3000,
        "aligned anchors": 3 * 11 * 90,
        "joint anchors": 3000,
        "bridged anchors": 3000,
    }


def test_a_snapshot_left_out_is_everything_again_with_fewer_anchors() -> None:
    found = seconds(epidemic(leave_out=[3, 4]), anchors={"independent": 1, "aligned": 1, "joint": 1, "bridged": 1})
    assert found["joint anchors"] == pytest.approx(3000 * (1 + 2 * 10 / 11))
    assert found["aligned anchors"] == 3 * (11 * 90 + 2 * 10 * 100)
    assert found["bridged anchors"] == pytest.approx(3000 * (1 + 2 * 46 / 51))


def test_pairs_of_the_bridge() -> None:
    # Bridged anchors, and the arms cde and ode, but not paper; ten intervals, nine where a snapshot is left out.
    assert seconds(epidemic(), pairing=1) == {"transport": 3 * 3 * 10}
    assert seconds(epidemic(leave_out=[3]), pairing=1) == {"transport": 3 * 3 * (10 + 9)}


@pytest.mark.parametrize(("anchors", "longest"), [(51, 5), (11, 5), (3, 5)])
def test_stretches_are_as_long_as_those_drawn(anchors: int, longest: int) -> None:
    training = FlowTraining(steps=1, learning_rate=1, segments=8, longest=longest)
    drawn = [draw_stretches(anchors, training, Draws("cpu", seed)) for seed in range(4000)]
    alone = np.mean([length if len(first) == 1 else 0 for first, length in drawn])
    together = np.mean([length if len(first) == 8 else 0 for first, length in drawn])
    assert step_seconds(training, anchors, StretchTimes(1, 0)) == pytest.approx(alone, rel=0.06)
    assert step_seconds(training, anchors, StretchTimes(0, 1)) == pytest.approx(together, rel=0.06)


def test_flows() -> None:
    study = epidemic()
    config = study.model_dump(mode="json")
    config["flow"]["arms"] = {
        "snapshots": {"dynamics": "cde", "anchors": "joint", "bridged": False},
        "finer": {"dynamics": "ode", "anchors": "joint"},
        "both": {"dynamics": "ode", "anchors": "bridged", "objective": "both"},
    }
    study = parse_time_study(config)
    one, both = StretchTimes(0, 1), {"anchors": StretchTimes(0, 1), "likelihood": StretchTimes(0, 1)}
    flows = {name: FlowTimes({"likelihood": one}, 7) for name in ("snapshots", "finer")} | {"both": FlowTimes(both, 7)}
    found = seconds(study, flows=flows)
    short = 3 / 4 * 3  # three of four steps, with 1 to 5 anchors
    # 60 steps of the likelihood, five pieces to an interval where samples lie between; 200 steps towards the anchors;
    # an autoencoder for the controlled equation alone.
    assert found["flow snapshots"] == pytest.approx(3 * (60 * short + 7))
    assert found["flow finer"] == pytest.approx(3 * 60 * short * 5)
    assert found["flow both"] == pytest.approx(3 * (60 + 200) * short)


def test_evaluations() -> None:
    study = epidemic()
    # 10 later snapshots and 13 more of every seventh time; of 3 seeds 4 interpolations of 4 kinds of anchors and 3
    # arms; displacement interpolation and the sampling floor.
    sources = 3 * (4 * 4 + 3)
    assert seconds(study, scores=ScoreTimes(0, 0, 1, 0)) == {"evaluation": 23 * (sources + 2)}
    assert seconds(study, scores=ScoreTimes(0, 1, 0, 0)) == {"evaluation": 23 * sources}
    # All 100 later times, of one interpolation only.
    complete = 3 * (4 * 1 + 3)
    assert seconds(study, scores=ScoreTimes(0, 0, 0, 1)) == {"evaluation": 100 * (complete + 2)}
    assert seconds(study, scores=ScoreTimes(1, 0, 0, 0)) == {"evaluation": 100 * complete + 23 * (sources - complete)}
    assert seconds(study, displacement=1) == {"evaluation": 10}
    # Where every time is observed, nothing is displaced.
    config = study.model_dump(mode="json")
    config["data"]["observed_every"] = 1
    assert seconds(parse_time_study(config), displacement=1) == {}


def test_evaluations_where_a_snapshot_is_left_out() -> None:
    """At that one time, against held-out samples; displacement interpolates in the one interval around it."""
    before, after = epidemic(), epidemic(leave_out=[3])
    more = seconds(after, scores=ScoreTimes(0, 0, 1, 1))["evaluation"]
    assert more - seconds(before, scores=ScoreTimes(0, 0, 1, 1))["evaluation"] == 3 * (4 * 4 + 3) + 2
    assert seconds(after, displacement=1) == {"evaluation": 10 + 1}
    assert seconds(epidemic(leave_out=[3], displacement=False)) == {}


def test_flow_matching_is_trained_in_each_fold() -> None:
    study = epidemic(leave_out=[3])
    study = study.model_copy(update={"evaluation": study.evaluation.model_copy(update={"flow_matching": True})})
    assert seconds(study, matching=MatchingTimes(training=5, draw=0))["flow matching"] == 10
    # 100 later times and the one left out, half the way on average.
    assert seconds(study, matching=MatchingTimes(training=0, draw=2)) == {"evaluation": 101}


def test_the_stage_scores_the_same_interpolation_as_the_source() -> None:
    text = (ROOT / "weightcast" / "evolution" / "stages" / "evaluate_anchors.py").read_text(encoding="utf-8")
    assert f'SCORED_AS_SOURCE = "{SCORED_AS_SOURCE}"' in text


# --- what is measured, and on what


def test_arms_of_the_same_sizes_are_timed_once(quick: None) -> None:
    config = mini()
    arm = {"dynamics": "cde", "anchors": "bridged"}
    config["flow"]["arms"] = {"cde": arm, "ode": arm | {"dynamics": "ode"}, "wide": arm | {"settings": {"width": 12}}}
    study = parse_time_study(config)
    flows = measure_time_steps(study, example_samples(study)[0]).flows
    assert flows["cde"] is flows["ode"]
    assert flows["cde"] is not flows["wide"]


def test_example_samples_lie_where_simulated_ones_do() -> None:
    study = epidemic()
    assert study.data.states is not None
    examples, simulation = example_samples(study)
    real = simulated_snapshots(study.data, study.seed)
    assert simulation > 0
    assert examples.dimensions == real.dimensions
    assert (examples.observed == real.observed).all()
    assert (examples.train[0] == real.train[0]).all()  # the start is fixed
    for position in (20, 60, 100):
        for part in ("train", "held_out"):
            samples, expected = getattr(examples, part)[position], getattr(real, part)[position]
            assert samples.shape == expected.shape
            assert ((samples >= 0) & (samples < study.data.states) & (samples == np.round(samples))).all()
            # As sure as twenty trajectories are.
            error = np.abs(samples.mean(0) - expected.mean(0))
            assert (error < 4 * expected.std(0) / np.sqrt(20)).all()
            assert (np.abs(np.log(samples.std(0) / expected.std(0))) < np.log(2)).all()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until it is put forward."""
    now = [0.0]
    monkeypatch.setattr(timing.time, "process_time", lambda: now[0])
    return now


@pytest.mark.parametrize(("trajectories", "times_as_long"), [(20, 1), (500, 5), (1000, 50**0.5), (4000, 4 * 50**0.5)])
def test_simulations_grow_with_the_root_of_their_number_at_first(
    trajectories: int, times_as_long: float, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def simulate(process: object, times: np.ndarray, number: int, seed: int) -> np.ndarray:
        clock[0] += 1.0
        return np.zeros((number, len(times), 3), np.int64)

    monkeypatch.setattr("weightcast.evolution.commands.example_samples.simulate_jumps", simulate)
    config = mini()
    config["data"]["trajectories"] |= {"train": trajectories, "held_out": 20}
    assert example_samples(parse_time_study(config))[1] == pytest.approx(times_as_long + 1)


@pytest.mark.parametrize("step", [0.001, 0.02, 0.5])
def test_a_step_is_measured_without_what_is_done_once(step: float, clock: list[float]) -> None:
    trained: list[int] = []

    def train(steps: int) -> None:
        clock[0] += (1.0 if not trained else 0.3) + steps * step  # the first time takes longer
        trained.append(steps)

    assert timing.seconds_a_step(train) == pytest.approx(step)
    assert trained[:2] == [1, 1]


def test_a_long_step_is_not_repeated(clock: list[float]) -> None:
    trained: list[int] = []

    def train(steps: int) -> None:
        clock[0] += 3.0 * steps
        trained.append(steps)

    assert timing.seconds_a_step(train) == 3.0
    assert trained == [1]


def test_a_disturbed_step_is_no_free_step(clock: list[float]) -> None:
    """What the machine does in between may make one step longer than several."""
    taken = iter([0.1, 2.0, 0.2])

    def train(steps: int) -> None:
        clock[0] += next(taken)

    assert timing.seconds_a_step(train) > 0
