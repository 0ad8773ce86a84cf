"""kill -9 in the middle of a training: the rerun goes on where it was and ends in the same weights."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time

from weightcast.core.artifact_header import read_metadata
from weightcast.core.artifacts import load_artifact


def test_a_killed_training_goes_on_where_it_was(finished, tmp_path):
    import yaml

    config = yaml.safe_load((finished.folder / "tests/workflow/mini.yaml").read_text())
    training = config["base"]["conditioned"] | {"steps": 400}
    settings = {"data": config["data"], "predictor": config["predictor"], "training": training}
    settings |= {"map": {"kind": "film", "width": 8}, "logarithmic_parameters": []}
    import json

    rows = [
        {"id": name, "role": "visible", "parameters": {"beta": beta, "D": 0.5}}
        for name, beta in (("middle", 1.0), ("between", 0.8))
    ]
    environment = os.environ | {"WEIGHTCAST_SAVE_SECONDS": "0", "OMP_NUM_THREADS": "1"}

    def command(name: str) -> list[str]:
        return [
            sys.executable, "scripts/train_base.py", "--settings", json.dumps(settings), "--environments",
            json.dumps(rows), "--trajectories", "data/mini/trajectories", "--resume", str(tmp_path / name),
            "--output", str(tmp_path / f"{name}.safetensors"),
        ]  # fmt: skip

    subprocess.run(command("whole"), cwd=finished.folder, env=environment, check=True, capture_output=True)

    killed = subprocess.Popen(command("killed"), cwd=finished.folder, env=environment, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 60
    while not list((tmp_path / "killed").glob("[!.]*.safetensors")) and time.monotonic() < deadline:
        time.sleep(0.02)
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    (state,) = (tmp_path / "killed").glob("[!.]*.safetensors")
    assert not (tmp_path / "killed.safetensors").exists()
    step = read_metadata(state)["step"]
    assert 0 < step < 400
    subprocess.run(command("killed"), cwd=finished.folder, env=environment, check=True, capture_output=True)

    whole, resumed = (load_artifact(tmp_path / f"{name}.safetensors") for name in ("whole", "killed"))
    assert resumed.tensors_digest == whole.tensors_digest
    assert not list((tmp_path / "killed").glob("[!.]*"))  # nothing is left behind
