"""Stages whose trainings several processes share: two of them against one, on the tiny study."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from refusals import refused
from several_processes import side_by_side
from tiny_chain import Chain, tiny_plan
from tiny_study import ROOT, tiny_config

from weightcast.core.artifact_header import read_metadata
from weightcast.core.artifacts import Artifact, load_artifact
from weightcast.core.job import Job
from weightcast.core.kept_study import keep_study
from weightcast.core.processes import Processes
from weightcast.core.run import Run
from weightcast.environments.config.acceleration import SharedAcceleration
from weightcast.environments.config.load import parse_study
from weightcast.environments.jobs import JOBS, Plan, TrainExperts
from weightcast.environments.zoo import ExpertShard
from weightcast.runner import count_processes, find_stage, run_job
from weightcast.studies import load_plan

STEPS = 12
ARM = {"arm": "conditioned", "seed": "0"}
SHARED = {
    "train_experts": ({"base": "conditioned", "shard": "visible-000"}, "experts/conditioned-visible"),
    "train_vae": (ARM, "vae/conditioned-0"),
    "train_diffusion": (ARM, "diffusion/conditioned-0"),
    "tune_generator": (ARM, "end-to-end/conditioned-0"),
}
"""Wildcards and output of each stage that processes can share."""
CURVES = {"rtol": 2e-4, "atol": 0.0}
"""Of losses and validation errors, which an artifact has with four digits."""


def longer(config: dict[str, Any]) -> None:
    """Trainings of a dozen steps, with everything in a loss that is drawn for its rows."""
    generator = config["generator"]
    generator["vae"] |= {"batch": 5, "balanced": False}
    generator["diffusion"] |= {"batch": 7, "parameter_noise": 0.1, "condition_dropout": 0.3, "left_out": 0.3}
    generator["diffusion"]["relative_to"] = "mean"
    generator["end_to_end"] |= {"samples": 2, "environments": 8}  # of which there are three
    config["data"]["start_share"] = 0.3
    config["zoo"]["training"]["steps"] = STEPS
    for name in ("vae", "diffusion", "end_to_end"):
        generator[name]["training"] |= {"steps": STEPS, "average": 0.9}


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    """The tiny study as one process trains it."""
    folder = tmp_path_factory.mktemp("one")
    chain = Chain(tiny_plan(folder, longer), folder)
    chain.run("train_base", "base/conditioned.safetensors", chain.inputs_of("train_base"), base="conditioned")
    for stage, (of, output) in SHARED.items():
        chain.run(stage, f"{output}.safetensors", chain.inputs_of(stage), **of)
        if stage == "train_experts":
            shards = {"shards": [folder / f"results/{output}.safetensors"]}
            chain.run("gather_zoo", "zoo/conditioned.safetensors", shards, base="conditioned", part="zoo")
    return chain


def train_shared(processes: Processes, config: Path, folder: Path, output: Path) -> None:
    """Each stage from the files of one process; the first one writes what it returns."""
    chain = Chain(load_plan(config), folder, run_of=lambda **told: Run(processes=processes, **told))
    for stage, (of, _) in SHARED.items():
        made = chain.call(stage, chain.inputs_of(stage), **of)
        assert (made is None) == (stage == "train_experts" and not processes.leads)
        if processes.leads:
            made.save(output / f"{stage}.safetensors")


@pytest.fixture(scope="module")
def shared(chain: Chain, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same stages as two processes run them together."""
    folder = tmp_path_factory.mktemp("two")
    config = keep_study(folder, chain.plan.study, chain.plan.table)
    assert side_by_side(train_shared, config, chain.folder, folder) == [0, 0]
    return folder


def both(chain: Chain, shared: Path, stage: str) -> tuple[Artifact, Artifact]:
    return (
        load_artifact(chain.folder / f"results/{SHARED[stage][1]}.safetensors"),
        load_artifact(shared / f"{stage}.safetensors"),
    )


def tensors_of(artifact: Artifact) -> dict[str, torch.Tensor]:
    """An artifact's tensors; of a manifest of experts, those of its files."""
    if artifact.kind == ExpertShard.kind:
        return {"weights": ExpertShard.from_artifact(artifact).weights[:]}
    return artifact.tensors


