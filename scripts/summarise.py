"""All errors in one table, and what they say: medians, intervals, tests against the best baseline, costs."""

from __future__ import annotations

import argparse
from pathlib import Path

import pandas as pd

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.significance import summarise
from weightcast.core.tables import read_method_costs, read_metrics, write_table
from weightcast.environments.adaptation_table import adaptation_table


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--evaluations", required=True, nargs="+", type=Path, help="errors, method by method")
    parser.add_argument("--method-costs", required=True, type=Path)
    parser.add_argument("--trained-horizon", required=True, type=int, metavar="FRAMES")
    parser.add_argument("--bootstrap", type=int, default=2000, metavar="DRAWS")
    parser.add_argument("--metrics", required=True, type=Path, help="output: all errors")
    parser.add_argument("--summary", required=True, type=Path, help="output: what they say")
    parser.add_argument("--benchmark", type=Path, help="output: scores as benchmarks of adaptation average them")
    arguments = parser.parse_args()

    metrics = pd.concat([read_metrics(path) for path in arguments.evaluations], ignore_index=True)
    costs = read_method_costs(arguments.method_costs)
    summary = summarise(metrics, costs, arguments.trained_horizon, arguments.bootstrap)
    benchmark = adaptation_table(metrics, arguments.trained_horizon) if arguments.benchmark else None
    write_table(metrics, arguments.metrics)
    write_table(summary, arguments.summary)
    if benchmark is not None:
        write_table(benchmark, arguments.benchmark)


if __name__ == "__main__":
    main()
