"""The part of a study across time that is rehearsed: all of its trainings, and the evaluation of one interval."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weightcast.cost.example_samples import example_samples
from weightcast.cost.jobs import PlannedJob
from weightcast.cost.measure import Work
from weightcast.cost.rehearsal import Told
from weightcast.evolution.jobs import Scoring, TimePlan
from weightcast.evolution.plan import ALL
from weightcast.samples.snapshots import Snapshots


class TimePart:
    """All snapshots, with samples that lie as the study's; an interval between two of them to evaluate.

    Attributes:
        plan: of the study.
        snapshots: all of them.
        interval: those at the times of one interval.
    """

    def __init__(self, plan: TimePlan, folder: Path) -> None:
        self.plan = plan
        self.snapshots, self._simulation = example_samples(plan.study)
        self.interval = one_interval(self.snapshots)
        self._files = {"all": folder / "snapshots.nc", "interval": folder / "interval.nc"}
        self.snapshots.save(self._files["all"])
        self.interval.save(self._files["interval"])

    def told(self, planned: PlannedJob) -> list[Told]:
        settings = planned.settings(self.plan)
        if self._evaluates_all(planned):
            return [Told(settings, (len(self.snapshots.times) - 1) / (len(self.interval.times) - 1))]
        return [Told(settings)]

    def fewer(self, planned: PlannedJob, told: Told, inputs: Mapping[str, str | list[str]]) -> None:
        """There is one environment."""

    def instead(self, planned: PlannedJob) -> Work | None:
        return Work(self._simulation) if planned.job.stage == "simulate_snapshots" else None

    def inputs(self, planned: PlannedJob, found: dict[str, Any]) -> Mapping[str, str | list[str]]:
        if "snapshots" in found:
            found["snapshots"] = str(self._files["interval" if self._evaluates_all(planned) else "all"])
        return found

    def keep(self, planned: PlannedJob, outputs: Mapping[str, Path]) -> None:
        """Nothing more is needed."""

    def _evaluates_all(self, planned: PlannedJob) -> bool:
        """Whether a job evaluates at all times; where a snapshot was left out, it is that one time."""
        settings = planned.settings(self.plan)
        return isinstance(settings, Scoring) and settings.fold == ALL


def one_interval(snapshots: Snapshots) -> Snapshots:
    """The samples from an observed time in the middle to the next one."""
    observed = snapshots.observed_positions
    start = max(0, len(observed) // 2 - 1)
    chosen = list(range(observed[start], observed[start + 1] + 1))
    return Snapshots(
        snapshots.times[chosen],
        snapshots.observed[chosen],
        tuple(snapshots.train[place] for place in chosen),
        tuple(snapshots.held_out[place] for place in chosen),
        snapshots.dimensions,
        snapshots.states,
        masses=None if snapshots.masses is None else snapshots.masses[chosen],
    )
