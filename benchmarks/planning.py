"""What planning a study costs as its table grows: CPU seconds, memory and jobs of a dry run, and of drawing the DAG.

    python benchmarks/planning.py [--environments 100 1000 10000] [--shard 64] [--commands] [--check] [--quick]

The study is that of predator and prey, config/lotka-volterra.yaml, with a table written by this script in a temporary
folder, where nothing has run yet. Beside it, at 0 environments, stand a Snakefile of one rule without inputs, which is
Snakemake's own share, and the same with what reads a study imported. A table of 100,000 environments has shards of 512
where nothing else is said: 12 would make ten thousand jobs of it. ``--commands`` plans once more to see how long
commands are; ``--check`` measures ``weightcast check --no-timing`` as well. Seconds are of the processor, of the
command and what it starts; all sizes take turns.
"""

from __future__ import annotations

import argparse
import csv
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import yaml
from side_by_side import ROOT, Effort, Row, Spread, add_options, as_a_job, effort_of, machine, shown, write_table

NAME = "planning"
STUDY = ROOT / "config/lotka-volterra.yaml"
NOTHING = "rule all:\n    shell: 'true'\n"
READS_STUDIES = "import weightcast.studies, weightcast.environments.jobs, weightcast.environments.memory\n" + NOTHING
FLOORS = {"Snakemake alone": NOTHING, "and what reads a study": READS_STUDIES}
SMALL_STEPS = 1e-4
"""Between parameters of neighbours in the table: all within the study's range, whatever their number."""
ENVIRONMENTS = (100, 1_000, 10_000, 100_000)
LARGE, LARGE_SHARD = 100_000, 512
ROUNDS = 3


@dataclass(frozen=True)
class Cost:
    """What one command took.

    Attributes:
        cpu: seconds, of the command and what it started.
        memory: megabytes at most.
        jobs: that would run; 0: not counted.
        command: bytes of the longest command of a job; 0: not looked at.
    """

    cpu: float
    memory: float
    jobs: int = 0
    command: int = 0


@dataclass(frozen=True)
class Asked:
    """What is to be measured.

    Attributes:
        environments: numbers of them.
        shard: of `zoo.shard_environments`; None: the study's, or `LARGE_SHARD` of large tables.
        commands: whether the longest command is looked at.
        check: whether `weightcast check` is measured.
    """

    environments: tuple[int, ...] = ENVIRONMENTS
    shard: int | None = None
    commands: bool = False
    check: bool = False


def rows(effort: Effort, asked: Asked | None = None) -> Iterator[Row]:
    """Snakemake alone, then the study at every number of environments."""
    asked = asked or Asked()
    rounds = 1 if effort.quick else min(ROUNDS, effort.rounds)
    floors = [[floor(text) for text in FLOORS.values()] for _ in range(rounds)]
    for position, name in enumerate(FLOORS):
        yield from _cost_rows(name, 0, "dry run", [one[position] for one in floors])
    first = [of[0].cpu for of in floors]
    for environments in asked.environments:
        with TemporaryDirectory() as name_of_folder:
            study = PlannedStudy.write(Path(name_of_folder), environments, asked.shard)
            case = "predator and prey, environments"
            yield Row.of(NAME, case, environments, "environments of a shard", Spread.exact(study.shard))
            dry = [study.dry_run(asked.commands and not turn) for turn in range(rounds)]
            yield from _cost_rows(case, environments, "dry run", dry)
            over = [one.cpu / alone for one, alone in zip(dry, first, strict=True)]
            yield Row.of(NAME, case, environments, "dry run / Snakemake alone", Spread.of(over))
            yield from _cost_rows(case, environments, "DAG", [study.dag() for _ in range(rounds)])
            if asked.check:
                yield from _cost_rows(case, environments, "check", [study.check() for _ in range(rounds)])


def _cost_rows(case: str, environments: int, what: str, costs: list[Cost]) -> Iterator[Row]:
    yield Row.of(NAME, case, environments, f"{what}, s", Spread.of([one.cpu for one in costs]))
    yield Row.of(NAME, case, environments, f"{what}, MB", Spread.of([one.memory for one in costs]))
    for count, unit in ((costs[0].jobs, "jobs"), (costs[0].command, "bytes of the longest command")):
        if count:
            yield Row.of(NAME, case, environments, f"{what}, {unit}", Spread.exact(count))


