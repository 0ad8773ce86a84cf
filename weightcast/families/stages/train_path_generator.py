"""The stage ``train_path_generator``: a conditional diffusion of an autoencoder's codes of paths."""

from __future__ import annotations

from dataclasses import replace

from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.families import path_generation
from weightcast.families.jobs import TrainPathGenerator
from weightcast.families.path_experts import PathExperts
from weightcast.families.path_generation import PathGenerator
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily


@stage("train_path_generator")
def train_path_generator(
    run: Run,
    settings: TrainPathGenerator,
    snapshots: FamilySnapshots,
    codes: TrainedFamily,
    vae: TrainedFamily,
    experts: PathExperts,
) -> PathGenerator:
    """Train it on the visible environments' codes, told parameters, what the network of the shared map's family says of
    their samples, or nothing."""
    seed = derive_seed(settings.seed, "path generator", settings.family_seed)
    generator = path_generation.train_path_generator(
        run,
        vae.to(run.device),
        experts.of_visible,
        codes.to(run.device),
        snapshots,
        settings.diffusion,
        settings.encoder,
        seed,
        "diffusion of the autoencoder's codes",
    )
    metadata = {
        "seed": settings.family_seed,
        "seconds_before": float(vae.metadata["seconds_before"]) + float(vae.metadata["seconds"]),
        "config_digest": settings.digest,
        "data_digest": snapshots.digest,
    }
    return replace(generator, metadata=dict(generator.metadata) | metadata | run.described())
