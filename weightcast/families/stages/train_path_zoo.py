"""The stage ``train_path_zoo``: experts of all visible environments, and the family that their statistics make."""

from __future__ import annotations

from dataclasses import replace

from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.families import path_zoo
from weightcast.families.jobs import TrainPathZoo
from weightcast.families.path_experts import PathExperts
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily


@stage("train_path_zoo")
def train_path_zoo(
    run: Run,
    settings: TrainPathZoo,
    snapshots: FamilySnapshots,
    codes: TrainedFamily,
    experts: PathExperts | None = None,
) -> TrainedFamily:
    """Train them from the shared map of one seed, where they have not been trained by themselves; the prior is as wide
    as that of the shared map's codes."""
    seed = derive_seed(settings.seed, "zoo", settings.family_seed)
    trained = None if experts is None else experts.of_visible
    zoo = path_zoo.train_path_zoo(
        run, codes.to(run.device), snapshots, settings.zoo, seed, "experts of the zoo", trained
    )
    before = float(codes.metadata["seconds_before"]) + float(codes.metadata["seconds"])
    metadata = {
        "seed": settings.family_seed,
        "dimensions": list(snapshots.dimensions),
        "time_unit": snapshots.time_unit,
        "seconds_before": before,
        "config_digest": settings.digest,
        "data_digest": snapshots.digest,
    }
    return replace(zoo, metadata=dict(zoo.metadata) | metadata | run.described())
