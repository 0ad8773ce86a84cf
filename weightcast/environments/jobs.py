"""What every job of a study across environments is told: the slice of the configuration and of the table that it uses.

A slice is compared by value, so an edit reruns the jobs that use what was edited and no others. Only light modules are
imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from weightcast.core.config.predictor import AnyPredictor
from weightcast.core.config.training import PooledTraining, PredictorTraining
from weightcast.core.environment_table import Environment, EnvironmentTable, Role, read_environments
from weightcast.core.job import StageSettings
from weightcast.core.methods import GENERATOR_PREFIX, WEIGHTS_ONLY
from weightcast.environments.config.baselines import EquationsSettings, FinetuneSettings, InContextSettings
from weightcast.environments.config.condition import ConditionName, ConditionSettings, FramesSettings
from weightcast.environments.config.context import ContextSettings
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.config.evaluation import EvaluationSettings, ObservedCase
from weightcast.environments.config.explain import ExplainSettings
from weightcast.environments.config.regression import RegressionSettings
from weightcast.environments.config.study import Study
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.config.weight_map import AnyWeightMap
from weightcast.environments.config.zoo import MapChoiceSettings, Perturbation
from weightcast.environments.plan import (
    adapted_maps,
    attended_arms,
    base_environments,
    choosing_environments,
    experts_base,
    finetuned_maps,
    pictured_environments,
    pictured_unknown,
    sees_frames,
    shards,
    shown_methods,
    source_settings,
    trajectory_shards,
)


@dataclass(frozen=True, eq=False)
class Plan:
    """A study and its table of environments, from which every job's settings are cut.

    Attributes:
        study: the configuration.
        table: all environments.
        results: folder of the study's results.
    """

    study: Study
    table: EnvironmentTable

    @classmethod
    def read(cls, study: Study, config: Path) -> Plan:
        """Read the table, which lies beside a study's resolved configuration.

        Raises:
            InputError: the table cannot be used.
        """
        return cls(study, read_environments(config.with_name("environments.csv")))

    @property
    def results(self) -> Path:
        return self.study.results

    @cached_property
    def shards(self) -> dict[str, list[str]]:
        """Environments whose experts one job trains together, by the shard's name."""
        return shards(self.study, self.table)

    @cached_property
    def trajectory_shards(self) -> dict[str, list[str]]:
        """Environments whose trajectories one job makes, by the shard's name."""
        return trajectory_shards(self.study, self.table)

    @property
    def shown(self) -> ShownFrames | None:
        """How frames of environments are read, and what is made of them, if a condition of the study sees any."""
        study = self.study
        return ShownFrames(data=study.data, conditions=study.conditions) if sees_frames(study) else None

    def shown_to(self, arm: str) -> ShownFrames | None:
        """The same for an arm of the generator, with what it sets otherwise."""
        shown = self.shown
        return shown and ShownFrames(data=shown.data, conditions=self.study.conditions_of(arm))


class ShownFrames(StageSettings):
    """What stages are told where a condition of the study sees frames."""

    data: DataSettings
    conditions: ConditionSettings


class Rows(StageSettings):
    """Settings of a stage that works on environments.

    Attributes:
        environments: rows of the table, of those environments alone that the stage uses.
    """

    environments: tuple[Environment, ...]

    @cached_property
    def digest(self) -> str:
        """The same as of any settings; of many environments, which are in many jobs' settings, each is written once."""
        mark = "environments of the table"
        plain = self.model_dump(mode="json", exclude={"environments"}) | {"environments": mark}
        rows = ", ".join([environment.text for environment in self.environments])
        text = json.dumps(plain, sort_keys=True).replace(f'"environments": "{mark}"', f'"environments": [{rows}]')
        return hashlib.sha256(text.encode()).hexdigest()

    @cached_property
    def table(self) -> EnvironmentTable:
        names = tuple(self.environments[0].parameters) if self.environments else ()
        return EnvironmentTable(self.environments, names, Path("environments.csv"))

    @property
    def ids(self) -> list[str]:
        return [environment.id for environment in self.environments]

    def with_role(self, *roles: Role) -> list[str]:
        """Ids of the environments of these roles, in table order."""
        return [environment.id for environment in self.environments if environment.role in roles]


