"""Write the resolved configuration and table beside the results that they led to."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import yaml

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json, write_environments
from weightcast.core.files import written_whole


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--config", required=True, type=json.loads, metavar="JSON")
    parser.add_argument(
        "--environments", type=table_from_json, metavar="JSON", help="rows of the table, if there is one"
    )
    parser.add_argument("--output", required=True, type=Path)
    parser.add_argument("--table", type=Path, help="where the table goes; with --environments")
    arguments = parser.parse_args()
    if (arguments.environments is None) != (arguments.table is None):
        parser.error("--environments and --table: expected both or neither")

    with written_whole(arguments.output) as partial:
        partial.write_text(yaml.safe_dump(arguments.config, sort_keys=False), encoding="utf-8")
    if arguments.environments is not None:
        write_environments(arguments.table, arguments.environments)


if __name__ == "__main__":
    main()
