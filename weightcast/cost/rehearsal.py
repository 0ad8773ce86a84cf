"""A study rehearsed: one job of each kind is run by its own stage, on a part of the study, and in a temporary folder.

Jobs are of a kind if their stage and settings are the same but for seeds and for which environments they are of, and
if what they read is made by jobs of the same kinds. Trainings stop after a few steps
(:class:`weightcast.cost.measure.MeasuredRun`); what a rehearsed job writes, the next ones read, so all sizes are those
of the study. What of it is left out, and how the rest grows, is said by the study's half: :class:`Part`.
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import pandas as pd

from weightcast.core.artifact_header import digest_of
from weightcast.core.errors import InputError
from weightcast.core.job import StageSettings
from weightcast.core.stage import Saved
from weightcast.cost.jobs import PlannedJob, inputs_from, producers
from weightcast.cost.measure import MeasuredRun, Work, one_quiet_thread
from weightcast.runner import find_stage

SEEDS = ("seed", "context_seed", "generator_seed", "anchors_seed", "flow_seed")
BUDGET = 12.0
"""Seconds for which steps of trainings are repeated, over all kinds of jobs."""
LEAST, MOST = 0.1, 3.0
"""Seconds of it for one kind."""
LONG = 20.0
"""Seconds, trainings apart, from which on a job is rehearsed with fewer environments, too."""

Paths = Mapping[str, str | list[str]]


@dataclass(frozen=True)
class Told:
    """What a job is told in a rehearsal.

    Attributes:
        settings: of its stage.
        grows: how many times as long it would take in the study, trainings apart.
        trainings: the same of trainings whose names have a word in them.
        size: of the batch, the stack, or whatever else makes a training's step long.
        whole: its size in the study.
    """

    settings: StageSettings
    grows: float = 1.0
    trainings: Mapping[str, float] = field(default_factory=dict)
    size: int = 1
    whole: int = 1


@dataclass(frozen=True)
class Fewer:
    """A job that is told fewer environments than the part has: what jobs take however many there are is so told apart
    from what they take for each.

    Attributes:
        settings: of its stage.
        inputs: the files that it reads.
        environments: that it is told; those that the part has; those of the study.
    """

    settings: StageSettings
    inputs: Mapping[str, str | list[str]]
    environments: tuple[int, int, int]


class Part(Protocol):
    """The part of a study that is rehearsed, in a folder of its own."""

    plan: Any
    """Of the whole study."""

    def told(self, planned: PlannedJob) -> list[Told]:
        """What a job is told: once, or of two sizes, whose steps are on the straight line that the study's are on."""

    def fewer(self, planned: PlannedJob, told: Told, inputs: Paths) -> Fewer | None:
        """The job of fewer environments, if the study has so many more than the part that it makes a difference."""

    def instead(self, planned: PlannedJob) -> Work | None:
        """What a job takes that is not run by its stage: its data is there, or is made otherwise."""

    def inputs(self, planned: PlannedJob, found: dict[str, Any]) -> Paths:
        """The files that a job reads: those found, by the names of inputs, with the part's own in their place."""

    def keep(self, planned: PlannedJob, outputs: Mapping[str, Path]) -> None:
        """Look at what a job has written, to make of it what further ones need."""


@dataclass(frozen=True)
class Rehearsed:
    """What the kinds of jobs take.

    Attributes:
        kinds: of the jobs, in their order.
        work: of each kind, without the start of its program.
        failed: why a kind could not be rehearsed.
    """

    kinds: list[str]
    work: dict[str, Work]
    failed: dict[str, str]


