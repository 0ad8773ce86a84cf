"""The stage ``train_path_diffusion``: a diffusion of the codes of a zoo of paths, as their prior."""

from __future__ import annotations

import time
from dataclasses import replace

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.families.cases import cases_of
from weightcast.families.evaluation import TestEnvironment
from weightcast.families.jobs import ZOO_PRIOR, TrainPathDiffusion
from weightcast.families.prior_choice import best_prior
from weightcast.families.scorable import why_not_scored
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.training import with_prior
from weightcast.families.zoo_diffusion import PRIORS, compare_priors


@stage("train_path_diffusion")
def train_path_diffusion(
    run: Run, settings: TrainPathDiffusion, snapshots: FamilySnapshots, table: EnvironmentTable, zoo: TrainedFamily
) -> TrainedFamily:
    """Train it on all experts' codes, and ask left-out visible environments which prior is better.

    Returns:
        the zoo with the diffusion's prior, whichever was found to be better; its metadata say.
    """
    zoo = zoo.to(run.device)
    seed = derive_seed(settings.seed, "path diffusion", settings.family_seed)
    started = time.monotonic()
    told = with_prior(run, zoo, "diffusion", settings.diffusion, seed, "diffusion of the zoo's codes")
    seconds = time.monotonic() - started
    ids = [one.id for one in table.visible if why_not_scored(snapshots, one.id, settings.evaluation) is None]
    chosen, errors = PRIORS[0], {}
    if ids:
        cases = cases_of(snapshots, ids, settings.evaluation.shown, derive_seed(settings.seed, "shown"))
        tests = TestEnvironment.each(snapshots, table, ids, cases, settings)
        errors = compare_priors(run, zoo, cases, tests, settings.diffusion, settings.inference, seed)
        chosen = best_prior(errors)
    before = float(zoo.metadata["seconds_before"]) + float(zoo.metadata["seconds"])
    found = {
        "chosen": chosen,
        "environments": len(ids),
        "nll": {kind: round(float(of_kind.mean()), 5) for kind, of_kind in errors.items()},
    }
    known = {name: value for name, value in zoo.metadata.items() if name in ("dimensions", "time_unit")}
    metadata = {
        "seed": settings.family_seed,
        "seconds": seconds,
        "seconds_before": before,
        ZOO_PRIOR: found,
        "config_digest": settings.digest,
        "data_digest": snapshots.digest,
    }
    return replace(told, metadata=known | metadata | run.described())
