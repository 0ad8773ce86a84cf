"""One test rollout of a few environments, by the truth and by chosen methods, for the report to show side by side."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np
import torch
import xarray as xr

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json
from weightcast.core.files import written_whole
from weightcast.core.nets.build import build_predictor
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.evaluation import EvaluationSettings
from weightcast.environments.dataset import Normalisation
from weightcast.environments.evaluation import TestSet, roll_out
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weights_table import MethodWeights, load_method_weights

SHOWN = 2
"""Environments shown of each role."""


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="study, data, evaluation")
    parser.add_argument("--weights", required=True, nargs="+", type=Path)
    parser.add_argument("--methods", required=True, nargs="+", metavar="NAME")
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--trajectories", required=True, type=Path, help="folder with one NetCDF each")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    table, data = arguments.environments, DataSettings(**arguments.settings["data"])
    evaluation = EvaluationSettings(**arguments.settings["evaluation"])
    test = TestSet.read(arguments.settings["study"], table, arguments.trajectories, data, evaluation)
    roles = (table.interpolation, table.extrapolation) if table.unseen else (table.visible,)
    shown = [row.id for role in roles for row in role[:: max(1, len(role) // SHOWN)][:SHOWN]]
    chosen = [table.ids.index(environment) for environment in shown]
    steps = max(evaluation.horizons)
    found: dict[str, tuple[MethodWeights, dict[str, Any]]] = {}
    for path in arguments.weights:
        methods, metadata = load_method_weights(path)
        found |= {
            method.method: (method, metadata) for method in reversed(methods) if method.method in arguments.methods
        }
    rolled = {"truth": test.frames[chosen, 0, 1 : steps + 1]}
    for name in arguments.methods:
        method, metadata = found[name]
        weights = torch.stack([method.weights[method.environments.index(environment), 0] for environment in shown])
        predictor = StackedPredictor(build_predictor(metadata["architecture"]))
        normalisation = Normalisation.from_metadata(metadata["normalisation"])
        forecast = roll_out(weights, test.frames[chosen, :1, 0], steps, predictor, normalisation)
        rolled[name] = torch.stack([one[0] for one in forecast])
    values = np.stack(
        [field.numpy() for field in rolled.values()], axis=1
    )  # [environment, method, time, channel, y, x]
    dims = ("environment", "method", "time", "y", "x")
    dataset = xr.Dataset(
        {channel: (dims, values[:, :, :, index]) for index, channel in enumerate(data.channels)},
        coords={"environment": shown, "method": list(rolled), "time": np.arange(1, steps + 1)},
    )
    with written_whole(arguments.output) as partial:
        dataset.to_netcdf(partial)


if __name__ == "__main__":
    main()