@dataclass
class Rehearsal:
    """Runs one job of each kind.

    Attributes:
        jobs: of the whole study.
        part: of it that is rehearsed.
        folder: a temporary one.
        budget: seconds for which steps are repeated; None: ``BUDGET``.
    """

    jobs: Sequence[PlannedJob]
    part: Part
    folder: Path
    budget: float | None = None
    _made: dict[str, dict[str, Path]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self._made_by = producers(self.jobs)
        self._kind_of = kinds_of(self.jobs, self.part.plan)

    def run(self, needed: Sequence[PlannedJob] | None = None) -> Rehearsed:
        """Rehearse.

        Args:
            needed: the jobs whose kinds are measured, and with them those that they build on; all if None.

        Raises:
            InputError: a package that the study needs is not installed.
        """
        first = self._first_of_kinds(self.jobs if needed is None else needed)
        trainings = sum("train" in planned.job.stage or "tune" in planned.job.stage for planned in first.values())
        budget = BUDGET if self.budget is None else self.budget
        each = min(MOST, max(LEAST if budget else 0.0, budget / max(1, trainings)))
        work, failed = {}, {}
        with one_quiet_thread():
            for kind, planned in first.items():
                try:
                    work[kind] = self._rehearse(kind, planned, each)
                except Exception as error:
                    if isinstance(error, InputError) and isinstance(error.__context__, ImportError):
                        raise  # a package that the study needs is not installed
                    failed[kind] = f"{planned.job.stage}: {type(error).__name__}: {error}"
        return Rehearsed([self._kind_of[planned] for planned in self.jobs], work, failed)

    def _first_of_kinds(self, needed: Sequence[PlannedJob]) -> dict[str, PlannedJob]:
        """A job of each kind, after those that it reads from."""
        found: dict[str, PlannedJob] = {}
        first = {self._kind_of[planned]: planned for planned in reversed(self.jobs)}

        def add(kind: str) -> None:
            if kind in found:
                return
            planned = first[kind]
            for source, _ in inputs_from(planned, self._made_by):
                add(self._kind_of[source])
            found[kind] = planned

        for planned in needed:
            add(self._kind_of[planned])
        return found

    def _rehearse(self, kind: str, planned: PlannedJob, budget: float) -> Work:
        instead = self.part.instead(planned)
        if instead is not None:
            self._made[kind] = {}
            return instead
        # Where they lie among themselves counts: the report looks for files beside others.
        outputs = {name: self.folder / path.lstrip("/") for name, path in planned.job.outputs.items()}
        found = {name: self._found(paths) for name, paths in planned.job.inputs.items()}
        inputs = self.part.inputs(planned, found)
        told = self.part.told(planned)
        works = [self._call(planned, one, inputs, outputs, budget) for one in told]
        self._made[kind] = outputs
        self.part.keep(planned, outputs)
        trained = works[-1][0] if len(works) == 1 else of_size(told, [work for work, _ in works])
        return trained + self._of_all(planned, told[-1], works[-1][1], inputs)

    def _of_all(self, planned: PlannedJob, told: Told, rest: Work, inputs: Paths) -> Work:
        """What a job takes but for its trainings, in the study; ``rest``, if all of it grew as environments do."""
        if rest.seconds < LONG or (fewer := self.part.fewer(planned, told, inputs)) is None:
            return rest
        _, part, study = fewer.environments
        outputs = {name: self.folder / "fewer" / path.lstrip("/") for name, path in planned.job.outputs.items()}
        frames = told.grows * part / study
        try:
            _, of_few = self._call(planned, Told(fewer.settings, frames), fewer.inputs, outputs, 0.0)
        except Exception:  # no stage has to make do with so few
            return rest
        of_part = rest.seconds * part / study
        return Work(min(rest.seconds, of_environments((of_few.seconds, of_part), fewer.environments)))

    def _call(
        self, planned: PlannedJob, told: Told, inputs: Paths, outputs: Mapping[str, Path], budget: float
    ) -> tuple[Work, Work]:
        """What the trainings of a job take, and the rest of it."""
        stage = find_stage(planned.job.stage)  # to import it is part of every job's start
        started = time.process_time()
        run = MeasuredRun(
            self.part.plan.study.acceleration,
            identity=partial(stage.key, told.settings, inputs),
            outputs=outputs,
            budget=budget,
            grows=told.trainings,
        )
        made = stage(run, told.settings, **_told_apart(stage.load(inputs)))
        written: dict[str, Saved] = {} if made is None else made if isinstance(made, dict) else {"output": made}
        for name, value in written.items():
            value.save(outputs[name])
        rest = time.process_time() - started - run.spent
        return run.trained, Work(max(rest, 0.0) * told.grows)

    def _found(self, paths: str | list[str]) -> Any:
        """Where what jobs of the study read lies in the rehearsal."""
        if isinstance(paths, list):
            return self._numbered([self._found(path) for path in paths])
        if paths not in self._made_by:
            return paths
        planned, name = self._made_by[paths]
        made = self._made.get(self._kind_of[planned])
        if made is None:
            raise RuntimeError(f"{planned.job.stage}, which comes before it, was not rehearsed")
        return str(made[name]) if made else paths  # the part has it

    def _numbered(self, files: list[str]) -> list[str]:
        """Tables of errors of one kind, of which all are the same one here, have seeds of their own."""
        seen, numbered, often = Counter[str](), [], Counter(files)
        for file in files:
            number, path = seen[file], Path(file)
            seen[file] += 1
            if often[file] > 1 and path.suffix == ".csv":
                table = pd.read_csv(path)
                path = path.with_name(f"{path.stem}-{number}.csv")
                table.assign(seed=number).to_csv(path, index=False)
            numbered.append(str(path))
        return numbered


def of_size(told: Sequence[Told], works: Sequence[Work]) -> Work:
    """The work of a training of the study's size, from two smaller ones.

    Operations, and the time that they take, grow along a straight line: what all samples share (the optimiser's pass
    over the parameters) once, and the same for every sample.
    """
    (first, second), (one, several) = told, works
    sample = (several + one * -1.0) * (1 / (second.size - first.size))
    if sample.seconds <= 0.0 or not 0.0 <= sample.counted <= sample.seconds:  # a disturbed measurement: rather too much
        sample = several * (1 / second.size)
    return one + sample * (second.whole - first.size)


def of_environments(seconds: tuple[float, float], environments: tuple[int, int, int]) -> float:
    """Seconds of all of a study's environments, on the straight line through those of two smaller numbers of them.

    Args:
        seconds: of the fewer, and of more.
        environments: how many these are, and those of the study.
    """
    (few, more), (first, second, whole) = seconds, environments
    return more + max(0.0, more - few) / (second - first) * (whole - second)


def kinds_of(jobs: Sequence[PlannedJob], plan: Any) -> dict[PlannedJob, str]:
    """The kind of each job."""
    made_by, kinds = producers(jobs), dict[PlannedJob, str]()

    def kind(planned: PlannedJob) -> str:
        if planned not in kinds:
            sources = sorted({f"{name} of {kind(source)}" for source, name in inputs_from(planned, made_by)})
            settings = alike(planned.settings(plan).model_dump(mode="json"))
            inputs = {name: 1 if isinstance(paths, str) else len(paths) for name, paths in planned.job.inputs.items()}
            said = json.dumps([settings, inputs, sources], sort_keys=True)
            kinds[planned] = f"{planned.job.stage}-{digest_of(said)[:12]}"
        return kinds[planned]

    for planned in jobs:
        kind(planned)
    return kinds


def alike(settings: Any, key: str = "") -> Any:
    """Settings without what makes no difference to how long a job takes: seeds, and which environments there are."""
    if isinstance(settings, dict):
        return {name: alike(value, name) for name, value in settings.items() if name not in SEEDS}
    if key == "environments" and isinstance(settings, list):
        visible = sum(isinstance(row, dict) and row["role"] == "visible" for row in settings)
        return [visible, len(settings) - visible]
    if key == "seeds":
        return len(settings)
    if key == "fold":
        return settings.partition("-")[0]
    return settings


def _told_apart(inputs: dict[str, Any]) -> dict[str, Any]:
    """Artifacts of one kind, of which all are the same one here, have seeds of their own."""
    for several in inputs.values():
        for number, artifact in enumerate(several if isinstance(several, list) else []):
            metadata = getattr(artifact, "metadata", None)
            if isinstance(metadata, dict) and "seed" in metadata:
                metadata["seed"] = number
    return inputs
