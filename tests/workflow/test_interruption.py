"""kill -9 in the middle of a training: the rerun goes on where it was and ends in the same weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import yaml
from checkout import Checkout, copy_repository

from weightcast.core.artifact_header import read_metadata
from weightcast.core.artifacts import load_artifact
from weightcast.core.job import Job


def kill_in_the_middle(checkout: Checkout, command: Sequence[str], states: Path) -> list[Path]:
    """Start a command, kill it and all that it started once a training has saved its state; the files of states."""
    environment = checkout.environment | {"OMP_NUM_THREADS": "1"}
    started = subprocess.Popen(
        command, cwd=checkout.folder, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    deadline = time.monotonic() + 120
    while not list(states.glob("[!.]*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.02)
    os.killpg(started.pid, signal.SIGKILL)
    started.wait()
    return list(states.glob("[!.]*.safetensors"))


def test_a_killed_training_goes_on_where_it_was(finished, tmp_path):
    config = yaml.safe_load((finished.folder / "tests/workflow/mini.yaml").read_text())
    settings = {
        "environments": [
            {"id": name, "role": "visible", "parameters": {"beta": beta, "D": 0.5}}
            for name, beta in (("middle", 1.0), ("between", 0.8))
        ],
        "data": config["data"],
        "predictor": config["predictor"],
        "weight_map": {"kind": "film", "width": 8},
        "condition": "parameters",
        "training": config["base"]["conditioned"] | {"steps": 400},
        "logarithmic_parameters": [],
        "seed": config["seed"],
    }

    def command(name: str) -> list[str]:
        job = Job(
            stage="train_base", settings=settings, inputs={"trajectories": "data/mini/trajectories"},
            outputs={"output": str(tmp_path / f"{name}.safetensors")}, state=str(tmp_path / name),
        )  # fmt: skip
        return [sys.executable, "scripts/run_stage.py", job.to_json()]

    finished.run(*command("whole"))
    (state,) = kill_in_the_middle(finished, command("killed"), tmp_path / "killed")
    assert not (tmp_path / "killed.safetensors").exists()
    step = read_metadata(state)["step"]
    assert 0 < step < 400
    finished.run(*command("killed"))

    whole, resumed = (load_artifact(tmp_path / f"{name}.safetensors") for name in ("whole", "killed"))
    assert resumed.tensors_digest == whole.tensors_digest
    assert not list((tmp_path / "killed").glob("[!.]*"))  # nothing is left behind


def test_a_run_that_is_killed_ends_in_the_weights_of_an_undisturbed_one(finished, tmp_path):
    """So do the same configuration and seed, whatever of the rerun the kill did not touch."""
    again = copy_repository(tmp_path)
    results, undisturbed = again.folder / "results/mini", finished.folder / "results/mini"
    command = again.snakemake_command("--until", "gather_zoo")
    states = kill_in_the_middle(again, command, results / ".state/training")
    assert not (results / "base/conditioned.safetensors").exists()
    assert any(0 < read_metadata(state)["step"] < 100 for state in states)
    again.run(*command, "--unlock")
    again.run(*command)

    for name in ("base/conditioned", "base/erm", "zoo/conditioned", "zoo/erm"):
        one, other = (load_artifact(folder / f"{name}.safetensors") for folder in (undisturbed, results))
        assert one.tensors_digest == other.tensors_digest
    assert not list((results / ".state/training").glob("[!.]*"))
