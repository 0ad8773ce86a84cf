"""Fine-tune a trained generator end to end, through the predictor's own error on visible environments."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.artifacts import digest_of
from weightcast.core.environment_table import table_from_json
from weightcast.core.provenance import code_digest
from weightcast.core.seeds import derive_seed
from weightcast.core.training import Resume
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.dataset import read_part
from weightcast.environments.end_to_end import tune_end_to_end
from weightcast.environments.generator import Generator


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="seed, data, end_to_end")
    parser.add_argument("--generator", required=True, type=Path)
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--trajectories", required=True, type=Path, help="folder with one NetCDF each")
    parser.add_argument("--seed", required=True, type=int, help="of the generator")
    parser.add_argument("--resume", required=True, type=Path, help="folder for the state of unfinished trainings")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    data = DataSettings(**arguments.settings["data"])
    settings = EndToEndSettings(**arguments.settings["end_to_end"])
    generator = Generator.load(arguments.generator)
    table = arguments.environments
    visible = [environment.id for environment in table.visible]
    physical = read_part(arguments.trajectories, visible, data, "train", data.trained_frames)
    parameters = generator.scaling.apply(table.parameter_array(visible))

    key = [arguments.settings, arguments.seed, generator.metadata["tensors_digest"], code_digest(__file__)]
    resume = Resume(arguments.resume, digest_of(key))
    seed = derive_seed(arguments.settings["seed"], "end-to-end", arguments.seed)
    frames = generator.normalisation.apply(physical)
    result = tune_end_to_end(generator, frames, parameters, settings, seed, resume)
    generator.metadata |= {
        "stage": "end-to-end",
        "end_to_end": settings.model_dump(mode="json"),
        "diffusion_digest": generator.metadata["digest"],
        "config_digest": digest_of(arguments.settings),
        "seconds_before": generator.metadata["seconds_before"] + generator.metadata["seconds"],
        "seconds": result.seconds,
        "metrics": {"last_loss": float(result.losses[-50:].mean())},
    }
    generator.save(arguments.output)
    resume.clear()


if __name__ == "__main__":
    main()
