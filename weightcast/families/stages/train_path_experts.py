"""The stage ``train_path_experts``: experts of all environments, of which a zoo and an autoencoder are made."""

from __future__ import annotations

from dataclasses import replace

import torch

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.families.inference import infer_codes
from weightcast.families.jobs import TrainPathExperts
from weightcast.families.path_experts import PathExperts
from weightcast.families.path_zoo import sample_pools, train_experts
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily

SEARCHED = 64
"""Most samples of a snapshot by which it is found where an unseen environment's expert begins."""


@stage("train_path_experts")
def train_path_experts(
    run: Run, settings: TrainPathExperts, snapshots: FamilySnapshots, table: EnvironmentTable, codes: TrainedFamily
) -> PathExperts:
    """Train those of visible environments from the shared map's paths of their codes.

    Those of unseen environments begin at the path of the code that samples of all their snapshots say: they are
    references, which nothing is learned from.
    """
    family = codes.to(run.device).alone
    seed = derive_seed(settings.seed, "zoo", settings.family_seed)
    visible = train_experts(run, family, snapshots, settings.zoo, seed, "experts of the zoo")
    ids = tuple(environment.id for environment in table.unseen)
    of_unseen = derive_seed(seed, "unseen")
    unseen = replace(family, ids=ids)
    pool, _ = sample_pools(unseen, snapshots, of_unseen)
    shown = replace(pool, values=pool.values[:, :, :SEARCHED], there=pool.there[:, :, :SEARCHED]).to(run.device)
    found = infer_codes(family, shown, settings.inference, of_unseen, ids).mode[0]
    begun = replace(unseen, codes=found)
    own = train_experts(run, begun, snapshots, settings.zoo, of_unseen, "experts of unseen environments")
    metadata = {
        "seed": settings.family_seed,
        "seconds": visible.seconds,
        "seconds_before": float(codes.metadata["seconds_before"]) + float(codes.metadata["seconds"]),
        "config_digest": settings.digest,
        "data_digest": snapshots.digest,
    }
    return PathExperts(
        family.density,
        (*family.ids, *ids),
        len(family.ids),
        torch.cat([visible.weights, own.weights]),
        torch.cat([visible.errors, own.errors], 1),
        metadata | run.described(),
    )
