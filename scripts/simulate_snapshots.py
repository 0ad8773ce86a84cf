"""Simulate the trajectories of a stochastic system and write its snapshots."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.evolution.simulation import simulate_snapshots
from weightcast.samples.settings import SnapshotSettings
from weightcast.samples.snapshots import write_snapshots


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="data, seed")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    settings = SnapshotSettings(**arguments.settings["data"])
    write_snapshots(arguments.output, simulate_snapshots(settings, arguments.settings["seed"]))


if __name__ == "__main__":
    main()
