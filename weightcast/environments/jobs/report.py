"""What jobs are told that make what the report shows."""

from __future__ import annotations

from typing import Any

from weightcast.core.job import StageSettings
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.config.explain import ExplainSettings
from weightcast.environments.jobs.scores import Scoring
from weightcast.environments.jobs.told import Plan, Rows, Told
from weightcast.environments.plan import (
    attended_arms,
    pictured_environments,
    pictured_unknown,
    shown_methods,
    source_settings,
)


class MapWeights(Told):
    """The weight-environment map of the visible environments."""

    bases: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan) -> MapWeights:
        return cls(shown=plan.shown, environments=plan.table.visible, bases=tuple(plan.study.zoo.bases))


class CorrelateLabels(Rows):
    """What surrogate labels have to do with parameters."""

    @classmethod
    def of(cls, plan: Plan) -> CorrelateLabels:
        return cls(environments=plan.table.visible)


class ShowEnvironments(Rows):
    """Which environments and channels are drawn."""

    channels: list[str]

    @classmethod
    def of(cls, plan: Plan) -> ShowEnvironments:
        shown = tuple(plan.table[id] for id in pictured_environments(plan.table))
        return cls(environments=shown, channels=plan.study.data.channels)


class ShowRollouts(Scoring):
    """Rollouts that the report shows side by side."""

    methods: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan) -> ShowRollouts:
        return cls(**cls.scoring(plan), methods=tuple(shown_methods(plan.study)))


class ShowObserved(Rows):
    """The unseen environments of which the report shows frames and forecast, in the first case."""

    data: DataSettings
    case: ObservedCase
    members: int
    steps: int
    seed: int

    @classmethod
    def of(cls, plan: Plan) -> ShowObserved:
        evaluation = plan.study.evaluation
        return cls(
            environments=tuple(plan.table[id] for id in pictured_unknown(plan.table)),
            data=plan.study.data,
            case=evaluation.observed[0],
            members=evaluation.members,
            steps=max(evaluation.horizons),
            seed=plan.study.seed,
        )


class Distil(Rows):
    """Predictors distilled into differential equations."""

    study: str
    data: DataSettings
    system: dict[str, Any]
    explain: ExplainSettings
    methods: tuple[str, ...]
    seed: int

    @classmethod
    def of(cls, plan: Plan) -> Distil:
        study = plan.study
        assert study.explain is not None  # otherwise there is no such job
        return cls(
            environments=plan.table.environments,
            study=study.study,
            data=study.data,
            system=source_settings(study.data),
            explain=study.explain,
            methods=tuple(study.explain.methods or shown_methods(study)),
            seed=study.seed,
        )


class ShowAttention(Told):
    """Attention of the encoders of arms.

    Attributes:
        arms: that have any.
    """

    arms: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan) -> ShowAttention:
        return cls(shown=plan.shown, environments=plan.table.visible, arms=tuple(attended_arms(plan.study)))


class DescribePosteriors(Rows):
    """What the frames of every case leave open of the unseen environments; the visible ones are the yardstick."""

    data: DataSettings
    cases: tuple[ObservedCase, ...]
    logarithmic_parameters: list[str]
    seed: int

    @classmethod
    def of(cls, plan: Plan) -> DescribePosteriors:
        study = plan.study
        return cls(
            environments=plan.table.environments,
            data=study.data,
            cases=tuple(study.evaluation.observed),
            logarithmic_parameters=study.logarithmic_parameters,
            seed=study.seed,
        )


class CompareWithExperts(Rows):
    """Generated weights beside the experts of the zoo that they could be copies of.

    Attributes:
        bases: of the zoos, in their order.
        arms: the base of each arm's zoo.
    """

    study: str
    data: DataSettings
    bases: tuple[str, ...]
    arms: dict[str, str]
    logarithmic_parameters: list[str]
    seed: int

    @classmethod
    def of(cls, plan: Plan) -> CompareWithExperts:
        study = plan.study
        return cls(
            environments=plan.table.environments,
            study=study.study,
            data=study.data,
            bases=tuple(study.zoo.bases),
            arms={name: arm.base for name, arm in study.generator.arms.items()},
            logarithmic_parameters=study.logarithmic_parameters,
            seed=study.seed,
        )


class WriteReport(StageSettings):
    """The report needs no settings: it reads the study's results."""

    @classmethod
    def of(cls, plan: Plan) -> WriteReport:
        return cls()
