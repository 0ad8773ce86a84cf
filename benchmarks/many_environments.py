"""A study of thousands of environments, from its table to its report: how long, how much memory, and what was foretold.

    python benchmarks/many_environments.py [--environments 2000] [--folder FOLDER]

Predator and prey, the smallest system there is (config/lotka-volterra.yaml), two experts in each environment, a
tenth of them unseen, parameters spread evenly over the study's range. `weightcast check` is asked first, then the study
runs on all cores, both in a temporary folder or the one that is named, where a run that was interrupted goes on. Memory
is that of Snakemake and all its jobs together, proportional sets, and that of the largest job of each stage.
"""

from __future__ import annotations

import argparse
import csv
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from planning import environment_of_programs
from side_by_side import ROOT
from watched_run import watch

STUDY = ROOT / "config/lotka-volterra.yaml"
LOW, HIGH = 0.5, 1.1
"""Of both parameters: the range of config/lotka-volterra.yaml."""
GOLDEN = 0.6180339887498949
"""Multiples of it fill an interval evenly, however many there are."""


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
    arguments = parser.parse_args()
    with TemporaryDirectory() as temporary:
        folder = arguments.folder or Path(temporary)
        folder.mkdir(parents=True, exist_ok=True)
        config = write_study(folder, arguments.environments)
        program = [sys.executable, "-P", "-m", "weightcast.cli.main", "check", "--config", str(config)]
        began = time.monotonic()
        done = subprocess.run(
            program, cwd=folder, env=environment_of_programs(), capture_output=True, text=True, check=False
        )
        print(done.stdout + done.stderr, flush=True)
        print(f"check: {time.monotonic() - began:.0f} s\n", flush=True)
        if done.returncode:
            sys.exit(done.returncode)
        run(folder, config)


def run(folder: Path, config: Path) -> None:
    """Run the study, and say what it took."""
    found = watch(folder, config)
    print(f"\nrun: {found.seconds / 60:.1f} min, exit status {found.status}")
    print(f"memory at most: {found.together:.0f} MB together, {found.snakemake:.0f} MB of Snakemake itself")
    stages: dict[str, list[tuple[float, float, float]]] = {}
    for job, megabytes, seconds, processor in found.jobs:
        stages.setdefault(job.stage, []).append((megabytes, seconds, processor))
    print(f"{sum(processor for *_, processor in found.jobs) / 60:.1f} core-minutes of jobs")
    for stage, jobs in sorted(stages.items(), key=lambda one: -sum(processor for *_, processor in one[1])):
        processor = sum(each[2] for each in jobs)
        seconds, peak = sum(each[1] for each in jobs), max(each[0] for each in jobs)
        print(f"{stage:28s}{len(jobs):4d} jobs{processor:8.0f} s of a core{seconds:8.0f} s{peak:8.0f} MB")
    sys.exit(found.status)


if __name__ == "__main__":
    main()
