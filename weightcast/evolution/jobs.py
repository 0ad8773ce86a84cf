"""What every job of a study across time is told: the slice of the configuration that it uses.

A slice is compared by value, so an edit reruns the jobs that use what was edited and no others. Only light modules are
imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import Field

from weightcast.core.job import StageSettings
from weightcast.evolution.config.anchors import AnchorKind, AnchorSettings, BridgeSettings
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.config.evaluation import PathInterpolation, TimeEvaluationSettings
from weightcast.evolution.config.flow import FlowArm, FlowSettings
from weightcast.evolution.config.study import TimeStudy
from weightcast.samples.settings import SnapshotSettings


@dataclass(frozen=True)
class TimePlan:
    """A study across time, from which every job's settings are cut.

    Attributes:
        study: the configuration.
    """

    study: TimeStudy

    @property
    def results(self) -> Path:
        """Folder of the study's results."""
        return self.study.results


class ResolveTimeConfig(StageSettings):
    """The whole configuration, defaults and overlays applied."""

    config: dict[str, Any]

    @classmethod
    def of(cls, plan: TimePlan) -> ResolveTimeConfig:
        return cls(config=plan.study.model_dump(mode="json"))


class SimulateSnapshots(StageSettings):
    """Samples of a simulated stochastic system."""

    data: SnapshotSettings
    seed: int

    @classmethod
    def of(cls, plan: TimePlan) -> SimulateSnapshots:
        return cls(data=plan.study.data, seed=plan.study.seed)


class ImportSnapshots(StageSettings):
    """Samples from the user's own file."""

    data: SnapshotSettings
    seed: int

    @classmethod
    def of(cls, plan: TimePlan) -> ImportSnapshots:
        return cls(data=plan.study.data, seed=plan.study.seed)


class TrainAnchors(StageSettings):
    """Anchors of one kind and seed, of the snapshots of one fold; other kinds are none of theirs."""

    fold: str
    density: DensitySettings
    anchors: AnchorSettings
    seed: int
    anchors_seed: int

    @property
    def kind(self) -> AnchorKind:
        return self.anchors.kinds[0]

    @classmethod
    def of(cls, plan: TimePlan, fold: str, anchors: str, seed: str) -> TrainAnchors:
        shared = plan.study.anchors
        return cls(
            fold=fold,
            density=plan.study.density,
            anchors=shared.model_copy(update={"kinds": [kind for kind in shared.kinds if kind == anchors]}),
            seed=plan.study.seed,
            anchors_seed=int(seed),
        )


class TrainFlow(StageSettings):
    """The flow of one arm and seed, and how samples between snapshots are made; other arms are none of its."""

    fold: str
    flow: FlowSettings
    bridge: BridgeSettings
    validation: float
    seed: int

    @property
    def arm_name(self) -> str:
        return next(iter(self.flow.arms))

    @property
    def arm(self) -> FlowArm:
        return self.flow.arms[self.arm_name]

    @property
    def flow_seed(self) -> int:
        return self.flow.seeds[0]

    @classmethod
    def of(cls, plan: TimePlan, fold: str, arm: str, seed: str) -> TrainFlow:
        return cls(
            fold=fold,
            flow=plan.study.flow.of_arm(arm).model_copy(update={"seeds": [int(seed)]}),
            bridge=plan.study.anchors.bridge,
            validation=plan.study.anchors.validation,
            seed=plan.study.seed,
        )


class CoupleSnapshots(StageSettings):
    """What moves, grows and dies between all snapshots."""

    bridge: BridgeSettings
    seed: int

    @classmethod
    def of(cls, plan: TimePlan) -> CoupleSnapshots:
        bridge = plan.study.anchors.bridge
        return cls(bridge=BridgeSettings(pairs=bridge.pairs, relaxation=bridge.relaxation), seed=plan.study.seed)


class TrainFlowMatching(StageSettings):
    """The baseline OT-CFM of one fold."""

    fold: str
    seed: int

    @classmethod
    def of(cls, plan: TimePlan, fold: str) -> TrainFlowMatching:
        return cls(fold=fold, seed=plan.study.seed)


