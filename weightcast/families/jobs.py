"""What every job of a study of environments across time is told: the slice of the configuration that it uses.

A slice is compared by value, so an edit reruns the jobs that use what was edited and no others. Only light modules are
imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Self

from weightcast.core.config.later_settings import LaterSettings
from weightcast.core.config.settings import Settings
from weightcast.core.job import StageSettings
from weightcast.environments.config.code_prior import CodeDiffusionSettings
from weightcast.evolution.config.density import DensitySettings
from weightcast.families.config.evaluation import FamilyEvaluationSettings
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.config.opponents import ConditionalFlowSettings, OpponentSettings
from weightcast.families.config.path_diffusion import PathDiffusionSettings
from weightcast.families.config.path_vae import PathVaeSettings
from weightcast.families.config.path_zoo import PathZooSettings
from weightcast.families.config.paths import PathSettings
from weightcast.families.config.sample_encoder import SampleEncoderSettings
from weightcast.families.config.study import FamilyStudy
from weightcast.samples.settings import SnapshotSettings

CODES, PARAMETERS, NOTHING = "codes", "parameters", "nothing"
"""What a map may be told of an environment."""
FLOW, ZOO, ZOO_PRIOR, ZOO_VAE, GENERATOR = "flow", "zoo", "zoo_prior", "zoo_vae", "path_diffusion"
"""Stand in its place where a velocity field, a zoo of paths, another prior of the zoo's codes, an autoencoder of the
zoo's paths, or a diffusion of its codes, is trained."""


@dataclass(frozen=True)
class FamilyPlan:
    """A study of environments across time, from which every job's settings are cut.

    Attributes:
        study: the configuration.
    """

    study: FamilyStudy

    @property
    def results(self) -> Path:
        """Folder of the study's results."""
        return self.study.results


class ResolveFamilyConfig(StageSettings):
    """The whole configuration, defaults and overlays applied."""

    config: dict[str, Any]

    @classmethod
    def of(cls, plan: FamilyPlan) -> ResolveFamilyConfig:
        return cls(config=plan.study.model_dump(mode="json"))


class GatherSnapshots(StageSettings):
    """Samples of all environments, simulated or from files."""

    data: SnapshotSettings
    seed: int

    @classmethod
    def of(cls, plan: FamilyPlan) -> GatherSnapshots:
        return cls(data=plan.study.data, seed=plan.study.seed)


class ChooseMap(StageSettings):
    """Maps that are told something of an environment, tried on visible environments that they are trained without."""

    study: str
    told: str
    logarithmic: list[str]
    density: DensitySettings
    paths: PathSettings
    inference: InferenceSettings
    evaluation: FamilyEvaluationSettings
    seed: int

    @classmethod
    def of(cls, plan: FamilyPlan, told: str) -> ChooseMap:
        study = plan.study
        return cls(
            study=study.study,
            told=told,
            logarithmic=study.logarithmic_parameters,
            density=study.density,
            paths=_mapped(study.paths, told, 0),
            inference=study.inference,
            evaluation=_scoring(study.evaluation),
            seed=study.seed,
        )


class TrainFamily(StageSettings, LaterSettings):
    """A map and its codes, of one seed, on all visible environments."""

    later: ClassVar[tuple[str, ...]] = ("encoder",)

    told: str
    logarithmic: list[str]
    density: DensitySettings
    paths: PathSettings
    code_diffusion: CodeDiffusionSettings
    encoder: SampleEncoderSettings | None = None
    seed: int
    family_seed: int

    @classmethod
    def of(cls, plan: FamilyPlan, told: str, seed: str) -> TrainFamily:
        study = plan.study
        return cls(
            told=told,
            logarithmic=study.logarithmic_parameters,
            density=study.density,
            paths=_mapped(study.paths, told, int(seed)),
            code_diffusion=study.inference.code_diffusion,
            encoder=study.inference.encoder if told == CODES else None,
            seed=study.seed,
            family_seed=int(seed),
        )


