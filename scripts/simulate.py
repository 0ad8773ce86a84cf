"""Simulate environments, or cut them from real data, and write one file of trajectories each."""

from __future__ import annotations

import argparse
import json
import logging
import sys
from pathlib import Path

from tqdm import tqdm

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json
from weightcast.systems import SYSTEM_NAMES, load_system
from weightcast.trajectories import write_trajectories


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--system", required=True, choices=SYSTEM_NAMES)
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--settings", default="{}", type=json.loads, metavar="JSON", help="differences to the defaults")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--output-directory", required=True, type=Path)
    arguments = parser.parse_args()

    logging.basicConfig(level=logging.INFO, format="%(message)s")
    environments = arguments.environments.environments
    system = load_system(arguments.system)
    interactive = sys.stderr.isatty()
    made = system.trajectories(environments, arguments.settings, arguments.seed)
    for number, trajectories in enumerate(tqdm(made, system.name, len(environments), disable=not interactive), start=1):
        path = arguments.output_directory / f"{trajectories.environment}.nc"
        write_trajectories(path, trajectories)
        if not interactive:  # a progress bar would fill a log file with its own history
            logging.info("%d of %d: %s %s", number, len(environments), path, trajectories.values.shape)


if __name__ == "__main__":
    main()
