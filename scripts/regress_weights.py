"""Weights from a zoo without a generator: nearest expert, polynomial and Gaussian-process regression, One-per-Env."""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json
from weightcast.environments.base import Base
from weightcast.environments.baselines.regression import (
    Regression,
    gaussian_process_regression,
    nearest_environment,
    polynomial_regression,
)
from weightcast.environments.config.baselines import RegressionSettings
from weightcast.environments.weights_table import MethodWeights, save_method_weights
from weightcast.environments.zoo import Zoo
from weightcast.environments.zoo_training_data import ZooTrainingData


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="regression")
    parser.add_argument("--zoo", required=True, type=Path)
    parser.add_argument("--reference", type=Path, help="experts of unseen environments, for One-per-Env")
    parser.add_argument("--base", required=True, type=Path)
    parser.add_argument("--name", required=True, help="of the base, as it ends the methods' names")
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    table, base = arguments.environments, Base.load(arguments.base)
    settings = RegressionSettings(**arguments.settings["regression"])
    everything = Zoo.load(arguments.zoo)
    training = ZooTrainingData.of(everything, table)
    seen = training.parameters.double().numpy()
    wanted = training.scaling.apply(table.parameter_array()).double().numpy()
    first = [training.environment_of.tolist().index(row) for row in range(len(training.environments))]
    # Regression is on the mean of an environment's experts; the nearest expert is one of them, the first.
    mean = torch.stack(
        [training.zoo.weights[training.environment_of == row].mean(0) for row in range(len(training.environments))]
    )
    before = base.metadata["seconds"] + everything.seconds

    def method(name: str, weights: torch.Tensor, seconds: float, numbers: int, ids: list[str]) -> MethodWeights:
        return MethodWeights(f"{name}-{arguments.name}", 0, ids, weights.float()[:, None], seconds, 0.0, numbers)

    nearest = training.zoo.weights[[first[row] for row in nearest_environment(seen, wanted)]]
    methods = [method("nearest-expert", nearest, before, training.zoo.weights.numel(), list(table.ids))]
    fits = {
        "polynomial": lambda: polynomial_regression(seen, mean.double().numpy(), settings.degrees, settings.folds),
        "gaussian-process": lambda: gaussian_process_regression(seen, mean.double().numpy()),
    }
    for name, fit in fits.items():
        started = time.monotonic()
        regression: Regression = fit()
        weights = torch.from_numpy(np.ascontiguousarray(regression.predict(wanted)))
        methods.append(method(name, weights, before + time.monotonic() - started, regression.numbers, list(table.ids)))
    experts = [
        (entry["environment"], row, everything) for row, entry in enumerate(everything.manifest) if entry["member"] == 0
    ]
    if arguments.reference is not None:
        reference = Zoo.load(arguments.reference)
        experts += [(entry["environment"], row, reference) for row, entry in enumerate(reference.manifest)]
    own = torch.stack([zoo.weights[row] for _, row, zoo in experts])
    # An expert serves its own environment alone, so what it cost to train is what adapting to an environment costs.
    cost = float(np.mean([zoo.manifest[row]["seconds"] for _, row, zoo in experts]))
    methods.append(
        MethodWeights(
            f"one-per-env-{arguments.name}",
            0,
            [environment for environment, _, _ in experts],
            own[:, None],
            base.metadata["seconds"],
            cost,
            own.shape[1],
        )
    )
    save_method_weights(arguments.output, methods, base.shared)


if __name__ == "__main__":
    main()
