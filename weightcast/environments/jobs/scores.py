"""What jobs are told that forecast with weights and score them."""

from __future__ import annotations

from typing import Any

from weightcast.core.job import StageSettings
from weightcast.environments.config.baselines import AutoregressionSettings, TreesSettings
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.evaluation import EvaluationSettings, ObservedCase
from weightcast.environments.jobs.told import Plan, Rows
from weightcast.environments.plan import choosing_environments


class Scoring(Rows):
    """What decides how a forecast is scored; shared by the stages that score."""

    study: str
    data: DataSettings
    evaluation: EvaluationSettings

    @classmethod
    def scoring(cls, plan: Plan) -> dict[str, Any]:
        evaluation = plan.study.evaluation
        return {
            "environments": plan.table.environments,
            "study": plan.study.study,
            "data": plan.study.data,
            "evaluation": EvaluationSettings(
                horizons=evaluation.horizons, adaptation_scores=evaluation.adaptation_scores
            ),
        }


class EvaluateWeights(Scoring):
    """Rollouts of the weights of one source."""

    @classmethod
    def of(cls, plan: Plan, source: str) -> EvaluateWeights:
        return cls(**cls.scoring(plan))


class EvaluateWithoutNetwork(Scoring):
    """Persistence, climatology and damped persistence."""

    @classmethod
    def of(cls, plan: Plan) -> EvaluateWithoutNetwork:
        return cls(**cls.scoring(plan))


class EvaluateRegressions(Scoring):
    """Linear autoregressions and boosted trees of states without a grid.

    Attributes:
        cases: what is shown of unseen environments.
        choosing: ids of visible environments on which settings of each environment's own are chosen.
    """

    cases: tuple[ObservedCase, ...]
    autoregression: AutoregressionSettings | None
    trees: TreesSettings | None
    choosing: tuple[str, ...]
    seed: int

    @classmethod
    def of(cls, plan: Plan) -> EvaluateRegressions:
        study = plan.study
        return cls(
            **cls.scoring(plan),
            cases=tuple(study.evaluation.observed) if plan.table.unseen else (),
            autoregression=study.baselines.autoregression,
            trees=study.baselines.trees,
            choosing=tuple(choosing_environments(study, plan.table)),
            seed=study.seed,
        )


class CollectCosts(StageSettings):
    """Costs need no settings: they stand in the artifacts."""

    @classmethod
    def of(cls, plan: Plan) -> CollectCosts:
        return cls()


class Summarise(StageSettings):
    """The tables of results."""

    trained_horizon: int
    bootstrap: int
    adaptation_scores: bool

    @classmethod
    def of(cls, plan: Plan) -> Summarise:
        evaluation = plan.study.evaluation
        return cls(
            trained_horizon=plan.study.trained_horizon,
            bootstrap=evaluation.bootstrap,
            adaptation_scores=evaluation.adaptation_scores,
        )


class SummariseObserved(StageSettings):
    """Tables of what methods make of a few frames, case by case.

    Attributes:
        cases: in the order of the tables.
    """

    cases: tuple[ObservedCase, ...]
    trained_horizon: int
    bootstrap: int

    @classmethod
    def of(cls, plan: Plan) -> SummariseObserved:
        evaluation = plan.study.evaluation
        return cls(
            cases=tuple(evaluation.observed),
            trained_horizon=plan.study.trained_horizon,
            bootstrap=evaluation.bootstrap,
        )
