"""What jobs are told that make weights for all environments."""

from __future__ import annotations

from weightcast.core.environment_table import Environment
from weightcast.core.methods import GENERATOR_PREFIX, WEIGHTS_ONLY
from weightcast.environments.config.baselines import FinetuneSettings
from weightcast.environments.config.condition import ConditionName
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.config.regression import RegressionSettings
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.jobs.told import Plan, Rows, Told
from weightcast.environments.plan import (
    adapted_maps,
    choosing_environments,
    context_seeds,
    experts_base,
    finetuned_maps,
    regressions,
)


class GenerateWeights(Told):
    """Weights for every environment from an arm's generators."""

    method: str
    samples: int

    @classmethod
    def of(cls, plan: Plan, source: str) -> GenerateWeights:
        arm = source.removeprefix(GENERATOR_PREFIX).removesuffix(WEIGHTS_ONLY)
        samples = plan.study.generator.samples
        return cls(shown=plan.shown_to(arm), environments=plan.table.environments, method=source, samples=samples)


class FoldBases(Told):
    """Weights of the methods that are weight maps themselves, for every environment."""

    methods: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan) -> FoldBases:
        methods = tuple(trained.method for trained in trained_maps(plan.study).values())
        return cls(shown=plan.shown, environments=plan.table.environments, methods=methods)


class FinetuneBases(Told):
    """Few-shot fine-tuning of bases on the first frames of unseen environments."""

    data: DataSettings
    finetune: FinetuneSettings
    methods: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan) -> FinetuneBases:
        maps = trained_maps(plan.study)
        return cls(
            shown=plan.shown,
            environments=plan.table.environments,
            data=plan.study.data,
            finetune=plan.study.baselines.finetune,
            methods=tuple(f"finetune-{maps[base].method}" for base in finetuned_maps(plan.study)),
        )


class RegressWeights(Told):
    """Regression of a zoo's weights and nearest expert, where parameters are known; One-per-Env."""

    base: str
    condition: ConditionName
    logarithmic_parameters: list[str]
    regression: RegressionSettings

    @classmethod
    def of(cls, plan: Plan, base: str) -> RegressWeights:
        return cls(
            shown=plan.shown,
            environments=plan.table.environments,
            base=base,
            condition="parameters",  # whatever the base is told: a regression of a thousand weights needs few numbers
            logarithmic_parameters=plan.study.logarithmic_parameters,
            regression=plan.study.baselines.regression,
        )


class RegressLatents(Told):
    """What the VAEs of an arm make of experts, without its diffusion."""

    arm: str
    regression: RegressionSettings

    @classmethod
    def of(cls, plan: Plan, arm: str) -> RegressLatents:
        return cls(
            shown=plan.shown_to(arm),
            environments=plan.table.environments,
            arm=arm,
            regression=plan.study.baselines.regression,
        )


class AdaptToFrames(Rows):
    """Weights for unseen environments of which a few frames are all that is known.

    Attributes:
        environments: the unseen ones, and visible ones on which settings of rivals are chosen.
        methods: of the maps that infer parameters, without their ending.
        finetuned: of the bases that are fine-tuned, likewise.
        experts_from: position among these bases of the one that the zoo of experts started from.
        context_seeds: of the study's contexts.
        regressed: visible environments whose experts are regressed on their parameters; none where none are known.
        regressed_base: that these experts started from.
    """

    data: DataSettings
    case: ObservedCase
    members: int
    methods: tuple[str, ...]
    finetune: FinetuneSettings
    finetuned: tuple[str, ...]
    experts_from: int
    context_seeds: tuple[int, ...]
    regressed: tuple[Environment, ...]
    regressed_base: str
    regression: RegressionSettings
    logarithmic_parameters: list[str]
    seed: int

    @classmethod
    def of(cls, plan: Plan, case: str) -> AdaptToFrames:
        evaluation, maps = plan.study.evaluation, trained_maps(plan.study)
        bases, choosing = finetuned_maps(plan.study), choosing_environments(plan.study, plan.table)
        return cls(
            environments=(*(plan.table[id] for id in choosing), *plan.table.unseen),
            data=plan.study.data,
            case=next(one for one in evaluation.observed if one.name == case),
            members=evaluation.members,
            methods=tuple(maps[name].method for name in adapted_maps(plan.study)),
            finetune=plan.study.baselines.finetune,
            finetuned=tuple(f"finetune-{maps[base].method}" for base in bases),
            experts_from=bases.index(experts_base(plan.study)),
            context_seeds=tuple(context_seeds(plan.study).values()),
            regressed=plan.table.visible if regressions(plan.table) else (),
            regressed_base=experts_base(plan.study),
            regression=plan.study.baselines.regression,
            logarithmic_parameters=plan.study.logarithmic_parameters,
            seed=plan.study.seed,
        )
