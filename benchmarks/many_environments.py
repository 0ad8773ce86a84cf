"""A study of thousands of environments, from its table to its report: how long, how much memory, and what was foretold.

    python benchmarks/many_environments.py [--environments 2000] [--folder FOLDER] [--cores 2]

Predator and prey, the smallest system there is (config/lotka-volterra.yaml), two experts in each environment, a
tenth of them unseen, parameters spread evenly over the study's range. `weightcast check` is asked first, then the study
runs on all cores, both in a temporary folder or the one that is named, where a run that was interrupted goes on. Memory
is that of Snakemake and all its jobs together, proportional sets, and that of the largest job of each stage.

At the end stands what was foretold beside what was measured: core-minutes of each stage and of all, which hold on a
shared machine as well; minutes by the clock, which do not; and the most memory beside the 4 GB that are allowed. Jobs
of earlier sittings in the same folder are counted.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from planning import environment_of_programs
from side_by_side import ROOT
from watched_run import Watched, watch

STUDY = ROOT / "config/lotka-volterra.yaml"
LOW, HIGH = 0.5, 1.1
"""Of both parameters: the range of config/lotka-volterra.yaml."""
GOLDEN = 0.6180339887498949
"""Multiples of it fill an interval evenly, however many there are."""
SHARE, MOST_MB = 0.3, 4000.0
"""How far the time may be from what was foretold, and how much memory all may hold together."""
_SUM = re.compile(r"about ([\d.,]+) core-(minutes|hours)")
_AT_LEAST = re.compile(r"at least ([\d.,]+) (minutes|hours) on")
_STAGE = re.compile(r"^\s+([\d.,]+) (\w+) \((\d+) jobs?\)$", re.MULTILINE)


@dataclass(frozen=True)
class Foretold:
    """What `weightcast check` said of a study.

    Attributes:
        core_minutes: of all jobs.
        minutes: by the clock, at least.
        stages: core-minutes of each.
    """

    core_minutes: float
    minutes: float
    stages: Mapping[str, float]


@dataclass(frozen=True)
class Measured:
    """A job that was watched.

    Attributes:
        stage: that it ran.
        megabytes: that were resident at most.
        seconds: by the clock.
        processor: seconds of a core.
    """

    stage: str
    megabytes: float
    seconds: float
    processor: float


def foretold(said: str) -> Foretold:
    """Read what `weightcast check` printed.

    Raises:
        ValueError: there is no cost in it.
    """
    whole, least = _SUM.search(said), _AT_LEAST.search(said)
    if whole is None or least is None:
        raise ValueError(f"found no cost in what weightcast check said:\n{said}")
    minutes = 60.0 if whole[2] == "hours" else 1.0
    return Foretold(
        _number(whole[1]) * minutes,
        _number(least[1]) * minutes,
        {stage: _number(value) * minutes for value, stage, _ in _STAGE.findall(said)},
    )


def _number(text: str) -> float:
    return float(text.replace(",", ""))


def compared(said: Foretold, jobs: Iterable[Measured], found: Watched) -> list[str]:
    """Lines: what was foretold beside what was measured, stage by stage, and whether it is within the bounds."""
    stages: dict[str, list[Measured]] = {}
    for job in jobs:
        stages.setdefault(job.stage, []).append(job)
    minutes = {stage: sum(job.processor for job in of_stage) / 60 for stage, of_stage in stages.items()}
    lines = [f"{'stage':28s}{'jobs':>6s}{'core-min':>10s}{'foretold':>10s}{'clock, min':>12s}{'MB at most':>12s}"]
    for stage in sorted(minutes, key=lambda one: -minutes[one]):
        of_stage = stages[stage]
        elapsed, peak = sum(job.seconds for job in of_stage) / 60, max(job.megabytes for job in of_stage)
        lines.append(
            f"{stage:28s}{len(of_stage):6d}{minutes[stage]:10.2f}{said.stages.get(stage, 0.0):10.2f}"
            f"{elapsed:12.1f}{peak:12.0f}"
        )
    measured = sum(minutes.values())
    within = "within" if abs(measured / said.core_minutes - 1) <= SHARE else "NOT within"
    lines.append(
        f"core-minutes: {measured:.1f}, foretold {said.core_minutes:.1f}: a ratio of "
        f"{measured / said.core_minutes:.2f}, {within} {SHARE:.0%}"
    )
    clock = found.seconds / 60
    lines.append(f"by the clock: {clock:.1f} min in this sitting, foretold at least {said.minutes:.1f} min")
    below = "below" if found.together < MOST_MB else "NOT below"
    lines.append(
        f"memory: {found.together:.0f} MB together, {below} {MOST_MB:.0f} MB; "
        f"{found.snakemake:.0f} MB of Snakemake itself"
    )
    return lines


def write_study(folder: Path, environments: int) -> Path:
    """Write table and configuration; the latter's path."""
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "role", "beta", "delta"])
        for number in range(environments):
            role = "interpolation" if number % 10 == 5 else "visible"
            beta = LOW + (HIGH - LOW) * (number + 0.5) / environments
            delta = LOW + (HIGH - LOW) * (number * GOLDEN % 1)
            table.writerow([f"environment-{number:05d}", role, f"{beta:.6f}", f"{delta:.6f}"])
    study = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    study["study"] = "many-environments"
    study["environments"] = "table.csv"
    study["simulated_together"] = 64
    study["zoo"] = {
        "bases": ["conditioned"],
        "members": 2,
        "shard_environments": 64,
        "perturbation": {"layer": "layers.0", "scale": 0.02},
        "training": {"steps": 200, "learning_rate": 0.001, "unroll": 4, "batch": 16},
    }
    study["generator"]["seeds"] = [0]
    study["generator"]["arms"] = {"conditioned": {"base": "conditioned", "end_to_end": True}}
    study["baselines"]["film_matched"] = None
    study["evaluation"]["observed"] = [{"frames": 10}]
    config = folder / "study.yaml"
    config.write_text(yaml.safe_dump(study), encoding="utf-8")
    return config


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", type=int, default=2000, metavar="N", help="default: 2000")
    parser.add_argument("--folder", type=Path, help="an empty folder, or one that a run of this began in")
    parser.add_argument("--cores", type=int, default=len(os.sched_getaffinity(0)), metavar="N", help="default: all")
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = (arguments.folder or Path(temporary)).resolve()
        folder.mkdir(parents=True, exist_ok=True)
        config = write_study(folder, arguments.environments)
        said = foretold(ask(folder, config))
        found = watch(folder, config, cores=arguments.cores)
        print(f"\nrun: {found.seconds / 60:.1f} min on {arguments.cores} cores, exit status {found.status}")
        print("\n".join(compared(said, noted(folder / "jobs.csv", found), found)))
        sys.exit(found.status)


def ask(folder: Path, config: Path) -> str:
    """What `weightcast check` says of the study; what it said, where a run began already: it would know of that now."""
    said = folder / "check.txt"
    if not said.exists():
        program = [sys.executable, "-P", "-m", "weightcast.cli.main", "check", "--config", str(config)]
        began = time.monotonic()
        done = subprocess.run(
            program, cwd=folder, env=environment_of_programs(), capture_output=True, text=True, check=False
        )
        print(f"{done.stdout}{done.stderr}\ncheck: {time.monotonic() - began:.0f} s\n", flush=True)
        if done.returncode:
            sys.exit(done.returncode)
        said.write_text(done.stdout, encoding="utf-8")
    return said.read_text(encoding="utf-8")


def noted(path: Path, found: Watched) -> list[Measured]:
    """Jobs of all sittings: those of earlier ones are in a file, to which the new ones are added."""
    with path.open("a", encoding="utf-8", newline="") as file:
        for job, *numbers in found.jobs:
            csv.writer(file).writerow([job.stage, *numbers])
    with path.open(encoding="utf-8", newline="") as file:
        return [Measured(stage, *map(float, numbers)) for stage, *numbers in csv.reader(file)]


if __name__ == "__main__":
    main()
