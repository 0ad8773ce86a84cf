"""Train the latent diffusion of one arm and seed on a zoo encoded by its VAE."""

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
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.diffusion_training import train_diffusion
from weightcast.environments.generator import new_generator
from weightcast.environments.vae_artifact import load_vae
from weightcast.environments.zoo import Zoo
from weightcast.environments.zoo_training_data import ZooTrainingData


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--settings", required=True, type=json.loads, metavar="JSON", help="seed, diffusion")
    parser.add_argument("--arm", required=True)
    parser.add_argument("--zoo", required=True, type=Path)
    parser.add_argument("--vae", required=True, type=Path)
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--seed", required=True, type=int, help="of the generator")
    parser.add_argument("--resume", required=True, type=Path, help="folder for the state of unfinished trainings")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    settings = DiffusionSettings(**arguments.settings["diffusion"])
    training = ZooTrainingData.of(Zoo.load(arguments.zoo), arguments.environments)
    vae, _, vae_metadata = load_vae(arguments.vae)
    passed_on = ("architecture", "normalisation", "scaling", "vae", "origin", "base", "seed")
    metadata = {key: vae_metadata[key] for key in passed_on}
    metadata |= {
        "arm": arguments.arm,
        "stage": "diffusion",
        "diffusion": settings.model_dump(mode="json"),
        "vae_digest": vae_metadata["digest"],
        "zoo_digest": training.zoo.metadata["digest"],
        "config_digest": digest_of(arguments.settings),
    }
    seed = derive_seed(arguments.settings["seed"], "diffusion", arguments.seed)
    generator = new_generator(metadata, seed)
    generator.vae = vae.requires_grad_(False)

    key = [arguments.settings, arguments.seed, vae_metadata["tensors_digest"], code_digest(__file__)]
    resume = Resume(arguments.resume, digest_of(key))
    parameters = training.parameters[training.environment_of]
    result = train_diffusion(generator, training.zoo.weights, parameters, settings, seed, resume)
    generator.metadata |= {
        "seconds": result.seconds,
        "seconds_before": training.zoo.seconds + vae_metadata["seconds"],
        "metrics": {"last_loss": float(result.losses[-50:].mean())},
    }
    generator.save(arguments.output)
    resume.clear()


if __name__ == "__main__":
    main()
