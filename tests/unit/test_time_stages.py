"""Stages of a study across time: what each is told, where it computes, and what a kill leaves behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import yaml
from refusals import refused
from tiny_flows import DENSITY, EVEN, SHORT, anchors, arm, settings, snapshots_of
from tiny_time_study import CONFIG

from weightcast.core.artifact_header import read_metadata
from weightcast.core.artifacts import load_artifact
from weightcast.core.config.training import TrainingSettings
from weightcast.core.job import Job
from weightcast.core.kept_study import keep_study
from weightcast.core.run import Run
from weightcast.core.training import Resume
from weightcast.evolution.config.anchors import AnchorSettings, BridgeSettings
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.config.flow import ControlPathSettings
from weightcast.evolution.config.load import parse_time_study
from weightcast.evolution.control_path import encode_anchors
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.jobs import JOBS, STAGES, TimePlan
from weightcast.evolution.memory import memory_mb
from weightcast.evolution.stages.train_anchors import fit_anchors
from weightcast.evolution.stages.train_flow import bridge_of, fit_flow, new_flow
from weightcast.evolution.state_space import Reals
from weightcast.runner import find_stage, run_job
from weightcast.samples.snapshots import Snapshots

ROOT = Path(__file__).parents[2]
WILDCARDS = {"fold": "all", "anchors": "aligned", "arm": "published", "seed": "0"}
"""Of a job of each stage; a stage takes those that its rule has."""
TAKEN = {
    "train_anchors": ("fold", "anchors", "seed"),
    "evaluate_anchors": ("fold", "anchors", "seed"),
    "train_flow": ("fold", "arm", "seed"),
    "evaluate_flow": ("fold", "arm", "seed"),
    "train_flow_matching": ("fold",),
    "evaluate_samples": ("fold",),
}


def plan(**changes: Any) -> TimePlan:
    """The tiny study with sections changed: ``anchors={"kinds": [...]}``."""
    sections = {name: CONFIG[name] | new for name, new in changes.items() if isinstance(CONFIG.get(name), dict)}
    config = CONFIG | changes | sections
    return TimePlan(parse_time_study(config))


def told(of: TimePlan, stage: str, **changes: str) -> str:
    """Digest of what a job is told."""
    wildcards = WILDCARDS | changes
    kind: Any = JOBS[stage]
    return kind.of(of, **{name: wildcards[name] for name in TAKEN.get(stage, ())}).digest


def changed_by(**changes: Any) -> set[str]:
    """Stages whose job is told something else after a change of the configuration."""
    return {stage for stage in JOBS if told(plan(), stage) != told(plan(**changes), stage)} - {"resolve_time_config"}


# --- what they are told ---


def test_every_stage_is_in_the_module_of_its_name():
    for name in JOBS:
        stage = find_stage(name)
        assert stage.name == name
        assert stage.function.__module__ == f"{STAGES}.{name}"


def test_a_stage_is_told_what_it_uses_and_no_more():
    sections = CONFIG["anchors"], CONFIG["flow"]
    anchor_training, energy = sections[0]["training"] | {"steps": 41}, {"energy": 0.5}
    other_arm = sections[1]["arms"]["ode"] | {"settings": {"width": 12}}
    assert changed_by(anchors={"kinds": ["bridged", "aligned", "joint"]}) == set()
    assert changed_by(anchors={"training": anchor_training}) == {"train_anchors"}
    assert changed_by(anchors={"bridge": {"per_interval": 3}}) == {"train_anchors", "train_flow"}
    assert changed_by(density={"hidden": 6}) == {"train_anchors"}
    assert changed_by(flow=energy) == {"train_flow"}
    assert changed_by(flow={"seeds": [0, 1, 2]}) == set()
    assert changed_by(flow={"arms": sections[1]["arms"] | {"ode": other_arm}}) == set()
    assert changed_by(flow={"arms": sections[1]["arms"] | {"published": other_arm}}) == {"train_flow"}
    assert changed_by(evaluation={"bootstrap": 200}) == {"summarise_times"}
    assert changed_by(evaluation={"interpolations": ["linear"]}) == {"evaluate_anchors", "summarise_times"}
    assert changed_by(evaluation={"leave_out": []}) == set()
    assert changed_by(evaluation={"displacement": False}) == {"evaluate_samples"}
    assert changed_by(evaluation={"every": 2}) == {"evaluate_anchors", "evaluate_flow", "evaluate_samples"}
    assert changed_by(device="cpu", acceleration={"tf32": True}) == set()


def test_seeds_arms_and_kinds_tell_jobs_apart():
    assert told(plan(), "train_anchors", anchors="bridged") != told(plan(), "train_anchors")
    assert told(plan(), "train_anchors", fold="without-1") != told(plan(), "train_anchors")
    assert told(plan(flow={"seeds": [0, 1]}), "train_flow", seed="1") != told(plan(), "train_flow")
    assert told(plan(), "train_flow", arm="ode") != told(plan(), "train_flow")


def test_memory_grows_with_the_study():
    small, wide = plan(), plan(flow={"width": 64, "layers": 6})
    finer = plan(anchors={"bridge": {"per_interval": 200}})
    for stage in JOBS:
        assert 500 < memory_mb(stage, small, WILDCARDS) < 2000
    ode = WILDCARDS | {"arm": "ode", "anchors": "bridged"}
    assert memory_mb("train_flow", wide, ode) > memory_mb("train_flow", small, ode)
    assert memory_mb("train_anchors", finer, ode) > memory_mb("train_anchors", small, ode)


# --- where they compute ---


ELSEWHERE = torch.device("meta")
"""Where torch makes what is given no device in these tests: no tensor there may be mixed with another's."""
CPU = torch.device("cpu")


