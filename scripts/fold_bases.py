"""Weights of the methods that are weight maps themselves: pooled, FiLM, FiLM at matched compute, hypernetwork."""

from __future__ import annotations

import argparse
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json
from weightcast.environments.base import Base
from weightcast.environments.weights_table import MethodWeights, save_method_weights


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--base", required=True, action="append", type=Path, help="artifact; once for every method")
    parser.add_argument("--method", required=True, action="append", help="name in metrics.csv; in the same order")
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    table = arguments.environments
    methods, shared = [], {}
    for path, name in zip(arguments.base, arguments.method, strict=True):
        base = Base.load(path)
        shared = base.shared
        methods.append(
            MethodWeights(
                method=name,
                seed=0,
                environments=list(table.ids),
                weights=base.weights(table.parameter_array())[:, None],
                train_seconds=base.metadata["seconds"],
                adapt_seconds=0.0,
                parameters=sum(parameter.numel() for parameter in base.weight_map.parameters()),
            )
        )
    save_method_weights(arguments.output, methods, shared)


if __name__ == "__main__":
    main()
