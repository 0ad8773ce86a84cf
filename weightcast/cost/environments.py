"""The part of a study across environments that is rehearsed: a few of its environments, with random frames."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import torch
from numpy.typing import NDArray

from weightcast.core.environment_table import ROLES, Environment, EnvironmentTable, Role, write_environments
from weightcast.core.job import StageSettings
from weightcast.core.methods import WEIGHTS_ONLY
from weightcast.cost.jobs import MAKING_TRAJECTORIES, PlannedJob
from weightcast.cost.measure import Work
from weightcast.cost.rehearsal import Fewer, Told
from weightcast.cost.simulation import simulation_seconds
from weightcast.environments.commands.untrained import untrained_predictor
from weightcast.environments.config.study import Study
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.jobs import (
    AdaptToFrames,
    FindEquations,
    FinetuneBases,
    GenerateWeights,
    ImportExperts,
    Plan,
    TrainBase,
    TrainContext,
    TrainDiffusion,
    TrainExperts,
    TrainInContext,
    TrainVae,
    TuneGenerator,
)
from weightcast.environments.left_out import number_of_judges
from weightcast.environments.polish import iteration_operations
from weightcast.environments.weights_table import WeightsFile
from weightcast.environments.zoo import ExpertShard
from weightcast.trajectories import Trajectories, write_trajectories

OF_ALL = ("summarise",)
"""Stages that have no environments in their settings, and yet more to do the more there are."""
SHOWN = ("show_rollouts", "show_environments", "show_observed")
"""Stages that draw a few environments, however many there are."""
ROWS = 240
"""Environments of the tables that those are rehearsed on, at most."""
FEWEST, MOST = 6, 12
"""Visible environments of the part, if the study has so many; a step of some training may need more than the fewest."""
MANY = 4
"""Times the environments of the part, from which on jobs are rehearsed with fewer of them, too."""
TOLD = (TrainBase, TrainInContext, FindEquations, FinetuneBases, AdaptToFrames, TuneGenerator, GenerateWeights)
"""Settings that alone say which environments a job is of: of others, the files that they read say it, too."""
WAVES = 4
"""Of which each field of a rehearsal is a sum."""

FEW_NETWORKS = 4
"""Samples of the larger of two batches, of VAE and diffusion: most of a step with few is the optimiser's."""
LARGE_PREDICTOR, LARGE_GENERATOR = 1e6, 2e7
"""Weights from which on steps of trainings are measured with two small batches, and with few and short trajectories."""
SHORT = 12
"""Frames of those."""
FEW_SAMPLE_STEPS = 2
"""Steps of the sampler, of large generators."""


