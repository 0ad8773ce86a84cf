"""The part of a study of environments across time that is rehearsed: one unseen environment, and few visible ones."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weightcast.core.environment_table import EnvironmentTable
from weightcast.cost.jobs import PlannedJob
from weightcast.cost.measure import Work, processor_seconds
from weightcast.cost.rehearsal import Fewer, Told
from weightcast.families.gathering import import_family, simulate_family
from weightcast.families.jobs import (
    ChooseMap,
    EvaluateFamily,
    EvaluateOpponents,
    FamilyPlan,
    TrainConditionalFlow,
    TrainPathExperts,
    TrainPathVae,
    TrainPathZoo,
)
from weightcast.families.snapshots import FamilySnapshots

OF_ZOO, OF_UNSEEN, OF_VAE = "zoo", "unseen", "autoencoder"
"""Words in the names of trainings of experts, visible and unseen, and of their autoencoder."""
VISIBLE = 3
"""Visible environments of the part. A step of a training takes as long with few as with many, but where experts are
trained."""


class FamilyPart:
    """Few environments of the study, with all samples that they have.

    Attributes:
        plan: of the study.
        table: the part's own.
    """

    def __init__(self, plan: FamilyPlan, table: EnvironmentTable, folder: Path) -> None:
        self.plan, self._whole = plan, table
        chosen = (*table.visible[:VISIBLE], table.unseen[0])
        self.table = EnvironmentTable(chosen, table.parameter_names, folder / "environments.csv")
        self.table.save(self.table.path)
        found: list[FamilySnapshots] = []
        study = plan.study
        gather = import_family if study.data.imported else simulate_family
        seconds = processor_seconds(lambda: found.append(gather(study.data, self.table, study.seed)))
        self._gathering = seconds * len(table) / len(self.table)
        self._snapshots = folder / "snapshots.nc"
        found[0].save(self._snapshots)

    def told(self, planned: PlannedJob) -> list[Told]:
        settings = planned.settings(self.plan)
        if isinstance(settings, EvaluateFamily | EvaluateOpponents):
            return [Told(settings, len(self._whole.unseen))]
        if isinstance(settings, ChooseMap):
            # One environment is left out, one width and one inflation tried: what is searched and drawn grows with
            # all three. Searches for each kind of map and each further kind of prior stand beside those.
            paths = settings.paths.model_copy(update={"left_out": 1})
            inference = settings.inference.model_copy(
                update={
                    "inflations": settings.inference.inflations[:1],
                    "widened": settings.inference.widened[:1],
                }
            )
            kinds = len(paths.kinds) + len(inference.priors) - 1
            tried = len(settings.inference.widened) + len(settings.inference.inflations)
            grows = settings.paths.left_out * (kinds + tried) / (kinds + 2)
            return [Told(settings.model_copy(update={"paths": paths, "inference": inference}), grows)]
        if isinstance(settings, TrainConditionalFlow):
            # Its two trainings take as long with few environments as with many.
            return [Told(settings.model_copy(update={"left_out": 1}), settings.left_out)]
        if isinstance(settings, TrainPathExperts | TrainPathZoo):
            # A step is of all experts, and an unseen environment has one of its own.
            visible, unseen = len(self._whole.visible) / len(self.table.visible), len(self._whole.unseen)
            return [Told(settings, unseen, {OF_ZOO: visible, OF_UNSEEN: unseen})]
        if isinstance(settings, TrainPathVae):
            # A step is of so many experts, if there are as many.
            whole, part = (min(settings.vae.batch, len(table.visible)) for table in (self._whole, self.table))
            return [Told(settings, 1.0, {OF_VAE: whole / part})]
        return [Told(settings)]

    def fewer(self, planned: PlannedJob, told: Told, inputs: Mapping[str, str | list[str]]) -> Fewer | None:
        return None  # what does not grow with environments, a job's start, is counted apart

    def instead(self, planned: PlannedJob) -> Work | None:
        return Work(self._gathering) if planned.job.stage == "gather_snapshots" else None

    def inputs(self, planned: PlannedJob, found: dict[str, Any]) -> Mapping[str, str | list[str]]:
        own = {"snapshots": str(self._snapshots), "table": str(self.table.path)}
        return found | {name: path for name, path in own.items() if name in found}

    def keep(self, planned: PlannedJob, outputs: Mapping[str, Path]) -> None:
        """Nothing more is needed."""
