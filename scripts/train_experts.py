"""Fine-tune the experts of a shard of environments from a base, all stacked in one training."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.artifacts import digest_of
from weightcast.core.environment_table import table_from_json
from weightcast.core.provenance import code_digest
from weightcast.environments.base import Base
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.zoo import ZooSettings
from weightcast.environments.expert_shard import train_shard


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="data, zoo, study seed")
    parser.add_argument("--base", required=True, type=Path)
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--members", required=True, type=int, help="experts of each environment")
    parser.add_argument("--trajectories", required=True, type=Path, help="folder with one NetCDF each")
    parser.add_argument("--cache", required=True, type=Path, help="folder for finished experts and unfinished state")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    settings = arguments.settings
    train_shard(
        base=Base.load(arguments.base),
        table=arguments.environments,
        environments=arguments.environments.ids,
        members=arguments.members,
        trajectories=arguments.trajectories,
        data=DataSettings(**settings["data"]),
        zoo=ZooSettings(**settings["zoo"]),
        study_seed=int(settings["seed"]),
        cache=arguments.cache,
        code=digest_of([settings, code_digest(__file__)]),
        output=arguments.output,
    )


if __name__ == "__main__":
    main()