class StrictRun(Run):
    """A run whose steps may make no tensor without saying where."""

    def fit(self, parameters, loss, settings, **arguments):
        def strict(step: int) -> torch.Tensor:
            with ELSEWHERE:
                return loss(step)

        return super().fit(parameters, strict, settings, **arguments)


def test_a_strict_run_notices_a_tensor_without_a_device():
    weights = torch.zeros(2, requires_grad=True)
    training = TrainingSettings(steps=1, learning_rate=0.1)
    with pytest.raises((RuntimeError, NotImplementedError)):
        StrictRun().fit([weights], lambda _: (weights * torch.ones(2)).sum(), training, name="careless")
    StrictRun().fit([weights], lambda _: (weights * torch.ones(2, device=CPU)).sum(), training, name="careful")


@pytest.mark.parametrize("kind", ["independent", "aligned", "joint", "bridged"])
def test_no_step_of_anchors_makes_a_tensor_without_a_device(kind):
    chosen = AnchorSettings.model_validate(
        {"training": {"steps": 6, "learning_rate": 0.01, "batch": 8}, "bridge": {"per_interval": 2}}
    )
    found = fit_anchors(StrictRun(), kind, DENSITY, EVEN, snapshots_of().train, chosen, seed=0)
    assert found.weights.isfinite().all()


@pytest.mark.parametrize("objective", ["anchors", "likelihood"])
@pytest.mark.parametrize("dynamics", ["ode", "cde"])
def test_no_step_of_a_flow_makes_a_tensor_without_a_device(dynamics, objective):
    of, snapshots = anchors(), snapshots_of()
    run, coded = StrictRun(), {"kind": "autoencoder", "dimensions": 2, "steps": 3}
    chosen = settings(
        anchor_training=SHORT | {"steps": 6}, likelihood_training=SHORT | {"steps": 6}, control_path=coded
    )
    flow = new_flow(run, of, arm(dynamics), chosen, seed=1)
    bridge = bridge_of(snapshots, snapshots.observed_train, of, arm(), BridgeSettings(per_interval=2), seed=0)
    fit_flow(run, flow, of, bridge, objective, chosen, seed=0)
    assert ("autoencoder" in run.curves) == (dynamics == "cde")
    with ELSEWHERE:
        path = flow.path(torch.tensor([0.2, 1.4], device=CPU))
    assert path.isfinite().all()


