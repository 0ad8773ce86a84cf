"""Regression of a zoo's weights at parameters that nobody tells, but a few frames: those whose regressed predictor
explains the frames best, by the search that other conditioned methods take."""

from __future__ import annotations

import time

import torch

from weightcast.core.methods import OBSERVED
from weightcast.core.run import Run
from weightcast.environments.base import BaseNetwork
from weightcast.environments.conditioned import Conditioned
from weightcast.environments.conditions import Known, new_condition
from weightcast.environments.jobs import AdaptToFrames
from weightcast.environments.latent_regression import LatentRegression
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.zoo import Zoo

LEAST_RIDGE = 1e-9
"""Penalty that decides nothing but where there are more monomials than environments."""


@torch.no_grad()
def regressed_experts(run: Run, settings: AdaptToFrames, zoo: Zoo, base: BaseNetwork) -> Conditioned:
    """The polynomial regression of the baselines as a map whose gradient a search can take.

    Args:
        run: whose device and memory are used.
        settings: ``regressed`` environments, at least those of the zoo's experts, degrees and folds.
        zoo: experts of the visible environments.
        base: that they started from.
    """
    started = time.monotonic()
    healthy, row_of = zoo.healthy(), {row.id: row for row in settings.regressed}
    visible = Known.of_rows(settings.regressed)
    condition = new_condition("parameters", visible, settings.logarithmic_parameters)
    prepared = run.place(condition.prepare(Known.of_rows([row_of[id] for id in healthy.environments])))
    degrees, folds = settings.regression.degrees, settings.regression.folds
    regression = LatentRegression(condition.coordinates, max(degrees), (healthy.weights.shape[1],), LEAST_RIDGE)
    regression.to(run.device)
    chosen = regression.fit(prepared, healthy.weights, degrees, folds, run)
    print(f"polynomial regression of {len(healthy.weights)} experts: {chosen}", flush=True)
    return Conditioned(
        method=f"polynomial-{settings.regressed_base}{OBSERVED}",
        seed=0,
        weights_of=regression,
        condition=condition,
        normalisation=Normalisation.from_metadata(zoo.metadata["normalisation"]),
        train_seconds=base.metadata["seconds"] + zoo.seconds + time.monotonic() - started,
        parameters=regression.coefficients.numel(),
    )