class Scoring(StageSettings):
    """What decides how a predicted distribution is scored; shared by the stages that score."""

    study: str
    fold: str
    evaluation: TimeEvaluationSettings

    @classmethod
    def scoring(cls, plan: TimePlan, fold: str, **of_stage: Any) -> dict[str, Any]:
        """These settings; of the evaluation, what all stages use and what is named further."""
        whole = plan.study.evaluation
        used: dict[str, Any] = {"every": whole.every, "samples": whole.samples, "draws": whole.draws}
        used |= {"from_previous": whole.from_previous}
        used |= {"interpolations": [], "displacement": False} | of_stage
        return {"study": plan.study.study, "fold": fold, "evaluation": TimeEvaluationSettings.model_validate(used)}


class EvaluateAnchors(Scoring):
    """Interpolations of the weights of anchors."""

    anchors_seed: int

    @classmethod
    def of(cls, plan: TimePlan, fold: str, anchors: str, seed: str) -> EvaluateAnchors:
        scoring = cls.scoring(plan, fold, interpolations=plan.study.evaluation.interpolations)
        return cls(**scoring, anchors_seed=int(seed))


class EvaluateFlow(Scoring):
    """The path of a flow."""

    flow_seed: int

    @classmethod
    def of(cls, plan: TimePlan, fold: str, arm: str, seed: str) -> EvaluateFlow:
        return cls(**cls.scoring(plan, fold), flow_seed=int(seed))


class EvaluateSamples(Scoring):
    """What moves samples rather than weights, the sampling floor, and the simulator, whose law may be known."""

    seed: int
    system: str | None = None
    system_settings: dict[str, Any] = Field(default={})

    @classmethod
    def of(cls, plan: TimePlan, fold: str) -> EvaluateSamples:
        evaluation = plan.study.evaluation
        scoring = cls.scoring(plan, fold, displacement=evaluation.displacement, flow_matching=evaluation.flow_matching)
        data = plan.study.data
        system, settings = (None, {}) if data.imported else (data.source, data.settings)
        return cls(**scoring, seed=plan.study.seed, system=system, system_settings=settings)


class SummariseTimes(StageSettings):
    """The tables of results."""

    interpolations: list[PathInterpolation]
    bootstrap: int

    @classmethod
    def of(cls, plan: TimePlan) -> SummariseTimes:
        evaluation = plan.study.evaluation
        return cls(interpolations=evaluation.interpolations, bootstrap=evaluation.bootstrap)


class MapPath(StageSettings):
    """The map of the path of weights needs no settings: it shows what it is given."""

    @classmethod
    def of(cls, plan: TimePlan) -> MapPath:
        return cls()


class ShowDistributions(StageSettings):
    """How many samples of the evolved distribution the report shows."""

    samples: int
    seed: int

    @classmethod
    def of(cls, plan: TimePlan) -> ShowDistributions:
        return cls(samples=plan.study.evaluation.samples, seed=plan.study.seed)


class WriteTimeReport(StageSettings):
    """The report needs no settings: it reads the study's results."""

    @classmethod
    def of(cls, plan: TimePlan) -> WriteTimeReport:
        return cls()


STAGES = "weightcast.evolution.stages"
JOBS: dict[str, type[StageSettings]] = {
    "resolve_time_config": ResolveTimeConfig,
    "simulate_snapshots": SimulateSnapshots,
    "import_snapshots": ImportSnapshots,
    "train_anchors": TrainAnchors,
    "train_flow": TrainFlow,
    "train_flow_matching": TrainFlowMatching,
    "couple_snapshots": CoupleSnapshots,
    "evaluate_anchors": EvaluateAnchors,
    "evaluate_flow": EvaluateFlow,
    "evaluate_samples": EvaluateSamples,
    "summarise_times": SummariseTimes,
    "map_path": MapPath,
    "show_distributions": ShowDistributions,
    "write_time_report": WriteTimeReport,
}
"""Every stage of a study across time; the stage itself is in the module of its name."""
