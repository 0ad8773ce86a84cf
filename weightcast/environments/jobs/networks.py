"""What jobs are told that train bases, context, rivals and experts."""

from __future__ import annotations

from typing import Literal

from weightcast.core.config.predictor import AnyPredictor
from weightcast.core.config.training import PooledTraining, PredictorTraining
from weightcast.core.job import StageSettings
from weightcast.core.methods import CONTEXT
from weightcast.environments.config.baselines import InContextSettings
from weightcast.environments.config.condition import ConditionName, FramesSettings
from weightcast.environments.config.context import ContextSettings
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.equations import EquationsSettings
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.config.weight_map import AnyWeightMap
from weightcast.environments.config.zoo import MapChoiceSettings, Perturbation
from weightcast.environments.jobs.told import Plan, Rows, Told
from weightcast.environments.plan import (
    base_environments,
    choosing_environments,
    context_seeds,
)


class TrainBase(Told):
    """A network trained on all visible environments together: a pooled one, a conditioned one or a hypernetwork.

    Attributes:
        rivals: other kinds of maps with their trainings, among which and ``weight_map`` left-out environments choose.
        choice: how; None where there are no rivals.
    """

    data: DataSettings
    predictor: AnyPredictor
    weight_map: AnyWeightMap
    condition: ConditionName
    training: PooledTraining
    rivals: tuple[tuple[AnyWeightMap, PooledTraining], ...] = ()
    choice: MapChoiceSettings | None = None
    logarithmic_parameters: list[str]
    seed: int

    @classmethod
    def of(cls, plan: Plan, base: str) -> TrainBase:
        study = plan.study
        trained = trained_maps(study)[base]
        return cls(
            shown=plan.shown,
            environments=tuple(plan.table[id] for id in base_environments(study, plan.table, base)),
            data=study.data.of_role("visible"),
            predictor=study.predictor,
            weight_map=trained.weight_map,
            condition=trained.condition,
            training=trained.training,
            rivals=trained.rivals,
            choice=study.base.choice if trained.rivals else None,
            logarithmic_parameters=study.logarithmic_parameters,
            seed=study.seed,
        )


class TrainContext(Rows):
    """Codes of all visible environments together with a map from codes to weights.

    Attributes:
        context_seed: of this one among the study's contexts.
    """

    data: DataSettings
    predictor: AnyPredictor
    context: ContextSettings
    context_seed: int = 0
    seed: int

    @classmethod
    def of(cls, plan: Plan, context: str = CONTEXT) -> TrainContext:
        study = plan.study
        assert study.context is not None  # otherwise there is no such job
        return cls(
            environments=tuple(plan.table[id] for id in base_environments(study, plan.table, context)),
            data=study.data,
            predictor=study.predictor,
            context=study.context.model_copy(update={"seeds": [0]}),  # further seeds change nothing for this one
            context_seed=context_seeds(study)[context],
            seed=study.seed,
        )


class TrainInContext(Rows):
    """A larger network that sees frames of an environment beside the state, trained on all visible ones together.

    Attributes:
        frames: how those that it sees are spoilt in training.
    """

    data: DataSettings
    predictor: AnyPredictor
    in_context: InContextSettings
    frames: FramesSettings
    seed: int

    @classmethod
    def of(cls, plan: Plan) -> TrainInContext:
        study = plan.study
        assert study.baselines.in_context is not None  # otherwise there is no such job
        return cls(
            environments=tuple(plan.table[id] for id in base_environments(study, plan.table, "in-context")),
            data=study.data,
            predictor=study.predictor,
            in_context=study.baselines.in_context,
            frames=study.conditions.frames,
            seed=study.seed,
        )


class FindEquations(Rows):
    """Sparse equations of all visible environments.

    Attributes:
        choosing: ids of those on which terms are chosen, left out of what is known of coefficients then.
    """

    data: DataSettings
    equations: EquationsSettings
    choosing: tuple[str, ...]
    seed: int

    @classmethod
    def of(cls, plan: Plan) -> FindEquations:
        study = plan.study
        assert study.baselines.equations is not None  # otherwise there is no such job
        return cls(
            environments=plan.table.visible,
            data=study.data,
            equations=study.baselines.equations,
            choosing=tuple(choosing_environments(study, plan.table)),
            seed=study.seed,
        )


class TrainExperts(Told):
    """Experts of the environments of a shard, fine-tuned from a base; the other base's training is none of theirs."""

    data: DataSettings
    initialisation: Literal["base", "random"]
    permuted: bool
    perturbation: Perturbation
    training: PredictorTraining
    members: int
    seed: int

    @classmethod
    def of(cls, plan: Plan, base: str, shard: str) -> TrainExperts:
        zoo = plan.study.zoo
        rows = tuple(plan.table[id] for id in plan.shards[shard])
        return cls(
            shown=plan.shown,
            environments=rows,
            data=plan.study.data.of_role(rows[0].role),  # a shard is of visible environments or of unseen ones
            initialisation=zoo.initialisation,
            permuted=zoo.permuted,
            perturbation=zoo.perturbation,
            training=zoo.training_from(base),
            members=zoo.members if shard.startswith("visible") else 1,
            seed=plan.study.seed,
        )

    @property
    def most_processes(self) -> int:
        """Experts of the shard."""
        return len(self.environments) * self.members


class GatherZoo(StageSettings):
    """Which environments' experts are gathered, in this order."""

    environments: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan, base: str, part: str) -> GatherZoo:
        chosen = plan.table.visible if part == "zoo" else plan.table.unseen
        return cls(environments=tuple(environment.id for environment in chosen))
