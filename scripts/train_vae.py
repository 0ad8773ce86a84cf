"""Train the weight VAE of one arm and seed on a zoo."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.artifacts import digest_of
from weightcast.core.environment_table import table_from_json
from weightcast.core.provenance import code_digest
from weightcast.core.seeds import derive_seed
from weightcast.core.training import Resume
from weightcast.environments.base import Base
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.origin import Origin
from weightcast.environments.vae import WeightVAE
from weightcast.environments.vae_artifact import save_vae
from weightcast.environments.vae_training import train_vae
from weightcast.environments.zoo import Zoo
from weightcast.environments.zoo_training_data import ZooTrainingData


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="seed, data, vae")
    parser.add_argument("--zoo", required=True, type=Path)
    parser.add_argument("--base", required=True, type=Path, help="that the zoo started from")
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--trajectories", required=True, type=Path, help="folder with one NetCDF each")
    parser.add_argument("--seed", required=True, type=int, help="of the generator")
    parser.add_argument("--resume", required=True, type=Path, help="folder for the state of unfinished trainings")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    vae_settings = VAESettings(**arguments.settings["vae"])
    training = ZooTrainingData.of(Zoo.load(arguments.zoo), arguments.environments)
    zoo, seed = training.zoo, derive_seed(arguments.settings["seed"], "vae", arguments.seed)
    base = Base.load(arguments.base)
    relative = vae_settings.relative_to == "base"
    torch.manual_seed(seed)
    vae = WeightVAE(base.predictor.graph, vae_settings, Origin.of(base, training.scaling) if relative else None)
    frames = training.frames(arguments.trajectories, DataSettings(**arguments.settings["data"]))

    key = [arguments.settings, arguments.seed, zoo.metadata["tensors_digest"], code_digest(__file__)]
    resume = Resume(arguments.resume, digest_of(key))
    result = train_vae(
        vae,
        base.predictor,
        zoo.weights,
        training.parameters,
        training.environment_of,
        frames,
        vae_settings,
        seed,
        resume,
    )
    metadata = {
        "architecture": zoo.metadata["architecture"],
        "normalisation": zoo.metadata["normalisation"],
        "scaling": training.scaling.metadata(),
        "vae": vae_settings.model_dump(mode="json"),
        "origin": base.metadata["weight_map"] if relative else None,
        "base": zoo.metadata["base"],
        "zoo_digest": zoo.metadata["digest"],
        "zoo_members": len(zoo.manifest),
        "seed": arguments.seed,
        "config_digest": digest_of(arguments.settings),
        "seconds": result.seconds,
        "metrics": {"last_loss": float(result.losses[-50:].mean())},
    }
    save_vae(arguments.output, vae, metadata)
    resume.clear()


if __name__ == "__main__":
    main()
