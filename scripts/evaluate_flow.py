"""Score the path of a flow, and write rows of metrics.csv."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.files import written_whole
from weightcast.evolution.evaluation import TimeTestSet, evaluate_path
from weightcast.evolution.weight_path import WeightPath


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="study, seed, evaluation")
    parser.add_argument("--flow", required=True, type=Path)
    parser.add_argument("--snapshots", required=True, type=Path)
    parser.add_argument("--fold", required=True, help="all, or without-<snapshot>")
    parser.add_argument("--seed", required=True, type=int, help="of the flow")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    test = TimeTestSet.read(arguments.settings, arguments.snapshots, arguments.fold)
    path = WeightPath.load(arguments.flow)
    # The last times may lie after the last snapshot, where not all times are observed.
    weights = path.weights(test.snapshots.times, extrapolate=True)
    method = f"flow-{path.metadata['arm']}"
    rows = list(evaluate_path(method, arguments.seed, path.density, weights, test))
    with written_whole(arguments.output) as partial:
        pd.DataFrame(rows).to_csv(partial, index=False)


if __name__ == "__main__":
    main()
