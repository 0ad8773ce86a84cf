"""Roll out weights on the test trajectories of their environments and write rows of metrics.csv."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json
from weightcast.core.files import written_whole
from weightcast.core.nets.build import build_predictor
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.evaluation import EvaluationSettings
from weightcast.environments.dataset import Normalisation
from weightcast.environments.evaluation import TestSet, evaluate_weights
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weights_table import load_method_weights


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="study, data, evaluation")
    parser.add_argument("--weights", required=True, type=Path)
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--trajectories", required=True, type=Path, help="folder with one NetCDF each")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    settings = arguments.settings
    test = TestSet.read(
        settings["study"],
        arguments.environments,
        arguments.trajectories,
        DataSettings(**settings["data"]),
        EvaluationSettings(**settings["evaluation"]),
    )
    methods, metadata = load_method_weights(arguments.weights)
    predictor = StackedPredictor(build_predictor(metadata["architecture"]))
    normalisation = Normalisation.from_metadata(metadata["normalisation"])
    rows = [row for method in methods for row in evaluate_weights(method, test, predictor, normalisation)]
    with written_whole(arguments.output) as partial:
        pd.DataFrame(rows).to_csv(partial, index=False)


if __name__ == "__main__":
    main()
