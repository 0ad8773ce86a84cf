"""A process that is asked to end, in a training and elsewhere; a folder that one run holds."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import torch

from weightcast.core.artifact_header import read_metadata
from weightcast.core.artifacts import load_artifact
from weightcast.core.config.training import TrainingSettings
from weightcast.core.run import Run
from weightcast.core.run_lock import FILE
from weightcast.core.training import Resume
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.weights_table import MethodWeights, kept_methods

TRAINING = """
import os, signal, sys, time
import torch
from pathlib import Path
from weightcast.core.artifacts import save_artifact
from weightcast.core.config.training import TrainingSettings
from weightcast.core.interruption import listen
from weightcast.core.run import Run
from weightcast.core.training import Resume

folder, wait = Path(sys.argv[1]), float(sys.argv[2])
listen()
weights = torch.zeros(4, requires_grad=True)

def loss(step):
    if wait and step == 5:
        print("here", flush=True)
        time.sleep(wait)
    return (weights - step).square().sum()

run = Run(resume=Resume(folder, "0" * 64))
run.fit([weights], loss, TrainingSettings(steps=20, learning_rate=0.1), name="weights")
save_artifact(folder / "out.safetensors", "zoo", {"weights": weights}, {})
run.finish()
"""


def start(code: str, *arguments: object, **environment: str) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", code, *map(str, arguments)]
    return subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=os.environ | environment
    )


def test_a_training_that_is_asked_to_end_saves_its_state_and_goes_on_from_there(tmp_path: Path) -> None:
    whole, stopped = torch.zeros(4, requires_grad=True), tmp_path / "stopped"
    few = TrainingSettings(steps=20, learning_rate=0.1)
    Run().fit([whole], lambda step: (whole - step).square().sum(), few, name="weights")
    process = start(TRAINING, stopped, 0.5)
    assert process.stdout is not None and process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 143
    last = said.strip().splitlines()[-1]
    assert last.startswith("weightcast: stopped in weights after 6 of 20 steps") and "same command" in last
    state = Resume(stopped, "0" * 64).part("weights").path
    assert read_metadata(state)["step"] == 6
    (stopped / f".{state.name}.elsewhere.1.partial").touch()  # of a writer that was killed

    assert start(TRAINING, stopped, 0).wait() == 0
    assert torch.equal(load_artifact(stopped / "out.safetensors").tensors["weights"], whole)
    assert [path.name for path in stopped.iterdir()] == ["out.safetensors"]


ELSEWHERE = """
import sys, time
from pathlib import Path
from weightcast.core.files import written_whole
from weightcast.core.interruption import listen
listen()
with written_whole(sys.argv[1]) as partial:
    partial.write_text("half")
    print("here", flush=True)
    time.sleep(60)
"""


def test_what_is_no_training_ends_at_once_and_leaves_nothing_half_written(tmp_path: Path) -> None:
    process = start(ELSEWHERE, tmp_path / "a.txt")
    assert process.stdout is not None and process.stdout.readline() == "here\n"
    process.send_signal(signal.SIGTERM)
    _, said = process.communicate()
    assert process.returncode == 143 and len(said.splitlines()) == 1 and said.startswith("weightcast: stopped")
    assert not list(tmp_path.iterdir())


def test_a_job_ends_when_its_run_is_gone(tmp_path: Path) -> None:
    run = start("import sys; print('up', flush=True); sys.stdin.read()")
    run.kill()
    run.communicate()
    process = start(ELSEWHERE, tmp_path / "a.txt", WEIGHTCAST_RUN=f"{os.uname().nodename} {run.pid}")
    _, said = process.communicate(timeout=60)
    assert process.returncode == 143 and "its run is gone" in said


RUN = """
import sys, time
from pathlib import Path
from weightcast.core.run_lock import take_folder
print(take_folder(Path(sys.argv[1])), flush=True)
time.sleep(float(sys.argv[2]))
"""


def test_only_a_run_that_was_killed_is_cleared_away(tmp_path: Path) -> None:
    locks = tmp_path / "locks"

    def take(seconds: float = 0.0) -> tuple[subprocess.Popen[str], str]:
        process = start(RUN, tmp_path, seconds)
        assert process.stdout is not None
        return process, process.stdout.readline().strip()

    first, said = take(60)
    assert said == "False"
    assert re.fullmatch(r"process \d+ on \S+ since [\d: -]+", (tmp_path / FILE).read_text(encoding="utf-8"))
    locks.mkdir()  # as Snakemake does
    (locks / "0.output.lock").touch()
    beside, said = take()
    assert said == "False" and (locks / "0.output.lock").exists()
    assert beside.wait() == 0
    first.kill()
    first.wait()
    after, said = take()
    assert said == "True" and not locks.exists()
    assert after.wait() == 0


def test_what_one_method_gave_is_kept_until_the_stage_is_over(tmp_path: Path) -> None:
    computed = []

    def compute():
        computed.append(1)
        return {"weights": torch.arange(3.0) / 3}, {
            "rows": [{"residual": 1 / 3, "term": "x"}, {"residual": float("nan")}]
        }

    first = Run(resume=Resume(tmp_path, "1" * 64))
    made = first.kept("a", compute)
    second = Run(resume=Resume(tmp_path, "1" * 64))  # after a kill
    tensors, values = second.kept("a", compute)
    assert len(computed) == 1
    assert torch.equal(tensors["weights"], made[0]["weights"]) and repr(values) == repr(made[1])
    second.kept("b", compute)
    assert len(computed) == 2
    second.finish()
    assert not list(tmp_path.iterdir())
    Run().kept("a", compute)  # nothing is kept where no state is
    assert len(computed) == 3 and not list(tmp_path.iterdir())


def test_methods_are_kept_with_everything_that_is_known_of_them(tmp_path: Path) -> None:
    weights, shares = torch.rand(2, 3, 4), torch.full((2, 3), 1 / 3)
    plain = MethodWeights("film (observed)", 0, ["a", "b"], weights, 1.5, 0.1, 4, ["b"])
    full = replace(
        plain,
        seed=1,
        weights=weights + 1,
        normalisation=Normalisation((0.1,), (0.3,)),
        shares=shares,
        model_error=[[1 / 3]],
    )
    made = []
    for _ in range(2):  # before and after a kill
        run = Run(resume=Resume(tmp_path, "1" * 64))
        made.append(kept_methods(run, "film", lambda: [plain, full]))
    for one, other in zip(*made, strict=True):
        assert repr(one) == repr(other) and torch.equal(one.weights, other.weights)
    assert repr(made[0]) == repr([plain, full])


def test_a_damaged_one_is_computed_again(tmp_path: Path) -> None:
    resume = Resume(tmp_path, "1" * 64)
    resume.part("kept", "a").path.write_bytes(b"nothing")
    tensors, values = Run(resume=resume).kept("a", lambda: ({}, {"a": 1}))
    assert (tensors, values) == ({}, {"a": 1})


def test_the_watch_costs_no_time(tmp_path: Path) -> None:
    began = time.monotonic()
    process = start("from weightcast.core.interruption import listen; listen()", WEIGHTCAST_RUN="")
    assert process.wait() == 0 and time.monotonic() - began < 30