@dataclass(frozen=True)
class PlannedStudy:
    """A study of many environments in a folder where nothing has run.

    Attributes:
        folder: that Snakemake runs in.
        config: its configuration.
        shard: environments whose experts are trained together.
    """

    folder: Path
    config: Path
    shard: int

    @classmethod
    def write(cls, folder: Path, environments: int, shard: int | None) -> PlannedStudy:
        """A study of so many environments, a tenth of them unseen."""
        with (folder / "table.csv").open("w", encoding="utf-8", newline="") as file:
            table = csv.writer(file)
            table.writerow(["id", "role", "beta", "delta"])
            for number in range(environments):
                role = "interpolation" if number % 10 == 5 else "visible"
                table.writerow([f"environment-{number:06d}", role, 0.5 + SMALL_STEPS * (number % 10_000), 0.8])
        study = yaml.safe_load(STUDY.read_text(encoding="utf-8"))
        study["environments"] = "table.csv"
        if shard is None and environments >= LARGE:
            shard = LARGE_SHARD
        if shard is not None:
            study["zoo"]["shard_environments"] = shard
        config = folder / "study.yaml"
        config.write_text(yaml.safe_dump(study), encoding="utf-8")
        return cls(folder, config, study["zoo"]["shard_environments"])

    def dry_run(self, commands: bool = False) -> Cost:
        """What a dry run costs; with ``commands`` also the longest command of a job."""
        command = planning(ROOT / "Snakefile", self.folder, "--dry-run", "--configfile", str(self.config))
        cpu, memory, said = measured(command, self.folder)
        printed = measured([*command, "--printshellcmds"], self.folder)[2] if commands else ""
        jobs = len(re.findall(r"^(?:local)?rule \w+:$", said, re.MULTILINE))
        lengths = (len(line.encode()) for line in printed.splitlines() if "run_stage.py" in line)
        return Cost(cpu, memory, jobs, max(lengths, default=0))

    def dag(self) -> Cost:
        """What writing the graph of all jobs costs."""
        command = planning(ROOT / "Snakefile", self.folder, "--dag", "--configfile", str(self.config))
        return Cost(*measured(command, self.folder)[:2])

    def check(self) -> Cost:
        """What looking the study over costs."""
        program = [sys.executable, "-P", "-m", "weightcast.cli.main", "check", "--no-timing"]
        return Cost(*measured([*program, "--config", str(self.config)], self.folder)[:2])


LAUNCH = """
import json, os, sys
process = os.fork()
if not process:
    os.execv(sys.argv[1], sys.argv[1:])
_, status, used = os.wait4(process, 0)
with open("used.json", "w") as file:
    json.dump([used.ru_utime + used.ru_stime, used.ru_maxrss / 1024], file)
sys.exit(os.waitstatus_to_exitcode(status))
"""
"""Starts a command from a process that holds next to nothing: of one that is started from here, Linux says that it took
at least as much memory as this process has."""


def measured(command: list[str], folder: Path) -> tuple[float, float, str]:
    """CPU seconds, megabytes at most, and what a command says.

    Raises:
        RuntimeError: it fails.
    """
    output = folder / "said.txt"
    with output.open("w") as said:
        launched = [sys.executable, "-I", "-S", "-c", LAUNCH, *command]
        done = subprocess.run(
            launched, cwd=folder, stdout=said, stderr=said, env=environment_of_programs(), check=False
        )
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {output.read_text()[-2000:]}")
    seconds, megabytes = json.loads((folder / "used.json").read_text())
    return seconds, megabytes, output.read_text()


def environment_of_programs() -> dict[str, str]:
    """Of programs that are started: this repository's library."""
    return os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])}


def planning(snakefile: Path, folder: Path, *options: str) -> list[str]:
    """The command that plans without running anything."""
    snakemake = [sys.executable, "-P", "-m", "snakemake", "--cores", "2", "--nocolor"]
    profile = ["--workflow-profile", str(ROOT / "profiles/default")]
    return [*snakemake, *profile, "--snakefile", str(snakefile), "--directory", str(folder), *options]


def floor(text: str) -> Cost:
    """What a dry run of nothing costs."""
    with TemporaryDirectory() as name_of_folder:
        folder = Path(name_of_folder)
        (folder / "Snakefile").write_text(text, encoding="utf-8")
        return Cost(*measured(planning(folder / "Snakefile", folder, "--dry-run"), folder)[:2], 1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--environments", nargs="+", type=int, default=ENVIRONMENTS, metavar="NUMBER")
    parser.add_argument("--shard", type=int, metavar="NUMBER", help="zoo.shard_environments; default: the study's")
    parser.add_argument("--commands", action="store_true", help="how long the longest command is, too")
    parser.add_argument("--check", action="store_true", help="weightcast check as well")
    add_options(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="CSV to write")
    arguments = parser.parse_args()
    as_a_job()
    asked = Asked(tuple(arguments.environments), arguments.shard, arguments.commands, arguments.check)
    found = list(shown(rows(effort_of(arguments), asked)))
    if arguments.output is not None:
        write_table(arguments.output, found, machine())


if __name__ == "__main__":
    main()
