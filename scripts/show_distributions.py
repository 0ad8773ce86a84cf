"""Samples of one evolved distribution beside held-out ones, at the data's times, for the report to show."""

from __future__ import annotations

import argparse
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.evolution.report.distributions import sample_distributions, write_distributions
from weightcast.evolution.weight_path import WeightPath
from weightcast.samples.snapshots import read_snapshots


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--snapshots", required=True, type=Path)
    parser.add_argument("--flow", required=True, type=Path, help="artifact of one arm and seed")
    parser.add_argument("--samples", type=int, default=1000, metavar="N", help="at each time")
    parser.add_argument("--seed", type=int, default=0, help="of the draws")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    path = WeightPath.load(arguments.flow)
    samples = sample_distributions(read_snapshots(arguments.snapshots), path, arguments.samples, arguments.seed)
    write_distributions(arguments.output, samples)


if __name__ == "__main__":
    main()
