"""Weights of few-shot adaptation: each base fine-tuned on the first frames of one trajectory of unseen environments.

Of all environments, where none is unseen.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.environment_table import table_from_json
from weightcast.environments.base import Base
from weightcast.environments.baselines.finetuning import choose_settings, finetune
from weightcast.environments.config.baselines import FinetuneSettings
from weightcast.environments.config.data import DataSettings
from weightcast.environments.dataset import read_part
from weightcast.environments.weights_table import MethodWeights, save_method_weights


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="data, finetune")
    parser.add_argument("--base", required=True, action="append", type=Path, help="artifact; once for every method")
    parser.add_argument("--method", required=True, action="append", help="name in metrics.csv; in the same order")
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--trajectories", required=True, type=Path, help="folder with one NetCDF each")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    data = DataSettings(**arguments.settings["data"])
    settings = FinetuneSettings(**arguments.settings["finetune"])
    table = arguments.environments
    visible = [environment.id for environment in table.visible]
    # Evenly spread over the table: neighbours in it are neighbours in parameters.
    chosen = visible[:: max(1, len(visible) // settings.choosing_environments)][: settings.choosing_environments]
    wanted = [environment.id for environment in table.unseen] or list(table.ids)
    seen, observed = (
        read_part(arguments.trajectories, ids, data, "train", settings.frames)[:, 0] for ids in (chosen, wanted)
    )
    held_out = read_part(arguments.trajectories, chosen, data, "validation", data.trained_frames)

    methods, shared = [], {}
    for path, name in zip(arguments.base, arguments.method, strict=True):
        base = Base.load(path)
        shared = base.shared
        normalise = base.normalisation.apply
        steps, rate, choosing = choose_settings(
            base.weights(table.parameter_array(chosen)),
            normalise(seen),
            normalise(held_out),
            base.predictor,
            settings,
        )
        print(f"{name}: {steps} steps at {rate:g}, chosen on {len(chosen)} visible environments", flush=True)
        weights, seconds = finetune(
            base.weights(table.parameter_array(wanted)), normalise(observed), base.predictor, steps, rate
        )
        methods.append(
            MethodWeights(
                method=name,
                seed=0,
                environments=wanted,
                weights=weights[:, None],
                train_seconds=base.metadata["seconds"] + choosing,
                adapt_seconds=seconds / len(wanted),
                parameters=weights.shape[1],
            )
        )
    save_method_weights(arguments.output, methods, shared)


if __name__ == "__main__":
    main()
