"""The stage ``show_rollouts``: rollouts of a few environments, for the report to show side by side."""

from __future__ import annotations

import numpy as np
import torch
import xarray as xr

from weightcast.core.outputs import Dataset
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.evaluated_frames import read_driven
from weightcast.environments.evaluation import TestSet, roll_out
from weightcast.environments.jobs import ShowRollouts
from weightcast.environments.weights_table import MethodWeights, WeightsFile

SHOWN = 2
"""Environments shown of each role."""


@stage("show_rollouts")
def show_rollouts(
    run: Run, settings: ShowRollouts, weights: list[WeightsFile], trajectories: TrajectoryFolder
) -> Dataset:
    """Roll out one test trajectory of each environment shown, by the truth and by chosen methods of the first seed."""
    table, steps = settings.table, max(settings.evaluation.horizons)
    roles = (table.interpolation, table.extrapolation) if table.unseen else (table.visible,)
    rows = [row for role in roles for row in role[:: max(1, len(role) // SHOWN)][:SHOWN]]
    shown = [row.id for row in rows]
    test = TestSet.of(settings, rows, *read_driven(trajectories, rows, settings.data, steps + 1, run.device))
    found: dict[str, tuple[MethodWeights, WeightsFile]] = {}
    for file in weights:
        found |= {method.method: (method, file) for method in reversed(file.methods)}
    rolled = {"truth": test.frames[:, 0, 1 : steps + 1]}
    for name in settings.methods:
        method, file = found[name]
        networks = torch.stack([method.weights[method.environments.index(environment)][0] for environment in shown])
        forecast = roll_out(
            run.place(networks),
            test.starts[:, :1],
            steps,
            file.predictor_of(method).to(run.device),
            file.normalisation_of(method),
            None if test.inputs is None else test.inputs[:, :1],
        )
        rolled[name] = torch.stack([one[0] for one in forecast])
    # [environment, method, time, channel, y, x]
    values = np.stack([field.cpu().numpy() for field in rolled.values()], axis=1)
    dims = ("environment", "method", "time", "y", "x")
    return Dataset(
        xr.Dataset(
            {channel: (dims, values[:, :, :, index]) for index, channel in enumerate(settings.data.channels)},
            coords={"environment": shown, "method": list(rolled), "time": np.arange(1, steps + 1)},
        )
    )