def curves_of(artifact: Artifact) -> Iterator[tuple[str, torch.Tensor]]:
    for name, curve in artifact.metadata["curves"].items():
        for part in ("training", "validation"):
            yield f"{name}: {part}", torch.tensor(curve[part])


@pytest.mark.parametrize("stage", SHARED)
def test_two_processes_agree_with_one(stage: str, chain: Chain, shared: Path) -> None:
    one, two = both(chain, shared, stage)
    for (name, expected), (_, found) in zip(curves_of(one), curves_of(two), strict=True):
        torch.testing.assert_close(found, expected, **CURVES, msg=name)
    expected_tensors, found_tensors = tensors_of(one), tensors_of(two)
    assert expected_tensors.keys() == found_tensors.keys()
    for name, expected in expected_tensors.items():
        # The key's share of an attention's bias changes no attention: its gradient is rounding, of which AdamW makes
        # steps as long as of any other.
        free = len(expected) // 3 if name.endswith("qkv.bias") else 0
        kept = torch.ones(len(expected) if expected.ndim else 1, dtype=torch.bool)
        kept[free : 2 * free] = False
        found = found_tensors[name].reshape(kept.shape[0], -1)[kept]
        torch.testing.assert_close(found, expected.reshape(kept.shape[0], -1)[kept], rtol=1e-4, atol=2e-5, msg=name)


def test_a_training_that_is_shared_moved_the_weights(chain: Chain, shared: Path) -> None:
    """A guard of the comparison itself: a step in the wrong direction would show."""
    before, after = both(chain, shared, "train_diffusion")[0], both(chain, shared, "tune_generator")[1]
    moved = {name: (after.tensors[name] - before.tensors[name]).abs().max() for name in before.tensors}
    assert max(moved.values()) > 1e-3 and sum(float(one) > 1e-4 for one in moved.values()) > 10


def test_experts_are_told_apart_as_by_one_process(chain: Chain, shared: Path) -> None:
    one, two = both(chain, shared, "train_experts")
    for entry, other in zip(one.metadata["manifest"], two.metadata["manifest"], strict=True):
        same = ("environment", "member", "seed", "diverged", "data_digest")
        assert {key: entry[key] for key in same} == {key: other[key] for key in same}
        assert other["train_error"] == pytest.approx(entry["train_error"], rel=1e-4)
        assert other["validation_error"] == pytest.approx(entry["validation_error"], rel=1e-4)


def train_one_expert(processes: Processes, config: Path, folder: Path, output: Path) -> None:
    """What is left of a shard, with less members than processes."""
    settings = TrainExperts.of(load_plan(config), "conditioned", "visible-000")
    settings = settings.model_copy(update={"environments": settings.environments[:1], "members": 1})
    inputs = {"base": folder / "results/base/conditioned.safetensors", "trajectories": folder / "trajectories"}
    stage = find_stage("train_experts")
    made = stage(Run(processes=processes), settings, **stage.load({name: str(path) for name, path in inputs.items()}))
    assert (made is None) == (not processes.leads)
    if processes.leads:
        made.save(output / "one.safetensors")


def test_a_single_expert_is_trained_by_the_first_process(chain: Chain, shared: Path, tmp_path: Path) -> None:
    (config,) = shared.glob("*/config.yaml")
    assert side_by_side(train_one_expert, config, chain.folder, tmp_path) == [0, 0]
    (_, two), found = both(chain, shared, "train_experts"), load_artifact(tmp_path / "one.safetensors")
    torch.testing.assert_close(tensors_of(found)["weights"][0], tensors_of(two)["weights"][0], rtol=1e-5, atol=1e-6)


# --- how many


@pytest.mark.parametrize("found", [0, "many", 2.5, None, True, 1025])
def test_what_is_no_number_of_processes_is_refused_in_one_line(found: Any, tmp_path: Path) -> None:
    config = tiny_config(tmp_path) | {"acceleration": {"expert_processes": found}}
    with refused(f"acceleration.expert_processes: found {found!r}", "a number from 1 to 1024, or 'auto'"):
        parse_study(config)


