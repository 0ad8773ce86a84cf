"""A study's networks before any training: to count their numbers and to time their steps."""

from __future__ import annotations

from pathlib import Path

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.environments.base import describe_weight_map
from weightcast.environments.conditions import Known, new_condition
from weightcast.environments.config.study import Study
from weightcast.environments.config.trained_maps import trained_maps
from weightcast.environments.generator import Generator, new_generator
from weightcast.environments.predictor import StackedPredictor


def untrained_predictor(study: Study) -> StackedPredictor:
    """The study's predictor."""
    return StackedPredictor(
        build_predictor(
            describe_architecture(study.predictor, len(study.data.channels), study.data.layout, study.data.history)
        )
    )


def check_predictor(study: Study, config: str | Path) -> None:
    """Raise an `InputError` if the predictor has no such layer as the zoo's perturbation names."""
    layer, graph = study.zoo.perturbation.layer, untrained_predictor(study).graph
    if not any(name.startswith(f"{layer}.") for name in graph.shapes):
        layers = ", ".join(layer.name for layer in graph.layers)
        raise InputError(f"{config}: zoo.perturbation.layer: found {layer!r}, expected one of {layers}")


def untrained_generator(study: Study, table: EnvironmentTable, arm: str) -> Generator:
    """The generator of one arm."""
    vae, diffusion = study.generator.of_arm(arm)
    data, channels = study.data, len(study.data.channels)
    origin = trained_maps(study)[study.generator.arms[arm].base].weight_map
    known = Known.of_rows(table.visible)
    condition = new_condition(study.generator.arms[arm].condition, known, study.logarithmic_parameters)
    metadata = {
        "architecture": describe_architecture(study.predictor, channels, data.layout, data.history),
        "normalisation": {key: [value] * (channels + data.beside) for key, value in (("mean", 0.0), ("scale", 1.0))},
        "condition": condition.describe(),
        "origin": describe_weight_map(origin, condition) if vae.relative_to != "mean" else None,
        "vae": vae.model_dump(mode="json"),
        "diffusion": diffusion.model_dump(mode="json"),
    }
    return new_generator(metadata, seed=0)
