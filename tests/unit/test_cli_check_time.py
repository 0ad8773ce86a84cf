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
from blank_figures import leave_blank
from command_line import refused, run
from tiny_study import ROOT

from weightcast.cost import measure, rehearsal
from weightcast.cost.evolution import one_interval
from weightcast.cost.example_samples import example_samples
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.stages.simulate_snapshots import simulated_snapshots

MINI = ROOT / "tests" / "workflow" / "mini-time.yaml"
STAGES = {
    "simulate_snapshots", "train_anchors", "train_flow", "evaluate_anchors", "evaluate_flow", "evaluate_samples",
    "summarise_times", "show_distributions", "map_path", "write_time_report",
}  # fmt: skip


def mini(**sections: Any) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(MINI.read_text(encoding="utf-8"))
    return config | sections


def written(folder: Path, config: dict[str, Any]) -> Path:
    path = folder / "my.yaml"
    path.write_text(yaml.safe_dump(config), encoding="utf-8")
    return path


def costs(shown: str) -> dict[str, float]:
    """Minutes by stage; the whole by the name 'all'."""
    whole, _, *parts = shown[shown.index("\ncost ") :].splitlines()[1:]
    found = {"all": float(re.search(r"about ([\d.,]+) core-minutes on this machine", whole)[1])}  # type: ignore[index]
    return found | {part.split()[0]: float(minutes) for minutes, part in (line.split(maxsplit=1) for line in parts)}


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trainings are timed for a step, and what the report draws is left blank."""
    monkeypatch.setattr(rehearsal, "BUDGET", 0.0)
    leave_blank(monkeypatch)


# --- the command


def test_every_stage_has_its_cost(quick: None, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    threads = torch.get_num_threads()
    path = written(tmp_path, mini())
    shown, errors = run(capsys, "check", "--config", path)
    assert errors == ""
    assert "not forecast" not in shown
    assert set(costs(shown)) == {"all", "resolve_config", *STAGES}
    assert torch.get_num_threads() == threads
    assert gc.isenabled()


def test_no_timing(capsys: pytest.CaptureFixture[str]) -> None:
    shown, _ = run(capsys, "check", "--config", MINI, "--no-timing")
    assert "flows" in shown
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
    assert ("train_flow_matching" in costs(shown)) == matching
    assert "simulate_snapshots" not in costs(shown)
    assert "not forecast" not in shown


def epidemic() -> TimeStudy:
    return parse_time_study(yaml.safe_load((ROOT / "config" / "epidemic.yaml").read_text(encoding="utf-8")))


# --- what is measured, and on what


def test_one_interval_is_evaluated() -> None:
    snapshots = simulated_snapshots(parse_time_study(mini()).data, 0)
    interval = one_interval(snapshots)
    assert interval.observed.tolist() == [True, False, False, True]
    assert set(interval.times) < set(snapshots.times)


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


def test_example_samples_of_real_states_are_real() -> None:
    config = yaml.safe_load((ROOT / "config" / "ornstein-uhlenbeck.yaml").read_text(encoding="utf-8"))
    study = parse_time_study(config)
    examples, simulation = example_samples(study)
    real = simulated_snapshots(study.data, study.seed)
    assert simulation > 0 and examples.states is None
    for position in (0, 25, 50):
        samples, expected = examples.train[position], real.train[position]
        assert samples.shape == expected.shape
        assert (samples != np.round(samples)).all()
        assert (np.abs(samples.mean(0) - expected.mean(0)) < 4 * expected.std(0) / np.sqrt(20)).all()


@pytest.mark.parametrize("name", ["birth-death", "ornstein-uhlenbeck"])
def test_ready_studies_with_exact_laws_are_in_order(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    shown, errors = run(capsys, "check", "--config", ROOT / "config" / f"{name}.yaml", "--no-timing")
    assert "is in order" in shown and errors == ""


def test_a_simulators_setting_out_of_bounds_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = mini()
    config["data"]["settings"] = {"recovery": -1}
    path = written(tmp_path, config)
    expected = (f"{path}: data: settings of epidemic: recovery: found -1, expected a finite number above 0",)
    refused(capsys, "check", "--config", path, "--no-timing", words=expected)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """A clock that stands still until it is put forward."""
    now = [0.0]
    monkeypatch.setattr(measure.time, "process_time", lambda: now[0])
    return now


@pytest.mark.parametrize(("trajectories", "times_as_long"), [(20, 1), (500, 5), (1000, 50**0.5), (4000, 4 * 50**0.5)])
def test_simulations_grow_with_the_root_of_their_number_at_first(
    trajectories: int, times_as_long: float, clock: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    def simulate(process: object, times: np.ndarray, number: int, seed: int) -> np.ndarray:
        clock[0] += 1.0
        return np.zeros((number, len(times), 3), np.int64)

    monkeypatch.setattr("weightcast.cost.example_samples.simulate", simulate)
    config = mini()
    config["data"]["trajectories"] |= {"train": trajectories, "held_out": 20}
    assert example_samples(parse_time_study(config))[1] == pytest.approx(times_as_long + 1)
