"""Generate weights for every environment of the table, with every seed of an arm."""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import torch

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json
from weightcast.core.seeds import derive_seed
from weightcast.environments.base import Base
from weightcast.environments.generator import Generator
from weightcast.environments.weights_table import MethodWeights, save_method_weights


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--generators", required=True, nargs="+", type=Path, help="one artifact a seed")
    parser.add_argument("--base", required=True, type=Path, help="that the arm's zoo started from: its cost counts")
    parser.add_argument("--method", required=True, help="name in metrics.csv")
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--samples", required=True, type=int, help="predictors for each environment")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    table = arguments.environments
    base = Base.load(arguments.base)
    methods = []
    for path in arguments.generators:
        generator = Generator.load(path)
        started = time.monotonic()
        weights = []
        for environment in table:
            # Each environment has noise of its own, so that environments are independent samples.
            noise = generator.draw_noise(arguments.samples, derive_seed(generator.metadata["seed"], environment.id))
            scaled = generator.scaling.apply(table.parameter_array([environment.id])).expand(arguments.samples, -1)
            with torch.no_grad():
                weights.append(generator.weights(scaled, noise))
        trained = [*generator.vae.parameters(), *generator.diffusion.parameters()]
        methods.append(
            MethodWeights(
                method=arguments.method,
                seed=int(generator.metadata["seed"]),
                environments=list(table.ids),
                weights=torch.stack(weights),
                train_seconds=base.metadata["seconds"]
                + generator.metadata["seconds_before"]
                + generator.metadata["seconds"],
                adapt_seconds=(time.monotonic() - started) / len(table),
                parameters=sum(parameter.numel() for parameter in trained),
            )
        )
    save_method_weights(arguments.output, methods, base.shared)


if __name__ == "__main__":
    main()