class EnvironmentsPart:
    """Some visible environments, as many as a step of any training looks at, and some unseen ones.

    Of a study with large networks: as few environments as there may be, and short trajectories.

    Attributes:
        plan: of the whole study.
        few: of the part.
    """

    def __init__(self, plan: Plan, folder: Path) -> None:
        self.plan = plan
        self._large = is_large(plan.study)
        study = shortened(plan.study) if self._large else plan.study
        self.few = Plan(study, few_environments(plan.study, plan.table, self._large))
        self._frames = max(plan.study.evaluation.horizons) / max(study.evaluation.horizons)
        self.folder = folder
        self._table = folder / "environments.csv"
        write_environments(self._table, self.few.table)
        write_random_frames(folder / "trajectories", self.few)

    def told(self, planned: PlannedJob) -> list[Told]:
        whole, stage = planned.settings(self.plan), planned.job.stage
        if stage in MAKING_TRAJECTORIES:
            first = whole.model_copy(update={"environments": whole.environments[:1]})  # type: ignore[attr-defined]
            return [Told(first, grows=_count(whole))]
        if planned.job.settings is not None:
            return [Told(whole)]
        part: StageSettings
        part = self._shard(whole) if isinstance(whole, TrainExperts | ImportExperts) else planned.settings(self.few)
        there, here = _count(whole), _count(part)
        grows = 1.0 if stage in SHOWN or not here else self._frames * there / here
        if stage in OF_ALL:
            grows = len(self.plan.table) / (len(self.few.table) * self._copies)
        if isinstance(whole, TrainContext) and isinstance(part, TrainContext) and whole.context.polish is not None:
            grows = self._frames * _held(whole) / _held(part)  # a second-order training is most of it
        if isinstance(whole, GenerateWeights) and self._large:
            grows = there / here * self._sample_steps(whole)
        if isinstance(whole, FinetuneBases | AdaptToFrames) and isinstance(part, FinetuneBases | AdaptToFrames):
            if isinstance(part, AdaptToFrames) and self.few.study.data.grid != (1, 1):
                part = part.model_copy(update={"environments": _first_of_roles(part.environments)})
                grows = self._frames * there / _count(part)  # a search is long, and as long for each environment
            return [Told(part, grows, _finetuned(whole, part))]
        if self._large and (sized := _sized(part, whole)):
            return [Told(settings, grows, {}, size, of) for settings, size, of in sized]
        if isinstance(whole, TrainContext) and isinstance(part, TrainContext):
            judge, judging = (number_of_judges(whole.context.choice.left_out, count) for count in (here, there))
            trainings = {"equations": there / here, "calibration": judging / judge, "judge": judging / judge}
            if whole.context.polish is not None:
                # Of few environments most of it is what each takes by itself, rather than multiplications.
                trainings["polish"] = min(there / here, self._polished(whole) / self._polished(part))
            return [Told(part, grows, trainings)]
        stacked = there / here if isinstance(whole, TrainExperts) else 1.0
        return [Told(part, grows, {"equations": there / here if here else 1.0, "": stacked})]

    def _polished(self, settings: TrainContext) -> float:
        """How long an iteration of the second-order training takes, in units of its own."""
        weights = untrained_predictor(self.plan.study).graph.num_parameters
        dimensions = max(settings.context.dimensions)
        return iteration_operations(len(settings.environments), _held(settings), weights, dimensions)

    def _shard(self, whole: TrainExperts | ImportExperts) -> TrainExperts | ImportExperts:
        """A shard of as many environments, of those of the part that have its role."""
        visible = whole.environments[0].role == "visible"
        there = self.few.table.visible if visible else self.few.table.unseen
        update: dict[str, Any] = {"environments": tuple(there[: len(whole.environments)])}
        if isinstance(whole, TrainExperts):
            update["data"] = self.few.study.data.of_role(there[0].role)
        return whole.model_copy(update=update)

    def _sample_steps(self, settings: GenerateWeights) -> float:
        """How many times as many steps a sampler takes."""
        arm = settings.method.removeprefix("generator-").removesuffix(WEIGHTS_ONLY)
        return self.plan.study.generator.of_arm(arm)[1].sample_steps / FEW_SAMPLE_STEPS

    @cached_property
    def _simulation(self) -> Work:
        return Work(simulation_seconds(self.plan.study, self.plan.table))

    def instead(self, planned: PlannedJob) -> Work | None:
        if planned.job.stage in ("download_era5", "list_trajectories"):
            return Work()  # the network has its own pace; and a list of manifests is nothing
        if planned.job.stage != "simulate":
            return None
        return self._simulation * _count(planned.settings(self.plan))

    def inputs(self, planned: PlannedJob, found: dict[str, Any]) -> Mapping[str, str | list[str]]:
        for name in ("trajectories", "observed"):
            if name in found:
                found[name] = str(self.folder / "trajectories")
        if planned.job.stage == "import_trajectories":
            found = {name: files if isinstance(files, str) else files[:1] for name, files in found.items()}
        if "table" in found:
            found["table"] = str(self._table)
        if planned.job.stage in OF_ALL:
            found = {name: self._copied(name, paths) for name, paths in found.items()}
        if planned.job.stage == "gather_zoo":
            found["shards"] = found["shards"][:1]  # each has experts of all environments of its role: `keep`
        return found

    def fewer(self, planned: PlannedJob, told: Told, inputs: Mapping[str, str | list[str]]) -> Fewer | None:
        """A job of a third of each role's environments."""
        settings = told.settings
        rows, there = getattr(settings, "environments", ()), _count(planned.settings(self.plan))
        if not isinstance(settings, TOLD):
            return None
        chosen = tuple(row for role in ROLES for row in _third([row for row in rows if row.role == role]))
        in_proportion = math.isclose(told.grows * len(rows), self._frames * there)
        if not in_proportion or there < MANY * len(rows) or len(chosen) == len(rows):
            return None
        settings = settings.model_copy(update={"environments": chosen})
        if isinstance(settings, FindEquations):
            judges = {row.id for row in chosen}.intersection(settings.choosing)
            settings = settings.model_copy(update={"choosing": tuple(sorted(judges))})
        return Fewer(settings, inputs, (len(chosen), len(rows), there))

    @property
    def _copies(self) -> int:
        """How many times a table has the part's environments, for a stage of all of them."""
        return max(1, min(len(self.plan.table), ROWS) // len(self.few.table))

    def _copied(self, name: str, paths: str | list[str]) -> Any:
        """Tables of errors with more environments, none like another: tests of few pairs, and of pairs that are equal,
        take longer than those of many."""
        if isinstance(paths, list):
            return [self._copied(f"{name}-{number}", path) for number, path in enumerate(paths)]
        if self._copies == 1 or Path(paths).suffix != ".csv" or "environment" not in (table := pd.read_csv(paths)):
            return paths
        random = np.random.default_rng(0)
        copies = [
            table.assign(
                environment=table["environment"].astype(str) + (f"-{copy}" if copy else ""),
                value=table["value"] * (1 + 0.01 * random.standard_normal(len(table))),
            )
            for copy in range(self._copies)
        ]
        file = self.folder / "copied" / f"{name}-{Path(paths).name}"
        file.parent.mkdir(exist_ok=True)
        pd.concat(copies).to_csv(file, index=False)
        return str(file)

    def keep(self, planned: PlannedJob, outputs: Mapping[str, Path]) -> None:
        """Make of what was written for some environments what later jobs expect of all of the part."""
        settings = planned.settings(self.plan)
        if isinstance(settings, TrainExperts | ImportExperts):
            self._repeat_experts(outputs["output"], settings.members)
        elif isinstance(settings, AdaptToFrames):
            self._repeat_adapted(outputs["output"])
        elif planned.job.stage in OF_ALL:
            for file in outputs.values():  # of tables with more environments than the part
                table = pd.read_csv(file)
                if "environment" in table:
                    own = {environment.id for environment in self.few.table}
                    table[table["environment"].isin(own)].to_csv(file, index=False)

    def _repeat_experts(self, file: Path, members: int) -> None:
        """A shard's experts again for each environment of their role, none of them diverged for want of training."""
        shard = ExpertShard.load(file)
        rows = [row for row, name in enumerate(shard.environments) if name == shard.environments[0]]
        first = rows[:members]
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
        weights = repeated.weights[:] * (1.0 + 0.01 * noise)
        ExpertShard(weights, manifest, shard.metadata).save(file)

    def _repeat_adapted(self, file: Path) -> None:
        """Predictors from frames of one unseen environment again for each of them."""
        adapted, names = WeightsFile.load(file), [environment.id for environment in self.few.table.unseen]
        methods = []
        for method in adapted.methods:
            adapted_to = next(name for name in method.environments if name in names)
            first = [method.environments.index(adapted_to)] * len(names)
            shares = None if method.shares is None else method.shares[first]
            weights = method.weights[:][first]
            methods.append(replace(method, environments=names, weights=weights, shares=shares, diverged=[]))
        own = {key: value for key, value in adapted.metadata.items() if key != "methods"}
        WeightsFile.of(methods, own).save(file)


def is_large(study: Study) -> bool:
    """Whether a study's networks are too large to be trained for a few steps as they are."""
    sizes = [
        size
        for vae, diffusion in map(study.generator.of_arm, study.generator.arms)
        # Roughly: an encoder and a decoder, and a network with modulated norms, all of transformer blocks.
        for size in (24 * vae.layers * vae.width**2, 18 * diffusion.layers * diffusion.width**2)
    ]
    return max(sizes, default=0) > LARGE_GENERATOR or untrained_predictor(study).graph.num_parameters > LARGE_PREDICTOR


def shortened(study: Study) -> Study:
    """A study with short trajectories: what a step of a training sees of them is as long as before."""
    frames = min(study.data.frames, max(SHORT, study.baselines.finetune.frames + 1))
    trained = min(study.data.trained_frames, frames - 1)
    horizons = [horizon for horizon in study.evaluation.horizons if horizon < trained] or [1]
    data = study.data.model_copy(update={"frames": frames, "trained_frames": trained})
    evaluation = study.evaluation.model_copy(update={"horizons": horizons})
    return study.model_copy(update={"data": data, "evaluation": evaluation})


def few_environments(study: Study, table: EnvironmentTable, large: bool = False) -> EnvironmentTable:
    """So many of a study's environments that a step of a training is as long as with all, and one of each role.

    Args:
        study: its configuration.
        table: all environments.
        large: whether there are to be as few as possible.
    """
    together = [trained.training.environments for trained in trained_maps(study).values()]
    together.append(study.generator.end_to_end.environments)
    if study.baselines.in_context is not None:
        together.append(study.baselines.in_context.training.environments)
    shard = study.zoo.shard_environments
    visible, unseen = (2, 1) if large else (max(FEWEST, min(MOST, shard), *together), min(FEWEST, shard))
    chosen = {environment.id for environment in [*table.visible[:visible], *table.unseen[:unseen]]}
    for role in ROLES:
        chosen |= {environment.id for environment in _of_role(table, role)[:1]}
    return EnvironmentTable(
        tuple(environment for environment in table if environment.id in chosen), table.parameter_names, table.path
    )


def _sized(part: StageSettings, whole: StageSettings) -> list[tuple[StageSettings, int, int]]:
    """Settings whose training has steps of two small sizes, with the size and that of the study."""

    def changed(name: str, **values: Any) -> StageSettings:
        return part.model_copy(update={name: getattr(part, name).model_copy(update=values)})

    if isinstance(part, TrainBase) and isinstance(whole, TrainBase):
        of = min(whole.training.environments, len(whole.environments))
        return [(changed("training", environments=size), size, of) for size in (1, 2)]
    if isinstance(part, TuneGenerator) and isinstance(whole, TuneGenerator):
        of = min(whole.end_to_end.environments, len(whole.environments))
        return [(changed("end_to_end", environments=size), size, of) for size in (1, 2)]
    if isinstance(part, TrainExperts) and isinstance(whole, TrainExperts):
        one = part.environments[:1]
        of = whole.members * len(whole.environments)
        if of == 1:
            return [(part.model_copy(update={"environments": one}), 1, 1)]
        return [(part.model_copy(update={"environments": one, "members": size}), size, of) for size in (1, 2)]
    if isinstance(part, TrainVae) and part.vae.batch > FEW_NETWORKS:
        return [(changed("vae", batch=size), size, part.vae.batch) for size in (1, FEW_NETWORKS)]
    if isinstance(part, TrainDiffusion):
        steps, sizes = {"sample_steps": FEW_SAMPLE_STEPS}, (1, FEW_NETWORKS)
        if part.diffusion.batch <= FEW_NETWORKS:
            sizes = (part.diffusion.batch,)  # type: ignore[assignment]
        return [(changed("diffusion", batch=size, **steps), size, part.diffusion.batch) for size in sizes]
    return []


def _held(settings: TrainContext) -> int:
    """Numbers that forecasts of a context's second-order training are compared with."""
    data, polish, environments = settings.data, settings.context.polish, len(settings.environments)
    assert polish is not None
    of_trajectory = environments * (data.trained_frames - 1) * len(data.channels) * math.prod(data.grid)
    return of_trajectory * min(data.trajectories.train, max(1, polish.most_residuals // of_trajectory))


def _first_of_roles(rows: Sequence[Environment]) -> tuple[Environment, ...]:
    """A visible environment, and an unseen one."""
    visible = [row for row in rows if row.role == "visible"]
    return (*visible[:1], *[row for row in rows if row.role != "visible"][:1])


def _finetuned(whole: FinetuneBases | AdaptToFrames, part: FinetuneBases | AdaptToFrames) -> dict[str, float]:
    """How much larger the stacks of the fine-tuning are, by a word of its trainings' names."""
    counts = []
    for settings in (whole, part):
        visible = settings.with_role("visible")
        unseen = len(settings.environments) - len(visible)
        counts.append((min(len(visible), settings.finetune.choosing_environments), unseen or len(visible)))
    (chosen, wanted), (few_chosen, few_wanted) = counts
    return {"unseen": wanted / few_wanted, "visible": chosen / few_chosen}


def write_random_frames(folder: Path, plan: Plan) -> None:
    """Trajectories of a study's sizes for each environment: how long computing with them takes is the same."""
    data, random = plan.study.data, np.random.default_rng(0)
    values = _waves(
        random, (data.trajectories.most, data.recorded_frames, len(data.channels) + len(data.input_columns), *data.grid)
    )
    for number, channel in enumerate(data.channels):
        if channel in data.transforms:  # which is never negative
            values[:, :, number] = np.exp(values[:, :, number])
    folder.mkdir(parents=True)
    for environment in plan.table:
        trajectories = Trajectories(
            values=values,
            channels=(*data.channels, *data.input_columns),
            time=np.arange(float(data.recorded_frames)),
            y=np.arange(float(data.grid[0])),
            x=np.arange(float(data.grid[1])),
            environment=environment.id,
            parameters=environment.parameters,
        )
        write_trajectories(folder / f"{environment.id}.nc", trajectories)


def _waves(random: np.random.Generator, shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Sums of a few waves that go on from frame to frame [trajectory, frame, channel, y, x]: noise would make of every
    search for equations the longest that there is."""
    trajectories, frames, channels, rows, columns = shape
    values = np.zeros(shape, np.float32)
    time, y, x = np.arange(frames), np.arange(rows) / rows, np.arange(columns) / columns
    for _ in range(WAVES):
        size, phase = random.standard_normal((2, trajectories, 1, channels, 1, 1), dtype=np.float32)
        periods_y, periods_x, pace = random.integers(0, 3), random.integers(0, 3), random.uniform(0.1, 0.6)
        angle = 2 * np.pi * (periods_y * y[:, None] + periods_x * x) - pace * time[:, None, None, None]
        values += size * np.cos(angle[None] + 6 * phase, dtype=np.float32)
    return values


def _of_role(table: EnvironmentTable, role: Role) -> list[Any]:
    return [environment for environment in table if environment.role == role]


def _third(rows: Sequence[Environment]) -> Sequence[Environment]:
    return rows[: max(1, len(rows) // 3)]


def _count(settings: StageSettings) -> int:
    return len(getattr(settings, "environments", ()))
