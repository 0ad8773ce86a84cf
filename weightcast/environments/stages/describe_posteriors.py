"""The stage ``describe_posteriors``: what the frames of each case leave open of every unseen environment."""

from __future__ import annotations

import math

import numpy as np

from weightcast.core.environment_table import Environment
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
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
    names = list(visible[0]) if visible and known else []
    scale = CodeScale.of(
        context.codes.cpu().numpy(), {name: np.array([row[name] for row in visible]) for name in names}
    )
    rows = []
    for case in settings.cases:
        data = settings.data
        count = data.with_history(case.frames)
        whole = trajectories.read_roles(unseen, data, "train", count, case.trajectories, inputs=True)
        ids, inputs = [row.id for row in unseen], data.layout.shown
        shown = observe(whole, case, ids, settings.seed, inputs, data.channel_transforms, data.history)
        posterior = context.infer(run.place(shown))
        drawn = posterior.sample(DRAWS, run.draws(settings.seed, "describe posteriors", case.name)).cpu().numpy()
        for row, codes in zip(unseen, drawn, strict=True):
            for found in scale.openness(codes, _parameters(settings, row)):
                cell = {"case": case.name, "environment": row.id, "split": row.role}
                rows.append(cell | vars(found))
    return Table.of_rows(rows)


def _parameters(settings: DescribePosteriors, row: Environment) -> dict[str, float]:
    """An environment's parameters, on the scale that counts."""
    logarithmic = settings.logarithmic_parameters
    return {name: math.log(value) if name in logarithmic else value for name, value in row.parameters.items()}