def test_stages_are_told_nothing_of_the_number_of_processes(chain: Chain) -> None:
    study = chain.plan.study
    several = study.model_copy(update={"acceleration": SharedAcceleration(processes=4, expert_processes="auto")})
    assert several.acceleration.processes_of("train_vae") == several.acceleration.processes_of("tune_generator") == 4
    assert several.acceleration.processes_of("train_experts") == "auto"
    for stage, (of, _) in SHARED.items():
        told, before = (JOBS[stage].of(plan, **of) for plan in (Plan(several, chain.plan.table), chain.plan))
        assert told.digest == before.digest


# --- through the script that every job runs


def vae_job(chain: Chain, folder: Path, steps: int) -> Job:
    settings = JOBS["train_vae"].of(chain.plan, **ARM).model_dump(mode="json")
    settings["vae"]["training"]["steps"] = steps
    inputs = {name: str(path) for name, path in chain.inputs_of("train_vae").items()}
    outputs = {"output": str(folder / "vae.safetensors")}
    return Job("train_vae", settings=settings, inputs=inputs, outputs=outputs, state=str(folder / "state"))


def run_stage(job: Job, *arguments: str) -> subprocess.Popen[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT), "WEIGHTCAST_SAVE_SECONDS": "0", "OMP_NUM_THREADS": "2"}
    command = [sys.executable, str(ROOT / "scripts/run_stage.py"), job.to_json(), *arguments]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=environment)


def test_a_job_of_two_processes_saves_when_it_is_asked_to_end_and_one_goes_on(chain: Chain, tmp_path: Path) -> None:
    steps = 100
    job = vae_job(chain, tmp_path / "parts", steps)
    started = run_stage(job, "--processes", "2")
    deadline = time.monotonic() + 120
    while not list((tmp_path / "parts").glob("state/[!.]*")) and time.monotonic() < deadline:
        time.sleep(0.01)
    started.send_signal(signal.SIGTERM)
    said, _ = started.communicate(timeout=120)
    assert started.returncode == 143, said
    first, *further = said.replace("\r", "\n").splitlines()
    assert json.loads(first.removeprefix("job: ")) == json.loads(job.to_json())
    last = [line for line in further if not line.startswith("vae: ") and line]
    assert len(last) == 1 and last[0].startswith("weightcast: stopped in vae after "), said
    (state,) = (tmp_path / "parts/state").iterdir()
    assert 0 < read_metadata(state)["step"] < steps
    assert not (tmp_path / "parts/vae.safetensors").exists()

    run_job(job.to_json())
    assert sorted(path.name for path in (tmp_path / "parts").rglob("*")) == ["state", "vae.safetensors"]
    run_job(vae_job(chain, tmp_path / "whole", steps).to_json())
    parts, whole = (load_artifact(tmp_path / name / "vae.safetensors") for name in ("parts", "whole"))
    for (name, found), (_, expected) in zip(curves_of(parts), curves_of(whole), strict=True):
        torch.testing.assert_close(
            found, expected, rtol=2e-3, atol=0.0, msg=lambda words, name=name: f"{name}: {words}"
        )


def test_what_cannot_be_shared_is_refused_before_anything_is_started(chain: Chain, tmp_path: Path) -> None:
    job, zoo = vae_job(chain, tmp_path, 5), {"shards": ["x"]}
    gather = Job("gather_zoo", settings={"environments": ["low"]}, inputs=zoo, outputs=job.outputs)
    for asked, count, words in (
        (job, "6", "job train_vae: --processes: found 6, expected at most 5"),
        (gather, "2", "job gather_zoo: --processes: found 2, expected at most 1: this stage cannot be shared"),
    ):
        started = run_stage(asked, "--processes", count)
        said, _ = started.communicate(timeout=120)
        assert started.returncode == 1 and said.splitlines()[1].startswith(f"weightcast: error: {words}"), said
        assert len(said.splitlines()) == 2
    assert count_processes(job.to_json(), "auto", "cpu") == count_processes(job.to_json(), 1) == 1


def test_auto_is_a_process_for_each_gpu_as_far_as_a_step_has_rows(
    chain: Chain, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    job = vae_job(chain, tmp_path, 5).to_json()
    for gpus, expected in ((1, 1), (4, 4), (8, 5)):
        monkeypatch.setattr(torch.cuda, "device_count", lambda gpus=gpus: gpus)
        assert count_processes(job, "auto", "auto") == expected
    assert count_processes(job, "auto", "cuda:1") == 1
