"""All errors of a study across time in one table, what they say, and what everything cost."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.artifacts import read_metadata
from weightcast.core.tables import read_metrics, write_table
from weightcast.environments.costs import artifact_cost
from weightcast.evolution.costs import time_method_costs
from weightcast.evolution.summary import summarise_times


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", required=True, nargs="+", type=Path, help="errors, method by method")
    parser.add_argument("--anchors", required=True, nargs="+", type=Path)
    parser.add_argument("--flows", required=True, nargs="+", type=Path)
    parser.add_argument("--interpolations", required=True, nargs="*")
    parser.add_argument("--bootstrap", type=int, default=2000, metavar="DRAWS")
    parser.add_argument("--metrics", required=True, type=Path, help="output: all errors")
    parser.add_argument("--summary", required=True, type=Path, help="output: what they say")
    parser.add_argument("--costs", required=True, type=Path, help="output: a row an artifact")
    parser.add_argument("--method-costs", required=True, type=Path, help="output: a row a method")
    arguments = parser.parse_args()

    anchors = [read_metadata(path) for path in arguments.anchors]
    flows = [read_metadata(path) for path in arguments.flows]
    paths = [*arguments.anchors, *arguments.flows]
    artifacts = [
        artifact_cost(path, metadata) | {"stage": path.parents[1].name}  # its folder is the fold
        for path, metadata in zip(paths, [*anchors, *flows], strict=True)
    ]
    methods = pd.DataFrame(time_method_costs(anchors, flows, arguments.interpolations))
    metrics = pd.concat([read_metrics(path) for path in arguments.evaluations], ignore_index=True)
    write_table(metrics, arguments.metrics)
    write_table(summarise_times(metrics, methods, arguments.bootstrap), arguments.summary)
    write_table(pd.DataFrame(artifacts), arguments.costs)
    write_table(methods, arguments.method_costs)


if __name__ == "__main__":
    main()