class Told(Rows):
    """Settings of a stage that uses what is known of its environments.

    Attributes:
        shown: how frames of them are read, where a condition of the study sees frames (`Plan.shown`).
    """

    shown: ShownFrames | None = None

    @property
    def conditions(self) -> ConditionSettings | None:
        """How the kinds of conditions that see frames are set, where the study has one."""
        return None if self.shown is None else self.shown.conditions


class ResolveConfig(StageSettings):
    """The whole configuration. This job alone is told its settings themselves: the others find them in its output."""

    config: dict[str, Any]


class Simulate(Rows):
    """Trajectories of the environments of a shard from a simulator or a package."""

    source: str
    settings: dict[str, Any]
    seed: int

    @classmethod
    def of(cls, plan: Plan, shard: str) -> Simulate:
        rows = tuple(plan.table[id] for id in plan.trajectory_shards[shard])
        data = plan.study.data.of_role(rows[0].role)  # a shard is of visible environments or of unseen ones
        return cls(
            environments=rows,
            source=data.source,
            settings=source_settings(data),
            seed=plan.study.seed,
        )


class ImportTrajectories(Rows):
    """Trajectories of the environments of a shard from the user's own files, and what is expected of these.

    Attributes:
        trajectories: all that its role needs.
        test_trajectories: of these, which ``.npz`` files hold apart.
    """

    channels: list[str]
    grid: tuple[int, int]
    frames: int
    trajectories: int
    test_trajectories: int = 1
    frame_step: float

    @classmethod
    def of(cls, plan: Plan, shard: str) -> ImportTrajectories:
        rows = tuple(plan.table[id] for id in plan.trajectory_shards[shard])
        data = plan.study.data.of_role(rows[0].role)
        return cls(
            environments=rows,
            channels=data.channels,
            grid=data.grid,
            frames=data.frames,
            trajectories=data.trajectories.total,
            test_trajectories=data.trajectories.test,
            frame_step=float(source_settings(data).get("frame_step", 1.0)),
        )


class ListTrajectories(StageSettings):
    """Manifests are joined as they are: which ones, is said by the job's inputs."""

    @classmethod
    def of(cls, plan: Plan, ids: str) -> ListTrajectories:
        return cls()


