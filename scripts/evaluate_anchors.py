"""Score interpolations of the weights of anchors, and write rows of metrics.csv."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import pandas as pd

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.files import written_whole
from weightcast.evolution.anchors import Anchors
from weightcast.evolution.evaluation import Row, TimeTestSet, evaluate_path
from weightcast.evolution.interpolation import interpolate_weights

SCORED_AS_SOURCE = "pchip"
"""One interpolation of each kind of anchors is scored as the source scores, at all times: the strongest of them."""


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="study, seed, evaluation")
    parser.add_argument("--anchors", required=True, type=Path)
    parser.add_argument("--snapshots", required=True, type=Path)
    parser.add_argument("--fold", required=True, help="all, or without-<snapshot>")
    parser.add_argument("--seed", required=True, type=int, help="of the anchors")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    test = TimeTestSet.read(arguments.settings, arguments.snapshots, arguments.fold)
    anchors = Anchors.load(arguments.anchors)
    rows: list[Row] = []
    for curve in test.settings.interpolations:
        weights = interpolate_weights(anchors.times, anchors.weights, test.snapshots.times, curve)
        method = f"{curve}-{anchors.metadata['anchors']}"
        as_source = curve == SCORED_AS_SOURCE
        rows += evaluate_path(method, arguments.seed, anchors.density, weights, test, as_source)
    with written_whole(arguments.output) as partial:
        pd.DataFrame(rows).to_csv(partial, index=False)


if __name__ == "__main__":
    main()
