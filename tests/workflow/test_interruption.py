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
    """Start a command, kill it and all that it started once a training has saved its state, which they do after every
    step; the files of states."""
    environment = checkout.environment | {"OMP_NUM_THREADS": "1", "WEIGHTCAST_SAVE_SECONDS": "0"}
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
    again.snakemake("simulate")  # jobs that nothing is killed in start warm
    command = again.snakemake_command("--until", "gather_zoo")
    states = kill_in_the_middle(again, command, results / ".state/training")
    assert not (results / "base/conditioned.safetensors").exists()
    assert any(0 < read_metadata(state)["step"] < 100 for state in states)
    done = again.run(*command)  # the same, and nothing in between
    assert "weightcast: the run before was killed: this one goes on where it was" in done.stderr

    for name in ("base/conditioned", "base/erm", "zoo/conditioned", "zoo/erm"):
        one, other = (load_artifact(folder / f"{name}.safetensors") for folder in (undisturbed, results))
        assert one.tensors_digest == other.tensors_digest
    assert not list((results / ".state/training").glob("[!.]*"))
    assert not list(again.folder.rglob(".*.partial"))


def test_of_two_runs_in_one_folder_the_second_says_so_in_a_line_and_touches_nothing(tmp_path):
    checkout = copy_repository(tmp_path)
    command = checkout.snakemake_command("--until", "simulate_environments")
    first = subprocess.Popen(
        command, cwd=checkout.folder, env=checkout.environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + 120
        while not list((checkout.folder / ".snakemake/locks").glob("*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        os.killpg(first.pid, signal.SIGSTOP)  # so that it is at work for as long as the second one looks
        before = {path: path.stat().st_mtime_ns for path in (checkout.folder / "data").rglob("*")}
        second = checkout.run(*command, ok=False)
        beside = checkout.run(*command, "-n", "--quiet", "rules")  # to look is no work
        assert {path: path.stat().st_mtime_ns for path in (checkout.folder / "data").rglob("*")} == before
    finally:
        os.killpg(first.pid, signal.SIGKILL)
        first.wait()
    said = [line for line in second.stderr.splitlines() if line.startswith("weightcast")]
    assert second.returncode == 1 and "Traceback" not in second.stderr and "--unlock" not in second.stderr
    assert len(said) == 1 and "another run is at work" in said[0] and f"process {first.pid} on" in said[0]
    assert "dry-run" in beside.stdout + beside.stderr


def test_a_home_that_cannot_be_written_is_no_hindrance(tmp_path):
    checkout = copy_repository(tmp_path)
    (tmp_path / "file").touch()
    environment = checkout.environment | {"HOME": str(tmp_path / "file")}
    environment.pop("XDG_CACHE_HOME", None)
    command = checkout.snakemake_command("-n")
    done = subprocess.run(command, cwd=checkout.folder, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert f"weightcast: {tmp_path / 'file'}/.cache/snakemake cannot be written" in done.stderr