class _Scored(StageSettings):
    """What every scoring of one seed's methods, in every case, is told."""

    study: str
    evaluation: FamilyEvaluationSettings
    seed: int
    family_seed: int
    system: str | None
    system_settings: dict[str, Any]

    @classmethod
    def scored(cls, plan: FamilyPlan, seed: str, **own: Any) -> Self:
        """The settings, with those of the kind's own."""
        study = plan.study
        simulated = not study.data.imported
        return cls(
            study=study.study,
            evaluation=_scoring(study.evaluation),
            seed=study.seed,
            family_seed=int(seed),
            system=study.data.source if simulated else None,
            system_settings=study.data.settings if simulated else {},
            **own,
        )


class EvaluateFamily(_Scored):
    """All methods of one seed, in every case."""

    inference: InferenceSettings

    @classmethod
    def of(cls, plan: FamilyPlan, seed: str) -> EvaluateFamily:
        return cls.scored(plan, seed, inference=plan.study.inference)


class TrainConditionalFlow(StageSettings):
    """The velocity field of one seed, and what left-out visible environments choose its guidance by."""

    study: str
    logarithmic: list[str]
    flow: ConditionalFlowSettings
    left_out: int
    evaluation: FamilyEvaluationSettings
    seed: int
    family_seed: int

    @classmethod
    def of(cls, plan: FamilyPlan, seed: str) -> TrainConditionalFlow:
        study = plan.study
        assert study.opponents.flow_matching is not None  # else there is no such job
        return cls(
            study=study.study,
            logarithmic=study.logarithmic_parameters,
            flow=study.opponents.flow_matching,
            left_out=study.paths.left_out,
            evaluation=_scoring(study.evaluation),
            seed=study.seed,
            family_seed=int(seed),
        )


class TrainPathZoo(StageSettings):
    """Experts of one seed, and the family of paths that their statistics make."""

    zoo: PathZooSettings
    seed: int
    family_seed: int

    @classmethod
    def of(cls, plan: FamilyPlan, seed: str) -> TrainPathZoo:
        study = plan.study
        assert study.paths.zoo is not None  # else there is no such job
        return cls(zoo=_experts(study.paths.zoo), seed=study.seed, family_seed=int(seed))


class TrainPathExperts(StageSettings):
    """Experts of one seed by themselves, where an autoencoder is trained on them: of visible and of unseen
    environments."""

    zoo: PathZooSettings
    inference: InferenceSettings
    seed: int
    family_seed: int

    @classmethod
    def of(cls, plan: FamilyPlan, seed: str) -> TrainPathExperts:
        study = plan.study
        assert study.paths.zoo is not None  # else there is no such job
        # Components are made of the experts afterwards; of an unseen environment's code no ensemble is wanted.
        zoo = _experts(study.paths.zoo).model_copy(update={"components": 1})
        searched = study.inference.model_copy(update={"encoder": None, "proposals": 2, "draws": 2})
        return cls(zoo=zoo, inference=searched, seed=study.seed, family_seed=int(seed))


class TrainPathVae(StageSettings):
    """An autoencoder of the experts' paths of one seed."""

    vae: PathVaeSettings
    seed: int
    family_seed: int

    @classmethod
    def of(cls, plan: FamilyPlan, seed: str) -> TrainPathVae:
        study = plan.study
        assert study.paths.zoo is not None and study.paths.zoo.vae is not None  # else there is no such job
        vae = study.paths.zoo.vae.model_copy(update={"diffusion": None})  # which begins where this has ended
        return cls(vae=vae, seed=study.seed, family_seed=int(seed))


class TrainPathGenerator(StageSettings):
    """A conditional diffusion of the autoencoder's codes of one seed."""

    diffusion: PathDiffusionSettings
    encoder: SampleEncoderSettings | None
    seed: int
    family_seed: int

    @classmethod
    def of(cls, plan: FamilyPlan, seed: str) -> TrainPathGenerator:
        study = plan.study
        assert study.paths.zoo is not None and study.paths.zoo.vae is not None  # else there is no such job
        assert study.paths.zoo.vae.diffusion is not None
        own = study.paths.zoo.vae.diffusion
        # What is done with it afterwards decides nothing here.
        plain = {name: PathDiffusionSettings.model_fields[name].default for name in ("draws", "refinement")}
        return cls(
            diffusion=own.model_copy(update=plain),
            encoder=study.inference.encoder,
            seed=study.seed,
            family_seed=int(seed),
        )


