"""A whole run of the workflow: how long it takes, and what of it is Snakemake's own.

    python benchmarks/whole_run.py [--quick]

The study runs from nothing in a temporary folder, as `make run` does it, on all cores: the smallest study that goes
through every stage (tests/workflow/mini.yaml), and in a run that is not quick the default one (config.yaml).
Snakemake's share is the processor time of its own process, jobs and everything else that it starts left out. The rest
is the jobs', of which starting their programs is a part. That is measured by one that imports what a training imports,
torch above all, and counted for each job: an upper bound, since jobs that only write tables do without. Once each: a
run takes minutes.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

from planning import environment_of_programs, measured
from side_by_side import ROOT, Effort, Row, Spread, alone

NAME = "whole run"
STUDIES = {"mini study": "tests/workflow/mini.yaml", "default study": "config.yaml"}
STARTED = "import weightcast.runner, weightcast.environments.stages.train_experts"
"""What the program of a training job imports before it does anything."""


@dataclass(frozen=True)
class Taken:
    """What a run took.

    Attributes:
        seconds: by the clock.
        own: processor seconds of Snakemake itself.
        jobs: processor seconds of what it started.
        count: jobs.
    """

    seconds: float
    own: float
    jobs: float
    count: int


def rows(effort: Effort) -> Iterator[Row]:
    """The mini study, and the default one if there is time."""
    for name, config in list(STUDIES.items())[: 1 if effort.quick else 2]:
        yield from study_rows(name, config)


def study_rows(name: str, config: str) -> Iterator[Row]:
    """One study, from nothing to its report."""
    with TemporaryDirectory() as folder_name:
        folder = Path(folder_name)
        start = measured([sys.executable, "-P", "-c", STARTED], folder)[0]
        taken = run_study(config, folder)
    whole = taken.own + taken.jobs
    cores = len(os.sched_getaffinity(0))
    for measure, value in {
        "run, s": taken.seconds,
        "processor, s": whole,
        "jobs": taken.count,
        "Snakemake itself, s": taken.own,
        "Snakemake itself / processor": taken.own / whole,
        "programs' start, s": start,
        "programs' start, all jobs, at most / processor": start * taken.count / whole,
        "processor / cores' time": whole / (cores * taken.seconds),
    }.items():
        yield Row.of(NAME, f"{name}, cores", cores, measure, Spread.exact(value))


def run_study(config: str, folder: Path) -> Taken:
    """Run a study of the repository in a folder.

    Raises:
        RuntimeError: the run fails.
    """
    for part in ("data", "tests/workflow"):  # tables that configurations name relative to the folder
        (folder / part).mkdir(parents=True)
        for file in (ROOT / part).glob("*.csv"):
            shutil.copy2(file, folder / part)
    command = [sys.executable, "-P", "-m", "snakemake", "--cores", "all", "--snakefile", str(ROOT / "Snakefile")]
    command += ["--directory", str(folder), "--configfile", str(ROOT / config)]
    command += ["--workflow-profile", str(ROOT / "profiles/default")]
    with (folder / "said.txt").open("w") as said:
        began = time.monotonic()
        started = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, env=environment_of_programs())
        os.waitid(os.P_PID, started.pid, os.WEXITED | os.WNOWAIT)  # it has ended, but its times can still be read
        seconds = time.monotonic() - began
        own, children = processor_seconds(started.pid)
        if started.wait():
            raise RuntimeError(f"{' '.join(command)}: {(folder / 'said.txt').read_text()[-2000:]}")
    log = max((folder / ".snakemake/log").glob("*.log")).read_text(encoding="utf-8")
    return Taken(seconds, own, children, log.count("Finished jobid:"))


def processor_seconds(process: int) -> tuple[float, float]:
    """Processor seconds of a process itself, all its threads together, and of what it has started and waited for."""
    after_name = Path(f"/proc/{process}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    user, system, children_user, children_system = map(int, after_name[11:15])
    ticks = os.sysconf("SC_CLK_TCK")
    return (user + system) / ticks, (children_user + children_system) / ticks


if __name__ == "__main__":
    alone(rows, __doc__)
