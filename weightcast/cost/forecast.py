"""What a run of a study will cost, added up over its jobs."""

from __future__ import annotations

import resource
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from tempfile import TemporaryDirectory

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.cost.jobs import PlannedJob, inputs_from, planned_jobs, producers
from weightcast.cost.measure import Work
from weightcast.cost.rehearsal import Part, Rehearsal
from weightcast.evolution.config.study import TimeStudy
from weightcast.families.config.study import FamilyStudy
from weightcast.studies import AnyStudy, stages_of

COMMON = 3
"""Stages whose start is measured."""


@dataclass(frozen=True)
class Forecast:
    """What the jobs of a study will cost.

    Attributes:
        jobs: of a complete run.
        work: of each, the start of its program included.
        left: whether it is left to do, of each.
        known: how many of the others are known from earlier runs.
        failed: stages that could not be rehearsed, and why; their jobs count as no more than a start.
    """

    jobs: Sequence[PlannedJob]
    work: Sequence[Work]
    left: Sequence[bool]
    known: int
    failed: Sequence[str]

    @cached_property
    def seconds(self) -> float:
        """Seconds of a complete run, on one core."""
        return sum(work.seconds for work in self.work)

    @property
    def seconds_left(self) -> float:
        """Seconds of what is left to do, on one core."""
        return sum(work.seconds for work, left in zip(self.work, self.left, strict=True) if left)

    def stages(self) -> dict[str, tuple[int, Work]]:
        """Jobs and work by the rule's name, in the order of the jobs."""
        found: dict[str, tuple[int, Work]] = {}
        for planned, work in zip(self.jobs, self.work, strict=True):
            count, before = found.get(planned.rule, (0, Work()))
            found[planned.rule] = count + 1, before + work
        return found

    @cached_property
    def longest_chain(self) -> float:
        """Seconds of the jobs that wait for each other, however many cores there are."""
        made_by = producers(self.jobs)
        seconds = dict(zip(self.jobs, (work.seconds for work in self.work), strict=True))
        ends: dict[PlannedJob, float] = {}

        def end(planned: PlannedJob) -> float:
            if planned not in ends:
                before = [end(source) for source, _ in inputs_from(planned, made_by)]
                ends[planned] = max(before, default=0.0) + seconds[planned]
            return ends[planned]

        return max(map(end, self.jobs), default=0.0)

    def on_cores(self, cores: int) -> float:
        """Seconds that a complete run takes at least: the cores share the jobs, and some wait for others."""
        return max(self.seconds / cores, self.longest_chain)


def forecast(
    study: AnyStudy,
    configs: Sequence[Path],
    table: EnvironmentTable | None,
    jobs: Sequence[PlannedJob],
    *,
    budget: float | None = None,
    earlier: bool = True,
) -> Forecast:
    """Forecast a run from the present folder.

    A job that is done, and that a run would leave as it is, took what Snakemake noted then; the others take what a job
    of their kind takes in a rehearsal.

    Args:
        study: its configuration, checked.
        configs: the files it was read from.
        table: of its environments, if it has one.
        jobs: of a complete run.
        budget: seconds for which steps of trainings are repeated; None: as many as tell enough.
        earlier: whether to use what was noted of earlier runs.

    Raises:
        InputError: the study cannot be planned; its data, or an optional package, cannot be used.
    """
    left = _left_to_do(study, configs, jobs)
    noted = [None if undone or not earlier else _noted(planned) for planned, undone in zip(jobs, left, strict=True)]
    needed = [planned for planned, seconds in zip(jobs, noted, strict=True) if seconds is None]
    if not needed:
        return Forecast(jobs, [Work(seconds or 0.0) for seconds in noted], left, len(jobs), [])
    with TemporaryDirectory(prefix="weightcast-rehearsal-") as folder:
        part = _part(study, table, Path(folder))
        found = Rehearsal(jobs, part, Path(folder) / "made", budget).run(needed)
    starting = starting_seconds(jobs)
    work = [
        Work(seconds) if seconds is not None else found.work.get(kind, Work()) + Work(starting[planned.job.stage])
        for planned, seconds, kind in zip(jobs, noted, found.kinds, strict=True)
    ]
    return Forecast(jobs, work, left, len(jobs) - len(needed), list(found.failed.values()))


def _part(study: AnyStudy, table: EnvironmentTable | None, folder: Path) -> Part:
    if isinstance(study, TimeStudy):
        from weightcast.cost.evolution import TimePart
        from weightcast.evolution.jobs import TimePlan

        return TimePart(TimePlan(study), folder)
    assert table is not None
    if isinstance(study, FamilyStudy):
        from weightcast.cost.families import FamilyPart
        from weightcast.families.jobs import FamilyPlan

        return FamilyPart(FamilyPlan(study), table, folder)
    from weightcast.cost.environments import EnvironmentsPart
    from weightcast.environments.jobs import Plan

    return EnvironmentsPart(Plan(study, table), folder)


def _left_to_do(study: AnyStudy, configs: Sequence[Path], jobs: Sequence[PlannedJob]) -> list[bool]:
    if not study.results.is_dir():
        return [True] * len(jobs)
    try:
        left = {outputs_of(planned) for planned in planned_jobs(configs, everything=False)}
    except InputError:  # a damaged past does not hinder a forecast
        return [True] * len(jobs)
    return [outputs_of(planned) in left for planned in jobs]


def outputs_of(planned: PlannedJob) -> tuple[str, ...]:
    """What tells a job from all others."""
    return tuple(sorted(planned.job.outputs.values()))


def _noted(planned: PlannedJob) -> float | None:
    """Seconds that a job took, as Snakemake noted them."""
    return None if planned.benchmark is None else benchmark_seconds(planned.benchmark)


def benchmark_seconds(path: Path) -> float | None:
    """Wall time in Snakemake's file; None if there is none that can be read."""
    try:
        names, *values = (line.split("\t") for line in path.read_text(encoding="utf-8").splitlines())
        return float(values[-1][names.index("s")])
    except (OSError, ValueError, IndexError):
        return None


def starting_seconds(jobs: Sequence[PlannedJob]) -> dict[str, float]:
    """What the program of each stage's jobs takes to start: measured of the stages of most jobs, importing them; the
    longest of these for the others."""
    counts = Counter(planned.job.stage for planned in jobs)
    measured = {stage: _importing_seconds(stage) for stage, _ in counts.most_common(COMMON)}
    return {stage: measured.get(stage, max(measured.values())) for stage in counts}


def _importing_seconds(stage: str) -> float:
    package = next(package for package, known in stages_of().items() if stage in known)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, "-c", f"import weightcast.runner, {package}.{stage}"], check=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