class DownloadEra5(StageSettings):
    """One month of one area of ERA5.

    Attributes:
        area: its edges: north, west, south, east.
        spacing: degrees between the points that are needed.
        variables: their names in NetCDF.
        archive_names: their names in the archive.
        hours: of the day.
        origin: where what is missing comes from.
        generation: as what the job was planned (`weightcast.era5.receipt.generation_of`).
    """

    month: str
    area: tuple[float, float, float, float]
    spacing: float
    variables: tuple[str, ...]
    archive_names: tuple[str, ...]
    hours: tuple[int, ...]
    origin: str
    zarr_store: str
    directory: str
    generation: int

    @classmethod
    def of(cls, plan: Plan, area: str, month: str, generation: str) -> DownloadEra5:
        from weightcast.era5.request import plan_downloads
        from weightcast.era5.settings import ERA5Settings
        from weightcast.systems import read_settings

        settings = read_settings(ERA5Settings, source_settings(plan.study.data), "era5")
        request = plan_downloads(list(plan.table), settings)[area, month]
        return cls(
            month=month,
            area=(request.area.north, request.area.west, request.area.south, request.area.east),
            spacing=request.spacing,
            variables=request.variables,
            archive_names=request.archive_names,
            hours=request.hours,
            origin=settings.download,
            zarr_store=settings.zarr_store,
            directory=settings.directory,
            generation=int(generation),
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
    """Codes of all visible environments together with a map from codes to weights."""

    data: DataSettings
    predictor: AnyPredictor
    context: ContextSettings
    seed: int

    @classmethod
    def of(cls, plan: Plan) -> TrainContext:
        study = plan.study
        assert study.context is not None  # otherwise there is no such job
        return cls(
            environments=tuple(plan.table[id] for id in base_environments(study, plan.table, "context")),
            data=study.data,
            predictor=study.predictor,
            context=study.context,
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


class GatherZoo(StageSettings):
    """Which environments' experts are gathered, in this order."""

    environments: tuple[str, ...]

    @classmethod
    def of(cls, plan: Plan, base: str, part: str) -> GatherZoo:
        chosen = plan.table.visible if part == "zoo" else plan.table.unseen
        return cls(environments=tuple(environment.id for environment in chosen))


class LabelEnvironments(Told):
    """Surrogate labels of the visible environments, from the experts of one base."""

    base: str
    seed: int

    @classmethod
    def of(cls, plan: Plan, base: str) -> LabelEnvironments:
        return cls(shown=plan.shown, environments=plan.table.visible, base=base, seed=plan.study.seed)


class TrainVae(Told):
    """The weight VAE of one arm and seed."""

    data: DataSettings
    vae: VAESettings
    condition: ConditionName
    logarithmic_parameters: list[str]
    seed: int
    generator_seed: int

    @classmethod
    def of(cls, plan: Plan, arm: str, seed: str) -> TrainVae:
        generator = plan.study.generator
        return cls(
            shown=plan.shown_to(arm),
            environments=plan.table.visible,
            data=plan.study.data.of_role("visible"),
            vae=generator.of_arm(arm)[0],
            condition=generator.arms[arm].condition,
            logarithmic_parameters=plan.study.logarithmic_parameters,
            seed=plan.study.seed,
            generator_seed=int(seed),
        )


class TrainDiffusion(Told):
    """The latent diffusion of one arm and seed."""

    diffusion: DiffusionSettings
    arm: str
    seed: int
    generator_seed: int

    @classmethod
    def of(cls, plan: Plan, arm: str, seed: str) -> TrainDiffusion:
        return cls(
            shown=plan.shown_to(arm),
            environments=plan.table.visible,
            diffusion=plan.study.generator.of_arm(arm)[1],
            arm=arm,
            seed=plan.study.seed,
            generator_seed=int(seed),
        )


class TuneGenerator(Told):
    """The end-to-end fine-tuning of one arm and seed."""

    data: DataSettings
    end_to_end: EndToEndSettings
    seed: int
    generator_seed: int

    @classmethod
    def of(cls, plan: Plan, arm: str, seed: str) -> TuneGenerator:
        return cls(
            shown=plan.shown_to(arm),
            environments=plan.table.visible,
            data=plan.study.data.of_role("visible"),
            end_to_end=plan.study.generator.end_to_end,
            seed=plan.study.seed,
            generator_seed=int(seed),
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
    """

    data: DataSettings
    case: ObservedCase
    members: int
    methods: tuple[str, ...]
    finetune: FinetuneSettings
    finetuned: tuple[str, ...]
    experts_from: int
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
            seed=plan.study.seed,
        )


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


STAGES = "weightcast.environments.stages"
JOBS: dict[str, type[StageSettings]] = {
    "resolve_config": ResolveConfig,
    "simulate": Simulate,
    "import_trajectories": ImportTrajectories,
    "list_trajectories": ListTrajectories,
    "download_era5": DownloadEra5,
    "train_base": TrainBase,
    "train_context": TrainContext,
    "train_in_context": TrainInContext,
    "find_equations": FindEquations,
    "train_experts": TrainExperts,
    "gather_zoo": GatherZoo,
    "label_environments": LabelEnvironments,
    "train_vae": TrainVae,
    "train_diffusion": TrainDiffusion,
    "tune_generator": TuneGenerator,
    "generate_weights": GenerateWeights,
    "fold_bases": FoldBases,
    "finetune_bases": FinetuneBases,
    "regress_weights": RegressWeights,
    "regress_latents": RegressLatents,
    "adapt_to_frames": AdaptToFrames,
    "evaluate_weights": EvaluateWeights,
    "evaluate_without_network": EvaluateWithoutNetwork,
    "collect_costs": CollectCosts,
    "summarise": Summarise,
    "summarise_observed": SummariseObserved,
    "map_weights": MapWeights,
    "correlate_labels": CorrelateLabels,
    "show_environments": ShowEnvironments,
    "show_rollouts": ShowRollouts,
    "show_observed": ShowObserved,
    "distil": Distil,
    "show_attention": ShowAttention,
    "describe_posteriors": DescribePosteriors,
    "compare_with_experts": CompareWithExperts,
    "write_report": WriteReport,
}
"""Every stage of a study across environments; the stage itself is in the module of its name."""