@pytest.mark.parametrize("backbone", ["gru", "transformer"])
@pytest.mark.parametrize("space", [DENSITY.space, Reals((0.0, 1.0), (1.0, 2.0), 3)], ids=["counts", "real"])
def test_no_draw_of_a_density_makes_a_tensor_without_a_device(backbone, space):
    density = StackedDensity.new(DensitySettings(backbone=backbone, hidden=4), space, 0)
    weights = torch.stack([density.initial_weights(seed) for seed in range(3)])
    with ELSEWHERE:
        drawn = density.sample(weights, 5, seed=0)
        assert density.log_prob(weights, drawn).isfinite().all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no GPU")
def test_a_gpu_agrees_with_the_cpu_within_rounding():
    snapshots = snapshots_of()
    chosen = AnchorSettings.model_validate({"training": {"steps": 20, "learning_rate": 0.01, "batch": 8}})
    weights = [
        fit_anchors(Run(device=torch.device(name)), "bridged", DENSITY, EVEN, snapshots.train, chosen, seed=0).weights
        for name in ("cpu", "cuda")
    ]
    torch.testing.assert_close(*weights, atol=1e-3, rtol=1e-3)
    of = anchors()
    codes = [
        encode_anchors(Run(device=torch.device(name)), of.weights, ControlPathSettings(kind="autoencoder", steps=5), 0)
        for name in ("cpu", "cuda")
    ]
    torch.testing.assert_close(codes[0], codes[1].cpu(), atol=1e-3, rtol=1e-3)
    drawn = [DENSITY.sample(of.weights.to(name), 50, 0).cpu() for name in ("cpu", "cuda")]
    assert float((drawn[0] == drawn[1]).double().mean()) > 0.99


# --- baselines that learn ---


def test_flow_matching_goes_on_after_an_interruption_and_survives_its_artifact(tmp_path, monkeypatch):
    pytest.importorskip("torchcfm")
    from weightcast.evolution.baselines.flow_matching import FlowMatching, VectorField, match_flow

    monkeypatch.setattr("weightcast.core.training.SAVE_EVERY_SECONDS", 0.0)
    random = np.random.default_rng(0)
    samples = [random.normal(mean, 1, (60, 2)) for mean in (0, 3)]
    whole = match_flow(Run(), [0, 1], samples, seed=0, steps=12, batch=16)
    forward, steps = VectorField.forward, []

    def interrupted(self, moment, place):
        steps.append(moment)
        if len(steps) == 8:
            raise InterruptedError
        return forward(self, moment, place)

    monkeypatch.setattr(VectorField, "forward", interrupted)
    run = Run(resume=Resume(tmp_path / "state", "0" * 64))
    with pytest.raises(InterruptedError):
        match_flow(run, [0, 1], samples, seed=0, steps=12, batch=16)
    again = match_flow(run, [0, 1], samples, seed=0, steps=12, batch=16)
    assert len(steps) == 8 + 5  # of twelve steps seven were done
    assert all(torch.equal(*pair) for pair in zip(again.field.parameters(), whole.field.parameters(), strict=True))

    again.save(tmp_path / "matching.safetensors")
    read = FlowMatching.load(tmp_path / "matching.safetensors")
    drawn = [one.sample(samples[0], 0.7, 20, seed=1) for one in (again, read)]
    assert np.array_equal(*drawn)
    assert read.seconds == again.seconds > 0


