"""The stage ``describe_posteriors``: what the frames of each case leave open of every unseen environment."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import torch

from weightcast.core.environment_table import Environment
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.code_effects import code_effects
from weightcast.environments.code_posteriors import CodePosterior
from weightcast.environments.context import Context
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import DescribePosteriors
from weightcast.environments.observe import observe
from weightcast.environments.open_directions import CodeScale

DRAWS = 256
"""Codes that are drawn of each environment's posterior."""


@stage("describe_posteriors")
def describe_posteriors(
    run: Run, settings: DescribePosteriors, context: Context, trajectories: TrajectoryFolder
) -> Table:
    """Infer every unseen environment in every case, and say how far what is drawn of its code is spread."""
    context = context.to(run.device)
    unseen = [row for row in settings.environments if row.role != "visible"]
    visible = [_parameters(settings, settings.table[id]) for id in context.environments if id in settings.table.ids]
    known = len(visible) == len(context.environments)  # none has left the table since the context was trained
    parameters = list(visible[0]) if visible and known else []
    data, rows, inferred = settings.data, [], list[tuple[str, CodePosterior]]()
    for case in settings.cases:
        count = data.with_history(case.frames)
        whole = trajectories.read_roles(unseen, data, "train", count, case.trajectories, inputs=True)
        ids, inputs = [row.id for row in unseen], data.layout.shown
        shown = observe(whole, case, ids, settings.seed, inputs, data.channel_transforms, data.history)
        inferred.append((case.name, context.infer(run.place(shown), trajectories.land(ids, data))))
    scale = CodeScale.of(
        context.codes.cpu().numpy(),
        {one: np.array([row[one] for row in visible]) for one in parameters},
        _effects([posterior for _, posterior in inferred]),
    )
    for name, posterior in inferred:
        drawn = posterior.sample(DRAWS, run.draws(settings.seed, "describe posteriors", name)).cpu().numpy()
        for row, codes in zip(unseen, drawn, strict=True):
            for found in scale.openness(codes, _parameters(settings, row)):
                cell = {"case": name, "environment": row.id, "split": row.role}
                rows.append(cell | vars(found))
    return Table.of_rows(rows)


def _effects(posteriors: Sequence[CodePosterior]) -> np.ndarray | None:
    """What codes' numbers do to forecasts [dimension, dimension], the mean over environments of the first case whose
    frames say anything of them; None of no such case."""
    for posterior in posteriors:
        effects = code_effects(posterior)
        if effects is not None:
            factor = posterior.prior.factor.double()
            inner = torch.linalg.inv(factor)
            return (inner.mT @ effects.mean(0) @ inner).cpu().numpy()
    return None


def _parameters(settings: DescribePosteriors, row: Environment) -> dict[str, float]:
    """An environment's parameters, on the scale that counts."""
    logarithmic = settings.logarithmic_parameters
    return {name: math.log(value) if name in logarithmic else value for name, value in row.parameters.items()}
