"""The stage ``train_family``: a map and its codes, on all visible environments."""

from __future__ import annotations

from dataclasses import replace

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.families.encoder_training import with_encoder
from weightcast.families.inflation import Inflation
from weightcast.families.jobs import CODES, TrainFamily
from weightcast.families.map_choice import MapChoice
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.training import train_paths, with_masses, with_prior


@stage("train_family")
def train_family(
    run: Run, settings: TrainFamily, snapshots: FamilySnapshots, table: EnvironmentTable, choice: MapChoice | None
) -> TrainedFamily:
    """Train the chosen kind of map; one that is told nothing needs no choice, since both kinds are the same then."""
    family, seconds = train_paths(
        run,
        settings.told,  # type: ignore[arg-type]
        "deep" if choice is None else choice.kind,
        snapshots,
        table,
        [environment.id for environment in table.visible],
        settings.paths,
        settings.density,
        logarithmic=settings.logarithmic,
        inflation=Inflation() if choice is None else choice.inflation,
        widened=1.0 if choice is None else choice.widened,
        seed=derive_seed(settings.seed, "family", settings.told, settings.family_seed),
        name=f"family told {settings.told}",
    )
    if choice is not None and settings.told == CODES:
        prior_seed = derive_seed(settings.seed, "prior", settings.family_seed)
        family = with_prior(run, family, choice.prior, settings.code_diffusion, prior_seed, "prior of codes")
    if settings.encoder is not None:
        encoder_seed = derive_seed(settings.seed, "encoder", settings.family_seed)
        family, took = with_encoder(run, family, snapshots, settings.encoder, encoder_seed, "encoder of samples")
        seconds += took
    if snapshots.has_masses:
        family = with_masses(family, snapshots)
    metadata = {
        "seed": settings.family_seed,
        "dimensions": list(snapshots.dimensions),
        "time_unit": snapshots.time_unit,
        "seconds": seconds,
        "seconds_before": 0.0 if choice is None else choice.seconds,
        "config_digest": settings.digest,
        "data_digest": snapshots.digest,
    }
    return replace(family, metadata=metadata | run.described())
