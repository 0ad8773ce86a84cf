"""A run of the workflow that is watched from outside: how long it takes, and how much memory each of its jobs does."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import psutil
from planning import environment_of_programs
from side_by_side import ROOT

EVERY_SECONDS = 0.25
_HIGH_WATER = re.compile(r"^VmHWM:\s+(\d+) kB", re.MULTILINE)
_LONG_JOB = re.compile(r"\.state/jobs/(\w+)-[0-9a-f]+\.json")


@dataclass(frozen=True)
class WatchedJob:
    """A process that ran a job.

    Attributes:
        stage: that it ran.
        of: its wildcards; empty where the job is a file.
    """

    stage: str
    of: Mapping[str, str] = field(hash=False, default_factory=dict)


@dataclass
class Watched:
    """What a run took.

    Attributes:
        seconds: by the clock.
        status: its exit status.
        together: megabytes that Snakemake and all its jobs held at once, at most (proportional sets).
        snakemake: megabytes of Snakemake's own process at most.
        jobs: megabytes at most, seconds, and seconds of the processor, of each job.
    """

    seconds: float = 0.0
    status: int = 0
    together: float = 0.0
    snakemake: float = 0.0
    jobs: list[tuple[WatchedJob, float, float, float]] = field(default_factory=list)


def watch(folder: Path, config: Path, *options: str, cores: int | None = None) -> Watched:
    """Run a study in a folder, on all cores where no number is said.

    Memory of a process is what the system says that was resident at most, so that how often it is asked matters little.
    Whoever asks this process to end (SIGTERM) asks Snakemake, as Ctrl-C does by itself: what was seen by then is not
    lost.
    """
    command = [sys.executable, "-P", "-m", "snakemake", *options, "--cores", str(cores or "all")]
    command += ["--snakefile", str(ROOT / "Snakefile"), "--directory", str(folder), "--configfile", str(config)]
    command += ["--workflow-profile", str(ROOT / "profiles/default")]
    found = Watched()
    began = time.monotonic()
    started = subprocess.Popen(command, cwd=folder, env=environment_of_programs())
    signal.signal(signal.SIGTERM, lambda *_: started.terminate())
    signal.signal(signal.SIGINT, lambda *_: None)  # a terminal asks all processes of a group
    peaks: dict[int, tuple[WatchedJob, float, float, float, float]] = {}
    while started.poll() is None:
        together = 0.0
        for process in [psutil.Process(started.pid), *_children(started.pid)]:
            try:
                together += process.memory_full_info().pss / 2**20
                peak = _high_water(process.pid)
                if process.pid == started.pid:
                    found.snakemake = max(found.snakemake, peak)
                elif (job := _job(process.cmdline())) is not None:
                    now, used = time.monotonic(), process.cpu_times()
                    first = peaks[process.pid][2] if process.pid in peaks else now
                    peaks[process.pid] = job, peak, first, now, used.user + used.system
            except (OSError, psutil.Error):  # it has ended
                continue
        found.together = max(found.together, together)
        time.sleep(EVERY_SECONDS)
    found.seconds, found.status = time.monotonic() - began, started.returncode
    found.jobs = [(job, peak, last - first, cpu) for job, peak, first, last, cpu in peaks.values()]
    return found


def _children(process: int) -> list[psutil.Process]:
    try:
        return psutil.Process(process).children(recursive=True)
    except psutil.Error:
        return []


def _high_water(process: int) -> float:
    """Megabytes that were resident at most."""
    found = _HIGH_WATER.search(Path(f"/proc/{process}/status").read_text(encoding="utf-8"))
    return int(found[1]) * 1024 / 1e6 if found else 0.0


def _job(command: list[str]) -> WatchedJob | None:
    """The job that a Python process runs; None of any other process."""
    if len(command) < 3 or not command[1].endswith("run_stage.py"):
        return None
    if named := _LONG_JOB.search(command[2]):
        return WatchedJob(named[1])
    told = json.loads(command[2])
    return WatchedJob(told["stage"], told.get("of", {}))