class TrainPathDiffusion(StageSettings):
    """A diffusion of the zoo's codes of one seed, and what left-out visible environments say of it."""

    study: str
    diffusion: CodeDiffusionSettings
    inference: InferenceSettings
    evaluation: FamilyEvaluationSettings
    seed: int
    family_seed: int

    @classmethod
    def of(cls, plan: FamilyPlan, seed: str) -> TrainPathDiffusion:
        study = plan.study
        assert study.paths.zoo is not None and study.paths.zoo.diffusion is not None  # else there is no such job
        return cls(
            study=study.study,
            diffusion=study.paths.zoo.diffusion,
            inference=study.inference.model_copy(update={"encoder": None}),
            evaluation=_scoring(study.evaluation),
            seed=study.seed,
            family_seed=int(seed),
        )


class GeneratedPaths(Settings):
    """What is done with codes that a diffusion of paths generates: how many, and steps of a search from there."""

    draws: int
    refinement: int


class EvaluateOpponents(_Scored, LaterSettings):
    """The further opponents of one seed, and the zoo of paths, in every case."""

    later: ClassVar[tuple[str, ...]] = ("inference", "generated")

    opponents: OpponentSettings
    inference: InferenceSettings | None = None
    generated: GeneratedPaths | None = None

    @classmethod
    def of(cls, plan: FamilyPlan, seed: str) -> EvaluateOpponents:
        opponents = plan.study.opponents.model_copy(update={"flow_matching": None})  # its network is an input
        inferred = None if plan.study.paths.zoo is None else plan.study.inference.model_copy(update={"encoder": None})
        zoo = plan.study.paths.zoo
        own = None if zoo is None or zoo.vae is None else zoo.vae.diffusion
        generated = None if own is None else GeneratedPaths(draws=own.draws, refinement=own.refinement)
        return cls.scored(plan, seed, opponents=opponents, inference=inferred, generated=generated)


class SummariseFamily(StageSettings):
    """The tables of results."""

    bootstrap: int

    @classmethod
    def of(cls, plan: FamilyPlan) -> SummariseFamily:
        return cls(bootstrap=plan.study.evaluation.bootstrap)


class WriteFamilyReport(StageSettings):
    """The report needs no settings: it reads the study's results."""

    @classmethod
    def of(cls, plan: FamilyPlan) -> WriteFamilyReport:
        return cls()


def _mapped(paths: PathSettings, told: str, seed: int) -> PathSettings:
    """What decides the trainings of a seed: where no code is inferred, one map is all that is used."""
    own = {"seeds": [seed], "zoo": None}  # a zoo begins where the map's training has ended
    return paths.model_copy(update=own | ({} if told == CODES else {"maps": 1}))


def _experts(zoo: PathZooSettings) -> PathZooSettings:
    """What decides experts: not what begins where these have ended."""
    return zoo.model_copy(update={"diffusion": None, "vae": None})


def _scoring(evaluation: FamilyEvaluationSettings) -> FamilyEvaluationSettings:
    """What decides scores in an evaluation: not how they are summarised."""
    return evaluation.model_copy(update={"bootstrap": FamilyEvaluationSettings.model_fields["bootstrap"].default})


STAGES = "weightcast.families.stages"
JOBS: dict[str, type[StageSettings]] = {
    "resolve_family_config": ResolveFamilyConfig,
    "gather_snapshots": GatherSnapshots,
    "choose_map": ChooseMap,
    "train_family": TrainFamily,
    "evaluate_family": EvaluateFamily,
    "train_conditional_flow": TrainConditionalFlow,
    "train_path_experts": TrainPathExperts,
    "train_path_zoo": TrainPathZoo,
    "train_path_diffusion": TrainPathDiffusion,
    "train_path_vae": TrainPathVae,
    "train_path_generator": TrainPathGenerator,
    "evaluate_opponents": EvaluateOpponents,
    "summarise_family": SummariseFamily,
    "write_family_report": WriteFamilyReport,
}
"""Every stage of a study of environments across time; the stage itself is in the module of its name."""
