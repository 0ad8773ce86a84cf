"""Distil predictors into differential equations, beside the true ones where the system knows them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json
from weightcast.core.errors import InputError
from weightcast.core.nets.build import build_predictor
from weightcast.core.tables import EXPLANATION_COLUMNS, write_table
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.explain import ExplainSettings
from weightcast.environments.dataset import Normalisation
from weightcast.environments.explain.known_terms import known_terms
from weightcast.environments.explain.predictor_equations import Row, TrainingStates, equation_rows, with_truth
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weights_table import load_method_weights


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--settings", required=True, type=json.loads, metavar="JSON", help="study, data, system, explain, seed"
    )
    parser.add_argument("--weights", required=True, nargs="+", type=Path)
    parser.add_argument("--methods", required=True, nargs="+", metavar="NAME")
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--trajectories", required=True, type=Path, help="folder with one NetCDF each")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    table, settings = arguments.environments, arguments.settings
    data, explain = DataSettings(**settings["data"]), ExplainSettings(**settings["explain"])
    states = TrainingStates.read(arguments.trajectories, table, data, explain.starts, settings["seed"])
    steps = explain.steps or data.trained_frames - 1
    loaded = [
        (method, metadata) for methods, metadata in map(load_method_weights, arguments.weights) for method in methods
    ]
    known = sorted({method.method for method, _ in loaded})
    for name in arguments.methods:
        if name not in known:
            raise InputError(f"config: explain.methods: found {name!r}, expected some of {', '.join(known)}")
    rows: list[Row] = []
    for method, metadata in loaded:
        if method.method in arguments.methods:
            predictor = StackedPredictor(build_predictor(metadata["architecture"]))
            normalisation = Normalisation.from_metadata(metadata["normalisation"])
            rows += equation_rows(method, predictor, normalisation, states, data.channels, explain, steps)
            print(f"{method.method}, seed {method.seed}: {len(method.environments)} environments", flush=True)
    truth = {row.id: known_terms(data.source, row, settings["system"], data.channels) for row in table}
    explanation = pd.DataFrame(with_truth(rows, truth))
    explanation["study"] = settings["study"]
    explanation["split"] = explanation["environment"].map({row.id: row.role for row in table})
    write_table(explanation[list(EXPLANATION_COLUMNS)], arguments.output)


if __name__ == "__main__":
    main()
