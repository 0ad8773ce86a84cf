"""What every job of a study across environments is told: the slice of the configuration and of the table that it uses.

A slice is compared by value, so an edit reruns the jobs that use what was edited and no others. Only light modules are
imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

from weightcast.core.job import StageSettings
from weightcast.environments.jobs.data import (
    CutRecords,
    DownloadEra5,
    ImportTrajectories,
    ListTrajectories,
    ResolveConfig,
    Simulate,
)
from weightcast.environments.jobs.generator import LabelEnvironments, TrainDiffusion, TrainVae, TuneGenerator
from weightcast.environments.jobs.networks import (
    FindEquations,
    GatherZoo,
    TrainBase,
    TrainContext,
    TrainExperts,
    TrainInContext,
)
from weightcast.environments.jobs.published import (
    AverageExperts,
    CompareWithOwnExperts,
    ImportExperts,
    RollOutExperts,
)
from weightcast.environments.jobs.report import (
    CompareWithExperts,
    CorrelateLabels,
    DescribePosteriors,
    Distil,
    MapWeights,
    ShowAttention,
    ShowEnvironments,
    ShowObserved,
    ShowRollouts,
    WriteReport,
)
from weightcast.environments.jobs.scores import (
    CollectCosts,
    EvaluateWeights,
    EvaluateWithoutNetwork,
    Scoring,
    Summarise,
    SummariseObserved,
)
from weightcast.environments.jobs.told import Plan, Rows, ShownFrames, Told
from weightcast.environments.jobs.weights import (
    AdaptToFrames,
    FinetuneBases,
    FoldBases,
    GenerateWeights,
    RegressLatents,
    RegressWeights,
)

__all__ = [
    "JOBS",
    "STAGES",
    "AdaptToFrames",
    "AverageExperts",
    "CollectCosts",
    "CompareWithExperts",
    "CompareWithOwnExperts",
    "CorrelateLabels",
    "CutRecords",
    "DescribePosteriors",
    "Distil",
    "DownloadEra5",
    "EvaluateWeights",
    "EvaluateWithoutNetwork",
    "FindEquations",
    "FinetuneBases",
    "FoldBases",
    "GatherZoo",
    "GenerateWeights",
    "ImportExperts",
    "ImportTrajectories",
    "LabelEnvironments",
    "ListTrajectories",
    "MapWeights",
    "Plan",
    "RegressLatents",
    "RegressWeights",
    "ResolveConfig",
    "RollOutExperts",
    "Rows",
    "Scoring",
    "ShowAttention",
    "ShowEnvironments",
    "ShowObserved",
    "ShowRollouts",
    "ShownFrames",
    "Simulate",
    "Summarise",
    "SummariseObserved",
    "Told",
    "TrainBase",
    "TrainContext",
    "TrainDiffusion",
    "TrainExperts",
    "TrainInContext",
    "TrainVae",
    "TuneGenerator",
    "WriteReport",
]

STAGES = "weightcast.environments.stages"
JOBS: dict[str, type[StageSettings]] = {
    "resolve_config": ResolveConfig,
    "simulate": Simulate,
    "import_trajectories": ImportTrajectories,
    "cut_records": CutRecords,
    "roll_out_experts": RollOutExperts,
    "list_trajectories": ListTrajectories,
    "download_era5": DownloadEra5,
    "train_base": TrainBase,
    "train_context": TrainContext,
    "train_in_context": TrainInContext,
    "find_equations": FindEquations,
    "train_experts": TrainExperts,
    "import_experts": ImportExperts,
    "average_experts": AverageExperts,
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
    "compare_with_own_experts": CompareWithOwnExperts,
    "write_report": WriteReport,
}
"""Every stage of a study across environments; the stage itself is in the module of its name."""
