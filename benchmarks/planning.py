"""What planning a study costs as its table grows: CPU seconds, memory and jobs of a dry run, and the longest command.

``python benchmarks/planning.py [--environments 100 1000 10000] [--shard 64] [--commands] [--check] [-o FILE.csv]``. The
study is that of predator and prey, config/lotka-volterra.yaml, with a table written by this script in a temporary
folder, where nothing has run yet. Two lines come first: a Snakefile of one rule without inputs, which is Snakemake's
own share, and the same with what reads a study imported. ``--commands`` plans once more to see how long commands are;
``--check`` measures ``weightcast check --no-timing`` as well.
"""

from __future__ import annotations

import argparse
import csv
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml

ROOT = Path(__file__).resolve().parents[1]
STUDY = ROOT / "config/lotka-volterra.yaml"
NOTHING = "rule all:\n    shell: 'true'\n"
READS_STUDIES = "import weightcast.studies, weightcast.environments.jobs, weightcast.environments.memory\n" + NOTHING
SMALL_STEPS = 1e-4
"""Between parameters of neighbours in the table: all within the study's range, whatever their number."""


@dataclass(frozen=True)
class Cost:
    """What one command took.

    Attributes:
        what: which command.
        environments: of the study.
        cpu: seconds, of the command and what it started.
        memory: megabytes at most.
        jobs: that would run.
        command: bytes of the longest command of a job; 0: not looked at.
    """

    what: str
    environments: int
    cpu: float
    memory: float
    jobs: int = 0
    command: int = 0

    def __str__(self) -> str:
        cells = f"{self.environments:12,d}{self.cpu:9.2f} s{self.memory:9.0f} MB{self.jobs:8,d}{self.command:9,d} B"
        return f"{self.what:28s}{cells}"


def write_study(folder: Path, environments: int, shard: int | None) -> Path:
    """A study of so many environments, a tenth of them unseen; its configuration's path."""
    with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
        table = csv.writer(file)
        table.writerow(["id", "role", "beta", "delta"])
        for number in range(environments):
            role = "interpolation" if number % 10 == 5 else "visible"
            table.writerow([f"environment-{number:06d}", role, 0.5 + SMALL_STEPS * (number % 10_000), 0.8])
    study = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
    study["environments"] = "table.csv"
    if shard is not None:
        study["zoo"]["shard_environments"] = shard
    config = folder / "study.yaml"
    config.write_text(yaml.safe_dump(study), encoding="utf-8")
    return config


def measured(command: list[str], folder: Path) -> tuple[float, float, str]:
    """CPU seconds, megabytes at most, and what a command says; ends the program where it fails."""
    output = folder / "said.txt"
    with output.open("w") as said:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}
        started = subprocess.Popen(command, cwd=folder, stdout=said, stderr=said, env=environment)
        _, status, used = os.wait4(started.pid, 0)
    if status:
        sys.exit(output.read_text()[-2000:])
    return used.ru_utime + used.ru_stime, used.ru_maxrss / 1024, output.read_text()


def planning(snakefile: Path, folder: Path, *options: str) -> list[str]:
    """The command of a dry run."""
    snakemake = [sys.executable, "-P", "-m", "snakemake", "--dry-run", "--cores", "2", "--nocolor"]
    profile = ["--workflow-profile", str(ROOT / "profiles/default")]
    return [*snakemake, *profile, "--snakefile", str(snakefile), "--directory", str(folder), *options]


def floor(name: str, text: str) -> Cost:
    """What a dry run of nothing costs."""
    with TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        (folder / "Snakefile").write_text(text, encoding="utf-8")
        cpu, memory, _ = measured(planning(folder / "Snakefile", folder), folder)
    return Cost(name, 0, cpu, memory, 1)


def dry_run(environments: int, shard: int | None, commands: bool) -> Cost:
    """What a dry run of a study costs."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        command = planning(ROOT / "Snakefile", folder, "--configfile", str(write_study(folder, environments, shard)))
        cpu, memory, said = measured(command, folder)
        printed = measured([*command, "--printshellcmds"], folder)[2] if commands else ""
    jobs = len(re.findall(r"^(?:local)?rule \w+:$", said, re.MULTILINE))
    lengths = (len(line.encode()) for line in printed.splitlines() if "run_stage.py" in line)
    return Cost("dry run", environments, cpu, memory, jobs, max(lengths, default=0))


def check(environments: int, shard: int | None) -> Cost:
    """What looking a study over costs."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        config = write_study(folder, environments, shard)
        program = [sys.executable, "-P", "-m", "weightcast.cli.main", "check", "--no-timing", "--config", str(config)]
        cpu, memory, _ = measured(program, folder)
    return Cost("check --no-timing", environments, cpu, memory)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--environments", nargs="+", type=int, default=[100, 1000, 10_000], metavar="NUMBER")
    parser.add_argument("--shard", type=int, metavar="NUMBER", help="zoo.shard_environments; default: the study's")
    parser.add_argument("--commands", action="store_true", help="how long the longest command is, too")
    parser.add_argument("--check", action="store_true", help="weightcast check as well")
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="CSV to write")
    arguments = parser.parse_args()
    costs = []
    for cost in _costs(arguments):
        print(cost, flush=True)
        costs.append(cost)
    if arguments.output is not None:
        with arguments.output.open("w", encoding="utf-8", newline="") as file:
            rows = csv.DictWriter(file, [field.name for field in fields(Cost)])
            rows.writeheader()
            rows.writerows(map(asdict, costs))


def _costs(arguments: argparse.Namespace) -> Iterator[Cost]:
    yield floor("Snakemake alone", NOTHING)
    yield floor("and what reads a study", READS_STUDIES)
    for environments in arguments.environments:
        yield dry_run(environments, arguments.shard, arguments.commands)
        if arguments.check:
            yield check(environments, arguments.shard)


if __name__ == "__main__":
    main()
