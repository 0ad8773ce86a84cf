"""What everything cost: a row an artifact, and a row a method with all that it builds on."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.artifacts import read_metadata
from weightcast.core.files import written_whole
from weightcast.environments.costs import artifact_cost, method_costs


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--artifacts", required=True, nargs="+", type=Path, help="everything that was trained")
    parser.add_argument("--weights", required=True, nargs="+", type=Path, help="weights of all methods")
    parser.add_argument("--costs", required=True, type=Path)
    parser.add_argument("--method-costs", required=True, type=Path)
    arguments = parser.parse_args()

    rows = [artifact_cost(path, read_metadata(path)) for path in arguments.artifacts]
    methods = method_costs(read_metadata(path) for path in arguments.weights)
    for path, table in ((arguments.costs, rows), (arguments.method_costs, methods)):
        with written_whole(path) as partial:
            pd.DataFrame(table).to_csv(partial, index=False)


if __name__ == "__main__":
    main()
