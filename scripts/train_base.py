"""Train a network on all visible environments together: a pooled one, a conditioned one or a hypernetwork."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.artifacts import digest_of, save_artifact
from weightcast.core.config.predictor import PredictorSettings
from weightcast.core.config.training import PooledTraining
from weightcast.core.environment_table import table_from_json
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.provenance import code_digest
from weightcast.core.seeds import derive_seed
from weightcast.core.training import Resume
from weightcast.environments.config.data import DataSettings
from weightcast.environments.dataset import Normalisation, read_part, tensor_digest
from weightcast.environments.pooled_training import train_weight_map
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.scaling import ParameterScaling
from weightcast.environments.weight_maps import build_weight_map


@exit_on_input_error()
def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--settings",
        required=True,
        type=json.loads,
        metavar="JSON",
        help="data, predictor, map, training, logarithmic_parameters",
    )
    parser.add_argument("--environments", required=True, type=table_from_json, metavar="JSON", help="rows of the table")
    parser.add_argument("--trajectories", required=True, type=Path, help="folder with one NetCDF each")
    parser.add_argument("--seed", default=0, type=int)
    parser.add_argument("--resume", required=True, type=Path, help="folder for the state of unfinished trainings")
    parser.add_argument("--output", required=True, type=Path)
    arguments = parser.parse_args()

    settings = arguments.settings
    data = DataSettings(**settings["data"])
    training = PooledTraining(**settings["training"])
    table = arguments.environments
    ids = list(table.ids)
    physical = read_part(arguments.trajectories, ids, data, "train", data.trained_frames)
    normalisation = Normalisation.of(physical)
    frames = normalisation.apply(physical)
    values = table.parameter_array(ids)
    scaling = ParameterScaling.of(table.parameter_names, values, settings["logarithmic_parameters"])
    parameters = scaling.apply(values)

    seed = derive_seed(arguments.seed, "base", settings["map"]["kind"])
    architecture = describe_architecture(PredictorSettings(**settings["predictor"]), len(data.channels))
    module = build_predictor(architecture, seed)
    predictor = StackedPredictor(module)
    described = settings["map"] | {"parameters": len(table.parameter_names)}
    torch.manual_seed(derive_seed(seed, "map"))
    weight_map = build_weight_map(described, predictor.graph.read(module), predictor.graph)

    data_digest = tensor_digest(physical)
    key = [settings, ids, scaling.metadata(), seed, data_digest, code_digest(__file__)]
    resume = Resume(arguments.resume, digest_of(key))
    result = train_weight_map(weight_map, predictor, frames, parameters, training, seed, resume, arguments.output.stem)
    metadata = {
        "weight_map": described,
        "architecture": architecture,
        "normalisation": normalisation.metadata(),
        "scaling": scaling.metadata(),
        "environments": ids,
        "seed": seed,
        "settings": settings,
        "data_digest": data_digest,
        "config_digest": digest_of(settings),
        "seconds": result.seconds,
        "metrics": {"last_loss": float(result.losses[-50:].mean())},
    }
    save_artifact(arguments.output, "base", weight_map.state_dict(), metadata)
    resume.clear()


if __name__ == "__main__":
    main()
