"""The part of a study across environments that is rehearsed: a few of its environments, with random frames."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch

from weightcast.core.environment_table import ROLES, EnvironmentTable, Role, write_environments
from weightcast.core.job import StageSettings
from weightcast.cost.jobs import PlannedJob
from weightcast.cost.measure import Work
from weightcast.cost.simulation import simulation_seconds
from weightcast.environments.config.study import Study
from weightcast.environments.jobs import Plan, Rows
from weightcast.environments.zoo import ExpertShard
from weightcast.trajectories import Trajectories, write_trajectories

ONE_ENVIRONMENT = ("simulate", "import_trajectories")
"""Stages whose jobs are of one environment each, of which it is no matter which."""
OF_ALL = ("summarise",)
"""Stages that have no environments in their settings, and yet more to do the more there are."""
SHOWN = ("show_rollouts", "show_environments")
"""Stages that draw a few environments, however many there are."""
FEWEST, MOST = 6, 12
"""Visible environments of the part, if the study has so many; a step of some training may need more than the fewest."""


class EnvironmentsPart:
    """Some visible environments, as many as a step of any training looks at, and some unseen ones.

    Attributes:
        plan: of the whole study.
        few: of the part.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self.few = replace(plan, table=few_environments(plan.study, plan.table))
        self.folder = folder
        self._table = folder / "environments.csv"
        write_environments(self._table, self.few.table)
        write_random_frames(folder / "trajectories", self.few)

    def settings(self, planned: PlannedJob) -> tuple[StageSettings, float]:
        whole = planned.settings(self.plan)
        stage = planned.job.stage
        if stage in ONE_ENVIRONMENT or planned.job.settings is not None:
            return whole, 1.0
        if stage == "train_experts":
            return self._shard(whole)
        part = planned.settings(self.few)
        if stage in OF_ALL:
            return part, len(self.plan.table) / len(self.few.table)
        there, here = _count(whole), _count(part)
        return part, 1.0 if stage in SHOWN or not here else there / here

    @cached_property
    def _simulation(self) -> Work:
        return Work(simulation_seconds(self.plan.study, self.plan.table))

    def _shard(self, whole: StageSettings) -> tuple[StageSettings, float]:
        """A shard of as many environments, of those of the part that have its role."""
        assert isinstance(whole, Rows)
        visible = whole.environments[0].role == "visible"
        there = self.few.table.visible if visible else self.few.table.unseen
        environments = tuple(there[: len(whole.environments)])
        return whole.model_copy(update={"environments": environments}), len(whole.environments) / len(environments)

    def instead(self, planned: PlannedJob) -> Work | None:
        if planned.job.stage == "download_era5":
            return Work()  # the network has its own pace
        if planned.job.stage == "simulate":
            return self._simulation
        return None

    def inputs(self, planned: PlannedJob, found: dict[str, Any]) -> Mapping[str, str | list[str]]:
        if "trajectories" in found:
            found["trajectories"] = str(self.folder / "trajectories")
        if "table" in found:
            found["table"] = str(self._table)
        if planned.job.stage == "gather_zoo":
            found["shards"] = sorted(set(found["shards"]))  # each holds all environments of its role: `keep`
        return found

    def keep(self, planned: PlannedJob, outputs: Mapping[str, Path]) -> None:
        """A shard's experts again for each environment of their role, none of them diverged for want of training."""
        if planned.job.stage != "train_experts":
            return
        shard = ExpertShard.load(outputs["output"])
        first = [row for row, name in enumerate(shard.environments) if name == shard.environments[0]]
        table = self.few.table
        visible = table[shard.environments[0]].role == "visible"
        names = [environment.id for environment in (table.visible if visible else table.unseen)]
        repeated = shard.take([row for _ in names for row in first])
        manifest = [
            entry | {"environment": names[number // len(first)], "diverged": False}
            for number, entry in enumerate(repeated.manifest)
        ]
        # No two experts are alike, or there would be nothing to learn of how they vary.
        noise = torch.randn(repeated.weights.shape, generator=torch.Generator().manual_seed(0))
        weights = repeated.weights * (1.0 + 0.01 * noise)
        ExpertShard(weights, manifest, shard.metadata).save(outputs["output"])


def few_environments(study: Study, table: EnvironmentTable) -> EnvironmentTable:
    """So many of a study's environments that a step of a training is as long as with all, and one of each role."""
    base, baselines, generator = study.base, study.baselines, study.generator
    pooled = (base.erm, base.conditioned, baselines.film_matched, baselines.hypernetwork.training)
    together = [*(training.environments for training in pooled), generator.end_to_end.environments]
    shard = study.zoo.shard_environments
    number = max(FEWEST, min(MOST, shard), *together)
    chosen = {environment.id for environment in [*table.visible[:number], *table.unseen[: min(FEWEST, shard)]]}
    for role in ROLES:
        chosen |= {environment.id for environment in _of_role(table, role)[:1]}
    return EnvironmentTable(
        tuple(environment for environment in table if environment.id in chosen), table.parameter_names, table.path
    )


def write_random_frames(folder: Path, plan: Plan) -> None:
    """Trajectories of a study's sizes for each environment: how long computing with them takes is the same."""
    data, random = plan.study.data, np.random.default_rng(0)
    shape = (data.trajectories.total, data.frames, len(data.channels), *data.grid)
    values = random.standard_normal(shape, dtype=np.float32)
    folder.mkdir(parents=True)
    for environment in plan.table:
        trajectories = Trajectories(
            values=values,
            channels=tuple(data.channels),
            time=np.arange(float(data.frames)),
            y=np.arange(float(data.grid[0])),
            x=np.arange(float(data.grid[1])),
            environment=environment.id,
            parameters=environment.parameters,
        )
        write_trajectories(folder / f"{environment.id}.nc", trajectories)


def _of_role(table: EnvironmentTable, role: Role) -> list[Any]:
    return [environment for environment in table if environment.role == role]


def _count(settings: StageSettings) -> int:
    return len(getattr(settings, "environments", ()))
