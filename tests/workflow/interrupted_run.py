"""A run of a study that is interrupted on the way, and what identifies all that it makes."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from checkout import Checkout

from weightcast.core.artifact_header import read_metadata

PATIENCE_SECONDS = 300.0
GRACE_SECONDS = 120.0
"""Far more than a job takes to save and end, even on a busy machine."""


def interrupt(checkout: Checkout, config: str, how: signal.Signals, results: int) -> int:
    """Start a study's run, and interrupt it and all that it started once it has made some results more.

    Trainings save their states after every step. Jobs start as users' jobs do, in a Python of their own each.

    Args:
        checkout: where the study runs; what earlier runs made is there.
        config: of the study.
        how: SIGKILL, or SIGTERM, after which it is given time to end by itself.
        results: after how many more the interruption comes.

    Returns:
        its exit status, negative where it was killed.
    """
    environment = checkout.environment | {"OMP_NUM_THREADS": "1", "WEIGHTCAST_SAVE_SECONDS": "0"}
    before = len(_results(checkout))
    started = subprocess.Popen(
        checkout.snakemake_command(config=config), cwd=checkout.folder, env=environment, start_new_session=True,
        stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    try:
        deadline = time.monotonic() + PATIENCE_SECONDS
        while len(_results(checkout)) < before + results and started.poll() is None:
            assert time.monotonic() < deadline, f"fewer than {results} results more"
            time.sleep(0.05)
        assert started.poll() is None, "the run ended before it was interrupted"
        os.killpg(started.pid, how)
        return started.wait(GRACE_SECONDS)
    finally:
        if started.poll() is None:
            os.killpg(started.pid, signal.SIGKILL)
            started.wait()


def made(checkout: Checkout) -> dict[str, str]:
    """Digests of all weights and contents of all tables of scores, by their files."""
    found = {}
    for path in _results(checkout):
        name = str(path.relative_to(checkout.folder))
        if path.suffix == ".safetensors":
            found[name] = str(read_metadata(path)["tensors_digest"])
        else:
            found[name] = path.read_text(encoding="utf-8")
    return found


def half_written(checkout: Checkout) -> list[Path]:
    """What no run should leave."""
    return list(checkout.folder.rglob(".*.partial"))


def _results(checkout: Checkout) -> list[Path]:
    files = [path for path in checkout.folder.glob("results/*/**/*") if ".state" not in path.parts]
    return [path for path in files if path.suffix == ".safetensors" or path.name == "metrics.csv"]
