"""Which jobs a run would consist of, from a dry run of the workflow itself."""

from __future__ import annotations

import itertools
import re
import shlex
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from weightcast.core.errors import InputError
from weightcast.core.job import Job, StageSettings, read_job
from weightcast.studies import stages_of
from weightcast.workflow import snakefile

MAKING_TRAJECTORIES = ("simulate", "import_trajectories", "roll_out_experts")
"""Stages whose jobs make the files of a few environments each, of which it is no matter which."""


@dataclass(frozen=True, eq=False)
class PlannedJob:
    """A job that Snakemake would run.

    Attributes:
        rule: its name.
        job: what its stage is told.
        benchmark: where Snakemake notes how long it took, if it does.
    """

    rule: str
    job: Job
    benchmark: Path | None

    @cached_property
    def inputs(self) -> tuple[str, ...]:
        """Paths of all inputs, in the order of their names' appearance."""
        found: list[str] = []
        for path in self.job.inputs.values():
            found += [path] if isinstance(path, str) else path
        return tuple(found)

    def settings(self, plan: Any) -> StageSettings:
        """What its stage is told of the study."""
        kind = next(jobs[self.job.stage] for jobs in stages_of().values() if self.job.stage in jobs)
        if self.job.settings is not None:
            return kind.model_validate(self.job.settings)
        return kind.of(plan, **self.job.of)  # type: ignore[attr-defined]


def planned_jobs(configs: Sequence[Path], everything: bool = True) -> list[PlannedJob]:
    """The jobs of a study, run from the present folder; rules that only gather other rules' files are left out.

    Args:
        configs: of the study, the later over the earlier ones.
        everything: all jobs of a complete run, else those that are left to do.

    Raises:
        InputError: Snakemake cannot plan.
    """
    command = [sys.executable, "-P", "-m", "snakemake", "--dry-run", "--printshellcmds", "--cores", "1", "--nocolor"]
    command += ["--snakefile", str(snakefile()), *(["--forceall"] if everything else [])]
    command += ["--configfile", *(str(config.resolve()) for config in configs)]
    levels = max(_levels_up(config.read_text(encoding="utf-8")) for config in configs)
    with _folder(everything, levels) as folder:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        said = done.stdout + done.stderr
        if done.returncode:
            raise InputError(f"{configs[-1]}: Snakemake cannot plan it: {_reason(said)}")
        return parse_dry_run(said, folder)


def parse_dry_run(text: str, folder: Path = Path()) -> list[PlannedJob]:
    """Jobs from what Snakemake prints: the lines of a job, its command among them, follow the name of its rule.

    Args:
        text: what it prints.
        folder: in which it ran: long jobs are files there.
    """
    jobs = []
    for block in re.split(r"^(?=(?:local)?rule \w+:$)", text, flags=re.MULTILINE)[1:]:
        rule = block.partition(":")[0].split()[1]
        command = next((line for line in block.splitlines() if re.search(r"run_stage\.py'? ", line)), None)
        if command is None:
            continue
        words = shlex.split(command.removeprefix("Shell command: "))
        script = next(place for place, word in enumerate(words) if word.endswith("run_stage.py"))
        found = re.search(r"^\s+benchmark: (.+)$", block, re.MULTILINE)
        benchmark = None if found is None else Path(found[1])
        jobs.append(PlannedJob(rule, _job(words[script + 1], rule, folder), benchmark))
    return jobs


def _job(argument: str, rule: str, folder: Path) -> Job:
    return Job.from_json(argument, f"rule {rule}") if argument.startswith("{") else read_job(str(folder / argument))


def producers(jobs: Sequence[PlannedJob]) -> dict[str, tuple[PlannedJob, str]]:
    """The job that makes a file, and the name of the output there, by the file's path.

    Trajectories are read from their folder, which stands for the first of the jobs that make files there.
    """
    made_by = {path: (planned, name) for planned in jobs for name, path in planned.job.outputs.items()}
    for planned in reversed(jobs):
        if planned.job.stage in MAKING_TRAJECTORIES:
            for name, path in planned.job.outputs.items():
                made_by[str(Path(path).parent)] = (planned, name)
    return made_by


def inputs_from(planned: PlannedJob, made_by: dict[str, tuple[PlannedJob, str]]) -> list[tuple[PlannedJob, str]]:
    """The jobs whose outputs a job reads; of trajectories, which it reads from their folder, one."""
    return [made_by[path] for path in planned.inputs if path in made_by]


def _reason(said: str) -> str:
    """The last line that says what is wrong."""
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    own = [line for line in lines if line.startswith("weightcast: error:")]
    return own[-1].removeprefix("weightcast: error:").strip() if own else " ".join(lines[-3:])


@contextmanager
def _folder(everything: bool, levels: int) -> Iterator[Path]:
    """Where to plan. What is left to do shows where Snakemake has run before; a complete run is planned in a folder
    with links to all that is here but results, so that asking what a study costs leaves nothing behind.

    Args:
        everything: whether it is a complete run.
        levels: folders above this one that paths of the study lead through, as ../data does: they have links, too.
    """
    here = Path.cwd()
    if not everything:
        yield here
        return
    with TemporaryDirectory(prefix="weightcast-plan-") as name:
        folder, way = Path(name), [here, *here.parents][: levels + 1][::-1]
        for above, below in itertools.pairwise(way):
            _link(above, folder, but=(below.name,))
            folder /= below.name
            folder.mkdir()
        _link(here, folder, but=(".snakemake", "results"))
        yield folder


def _link(source: Path, folder: Path, but: Sequence[str]) -> None:
    """Links in a folder to everything in another one that can be listed, some names left out."""
    with suppress(PermissionError):
        for entry in source.iterdir():
            if entry.name not in but:
                (folder / entry.name).symlink_to(entry)


def _levels_up(config: str) -> int:
    """How many folders up the paths of a configuration lead, at most."""
    return max((found.group().count("..") for found in re.finditer(r"(?<![^\s\"'\[,])\.\.(/\.\.)*", config)), default=0)
