"""Evaluate the forecasts that need no network: persistence, climatology and damped persistence."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import pandas as pd
from torch import Tensor

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json
from weightcast.core.files import written_whole
from weightcast.environments.baselines.damped_persistence import DampedPersistence
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.evaluation import EvaluationSettings
from weightcast.environments.dataset import read_part
from weightcast.environments.evaluation import TestSet, evaluate_forecast


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="study, data, evaluation")
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--trajectories", required=True, type=Path, help="folder with one NetCDF each")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    settings, table = arguments.settings, arguments.environments
    data = DataSettings(**settings["data"])
    evaluation = EvaluationSettings(**settings["evaluation"])
    test = TestSet.read(settings["study"], table, arguments.trajectories, data, evaluation)
    visible = [environment.id for environment in table.visible]
    seen = read_part(arguments.trajectories, visible, data, "train", data.trained_frames)
    mean = seen.mean((0, 1, 2))  # [channel, y, x]: an unseen environment has no climatology of its own

    def persistence(initial: Tensor, steps: int) -> Tensor:
        return initial[:, None].expand(-1, steps, -1, -1, -1)

    def climatology(initial: Tensor, steps: int) -> Tensor:
        return mean.expand(len(initial), steps, *mean.shape)

    forecasts: dict[str, Callable[[Tensor, int], Tensor]] = {
        "persistence": persistence,
        "climatology": climatology,
        "damped-persistence": DampedPersistence.fit(seen, mean),
    }
    rows = [row for name, forecast in forecasts.items() for row in evaluate_forecast(name, test, forecast, table.ids)]
    with written_whole(arguments.output) as partial:
        pd.DataFrame(rows).to_csv(partial, index=False)


if __name__ == "__main__":
    main()
