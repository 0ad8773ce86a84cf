"""The stage ``train_path_vae``: a variational autoencoder over the experts' paths, and the family that it makes."""

from __future__ import annotations

from dataclasses import replace

from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.families import path_vae_training
from weightcast.families.jobs import TrainPathVae
from weightcast.families.path_experts import PathExperts
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily


@stage("train_path_vae")
def train_path_vae(
    run: Run, settings: TrainPathVae, snapshots: FamilySnapshots, zoo: TrainedFamily, experts: PathExperts
) -> TrainedFamily:
    """Train it on the experts of visible environments; the prior of its codes is as wide as that of the zoo's."""
    seed = derive_seed(settings.seed, "path vae", settings.family_seed)
    vae = path_vae_training.train_path_vae(
        run, zoo.to(run.device), experts.of_visible, snapshots, settings.vae, seed, "autoencoder of paths"
    )
    before = float(zoo.metadata["seconds_before"]) + float(zoo.metadata["seconds"])
    known = {name: value for name, value in zoo.metadata.items() if name in ("dimensions", "time_unit")}
    metadata = {
        "seed": settings.family_seed,
        "seconds_before": before,
        "config_digest": settings.digest,
        "data_digest": snapshots.digest,
    }
    return replace(vae, metadata=dict(vae.metadata) | known | metadata | run.described())
