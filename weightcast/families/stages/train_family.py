"""The stage ``train_family``: a map and its codes, on all visible environments."""

from __future__ import annotations

from dataclasses import replace

from torch import Tensor

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.environments.code_priors import fit_prior
from weightcast.families.jobs import CODES, TrainFamily
from weightcast.families.map_choice import MapChoice
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.training import train_paths


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
        temperature=1.0 if choice is None else choice.temperature,
        widened=settings.widened,
        seed=derive_seed(settings.seed, "family", settings.told, settings.family_seed),
        name=f"family told {settings.told}",
    )
    if choice is not None and settings.told == CODES:
        family = replace(family, mixture=_mixture(run, settings, family, choice))
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


def _mixture(run: Run, settings: TrainFamily, family: TrainedFamily, choice: MapChoice) -> dict[str, Tensor]:
    """The prior of codes of the chosen kind."""
    seed = derive_seed(settings.seed, "prior", settings.family_seed)
    prior = fit_prior(run, choice.prior, family.codes, family.widened, settings.code_diffusion, seed, "prior of codes")
    return prior.tensors()