def test_flow_matching_is_trained_scored_and_counted(tmp_path):
    pytest.importorskip("torchcfm")
    random = np.random.default_rng(0)
    parts = [tuple(random.normal(mean, 1, (30, 2)) for mean in (0, 3)) for _ in range(2)]
    snapshots = Snapshots(np.array([0.0, 1.0]), np.array([True, True]), *parts, ("a", "b"), None)
    snapshots.save(tmp_path / "snapshots.nc")
    matching, scores = str(tmp_path / "matching/all/flow-matching.safetensors"), str(tmp_path / "samples.csv")
    inputs = {"snapshots": str(tmp_path / "snapshots.nc")}
    run_job(Job("train_flow_matching", inputs=inputs, outputs={"output": matching},
                settings={"fold": "all", "seed": 0}).to_json())  # fmt: skip
    run_job(Job("evaluate_samples", inputs=inputs | {"flow_matching": matching}, outputs={"output": scores},
                settings={"study": "s", "fold": "all", "seed": 0,
                          "evaluation": {"samples": 30, "flow_matching": True}}).to_json())  # fmt: skip
    assert "flow-matching" in Path(scores).read_text()
    tables = {name: str(tmp_path / f"{name}.csv") for name in ("metrics", "summary", "costs", "methods", "curves")}
    run_job(Job("summarise_times", inputs={"evaluations": [scores], "flow_matching": [matching]}, outputs=tables,
                settings={"interpolations": [], "bootstrap": 100}).to_json())  # fmt: skip
    rows = [line.split(",") for line in Path(tables["methods"]).read_text().splitlines()]
    (found,) = [row for row in rows if row[0] == "flow-matching"]
    metadata = read_metadata(matching)
    assert float(found[1]) == metadata["numbers"] > 1000
    assert float(found[2]) == pytest.approx(metadata["seconds"])
    assert float(found[2]) > 0


# --- interruption ---


def test_killed_aligned_anchors_go_on_where_they_were_and_end_in_the_same_weights(tmp_path):
    """kill -9 in the training of the third of five anchors, then the same job again."""
    snapshots_of().save(tmp_path / "snapshots.nc")
    training = {"kinds": ["aligned"], "training": {"steps": 500, "learning_rate": 0.01, "batch": 32}}
    environment = os.environ | {"WEIGHTCAST_SAVE_SECONDS": "0", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(ROOT)}

    def command(name: str) -> list[str]:
        job = Job(
            "train_anchors",
            inputs={"snapshots": str(tmp_path / "snapshots.nc")},
            outputs={"output": str(tmp_path / f"{name}.safetensors")},
            settings={"fold": "all", "density": {"hidden": 3}, "anchors": training, "seed": 1, "anchors_seed": 0},
            state=str(tmp_path / name),
        )
        return [sys.executable, str(ROOT / "scripts" / "run_stage.py"), job.to_json()]

    def states() -> list[Path]:
        return list((tmp_path / "killed").glob("[!.]*.safetensors"))

    subprocess.run(command("whole"), env=environment, check=True, capture_output=True)
    killed = subprocess.Popen(command("killed"), env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while len(states()) < 3 and killed.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "killed.safetensors").exists()
    steps = sorted(read_metadata(state)["step"] for state in states())
    assert len(steps) >= 3
    assert steps[-2:] == [100, 100]
    done = subprocess.run(command("killed"), env=environment, check=True, capture_output=True, text=True)
    assert "aligned anchor 0: 100%" in done.stderr

    whole, resumed = (load_artifact(tmp_path / f"{name}.safetensors") for name in ("whole", "killed"))
    assert resumed.tensors_digest == whole.tensors_digest
    assert set(resumed.metadata["curves"]) == {f"aligned anchor {position}" for position in range(5)}
    assert resumed.metadata["config_digest"] == whole.metadata["config_digest"]
    assert not states()


def test_the_configuration_is_written_as_it_was_used(tmp_path):
    content = plan().study.model_dump(mode="json")
    out = tmp_path / "config.yaml"
    run_job(Job("resolve_time_config", outputs={"output": str(out)}, settings={"config": content}).to_json())
    assert yaml.safe_load(out.read_text()) == content
    assert list(yaml.safe_load(out.read_text())) == list(content)


def test_a_job_whose_input_is_missing_is_refused_in_one_line(tmp_path):
    job = Job(
        "train_flow_matching",
        inputs={"snapshots": str(tmp_path / "none.nc")},
        outputs={"output": str(tmp_path / "out.safetensors")},
        settings={"fold": "all", "seed": 0},
    )
    with refused(tmp_path / "none.nc", "found no such file, expected snapshots"):
        run_job(job.to_json())


def test_a_study_is_kept_under_a_name_of_its_content(tmp_path):
    first, again = (keep_study(tmp_path, plan().study) for _ in range(2))
    assert first == again
    assert yaml.safe_load(first.read_text()) == plan().study.model_dump(mode="json")
    assert keep_study(tmp_path, plan(seed=3).study) != first
