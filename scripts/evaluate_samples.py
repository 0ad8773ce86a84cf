"""Score what moves samples rather than weights, and the sampling floor, and write rows of metrics.csv."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.files import written_whole
from weightcast.evolution.baselines.evaluation import evaluate_displacement, evaluate_floor, evaluate_flow_matching
from weightcast.evolution.evaluation import TimeTestSet


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="study, seed, evaluation")
    parser.add_argument("--snapshots", required=True, type=Path)
    parser.add_argument("--fold", required=True, help="all, or without-<snapshot>")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    seed = arguments.settings["seed"]
    test = TimeTestSet.read(arguments.settings, arguments.snapshots, arguments.fold)
    rows = list(evaluate_floor(test, seed))
    if test.settings.displacement:
        rows += evaluate_displacement(test, seed)
    if test.settings.flow_matching:
        rows += evaluate_flow_matching(test, seed)
    with written_whole(arguments.output) as partial:
        pd.DataFrame(rows).to_csv(partial, index=False)


if __name__ == "__main__":
    main()
