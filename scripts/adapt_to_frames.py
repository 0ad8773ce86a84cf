"""Weights for unseen environments from the first frames of one trajectory: their parameters are taken for unknown."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json
from weightcast.core.methods import OBSERVED
from weightcast.environments.adaptation import Conditioned, adapt
from weightcast.environments.base import Base
from weightcast.environments.config.data import DataSettings
from weightcast.environments.dataset import read_part
from weightcast.environments.generator import Generator
from weightcast.environments.weights_table import save_method_weights


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="data, frames")
    parser.add_argument("--base", required=True, action="append", type=Path, help="conditioned; once for every method")
    parser.add_argument("--method", required=True, action="append", help="without its ending; in the same order")
    parser.add_argument("--generators", default=[], nargs="*", type=Path, help="one artifact an arm and seed")
    parser.add_argument("--started-from", required=True, type=Path, help="the generators' base: its cost counts")
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--trajectories", required=True, type=Path, help="folder with one NetCDF each")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    table = arguments.environments
    data = DataSettings(**arguments.settings["data"])
    observed = read_part(arguments.trajectories, table.ids, data, "train", arguments.settings["frames"])[:, :1]
    bases = [Base.load(path) for path in arguments.base]
    conditioned = [
        Conditioned.of_base(name + OBSERVED, base) for name, base in zip(arguments.method, bases, strict=True)
    ]
    started_from = Base.load(arguments.started_from)
    for path in arguments.generators:
        generator = Generator.load(path)
        name = f"generator-{generator.metadata['arm']}{OBSERVED}"
        conditioned.append(Conditioned.of_generator(name, generator, started_from.metadata["seconds"]))

    frames = started_from.normalisation.apply(observed)  # that of all bases of a study
    methods = []
    for method in conditioned:
        methods.append(adapt(method, list(table.ids), frames, started_from.predictor, len(table.parameter_names)))
        print(f"{method.method}, seed {method.seed}: {methods[-1].adapt_seconds:.2g} s an environment", flush=True)
    save_method_weights(arguments.output, methods, started_from.shared)


if __name__ == "__main__":
    main()
