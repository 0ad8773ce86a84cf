"""What generated weights are relative to: those of the base in the same environment."""

from __future__ import annotations

from copy import deepcopy
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_conditions import known_of

from weightcast import Generator
from weightcast.core.nets.build import build_predictor
from weightcast.core.run import Run
from weightcast.environments.base import BaseNetwork, describe_weight_map
from weightcast.environments.conditions.parameters import ParametersCondition
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.config.weight_map import FilmMap
from weightcast.environments.generator import new_generator
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.origin import Origin
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.scaling import ParameterScaling
from weightcast.environments.stages.train_diffusion import train_latent_diffusion
from weightcast.environments.stages.train_vae import train_weight_vae
from weightcast.environments.stages.tune_generator import tune_end_to_end
from weightcast.environments.weight_maps import build_weight_map

ARCHITECTURE = {
    "kind": "fno", "channels": 1, "width": 4, "modes": [2, 2], "depth": 1, "projection": 4,
    "positional": False, "residual": True,
}  # fmt: skip
FILM = FilmMap(width=8)
NAMES = ("rate", "Re")
TRAINING = {"steps": 5, "learning_rate": 0.003}
VALUES = np.array([[0.1, 60.0], [0.3, 120.0], [0.5, 240.0]])  # rate, Reynolds number
BEYOND = np.array([[0.9, 960.0]])


@pytest.fixture(scope="module")
def base() -> BaseNetwork:
    """A conditioned base that depends on the environment strongly."""
    module = build_predictor(ARCHITECTURE, seed=1)
    predictor = StackedPredictor(module)
    condition = condition_of(VALUES)
    weight_map = build_weight_map(FILM, condition, predictor.graph.read(module), predictor.graph)
    for parameter in weight_map.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(0))
    metadata = {"architecture": ARCHITECTURE, "weight_map": describe_weight_map(FILM, condition)}
    return BaseNetwork(weight_map.requires_grad_(False), predictor, Normalisation((0.0,), (1.0,)), metadata)


def condition_of(values: np.ndarray) -> ParametersCondition:
    """Made for visible environments with these parameters; the Reynolds number's logarithm counts."""
    return ParametersCondition(ParameterScaling.of(NAMES, values, ("Re",)))


def coordinates(condition: ParametersCondition, values: np.ndarray) -> torch.Tensor:
    return condition.prepare(known_of(NAMES, values))


def weights_of(base: BaseNetwork, values: np.ndarray) -> torch.Tensor:
    return base.weights(known_of(NAMES, values))


def untrained(base: BaseNetwork) -> Generator:
    vae = VAESettings(width=8, heads=2, layers=1, latent=4, batch=3, training=TRAINING)
    diffusion = DiffusionSettings(width=8, heads=2, layers=1, batch=3, sample_steps=2, training=TRAINING)
    metadata = {
        "architecture": ARCHITECTURE,
        "normalisation": {"mean": [0.0], "scale": [1.0]},
        "condition": base.condition.describe(),
        "origin": base.metadata["weight_map"],
        "vae": vae.model_dump(mode="json"),
        "diffusion": diffusion.model_dump(mode="json"),
        "seed": 0,
    }
    generator = new_generator(metadata, seed=0)
    generator.vae.origin = Origin.of(base, base.condition)
    return generator


def trained(base: BaseNetwork, deviations: torch.Tensor) -> Generator:
    """A generator of a zoo with one expert an environment, which deviates from the base as given."""
    generator = untrained(base)
    prepared, frames = coordinates(base.condition, VALUES), torch.randn(3, 2, 3, 1, 6, 6)
    zoo = weights_of(base, VALUES) + deviations
    settings = VAESettings(**generator.metadata["vae"])
    train_weight_vae(Run(), generator.vae, base.predictor, zoo, prepared, torch.arange(3), frames, settings, seed=0)
    with torch.no_grad():
        latents = generator.vae.encode(zoo, prepared)
    diffusion = DiffusionSettings(**generator.metadata["diffusion"])
    train_latent_diffusion(Run(), generator.diffusion, latents, prepared, diffusion, seed=0)
    return generator


def test_an_origin_is_the_base_whatever_the_scale_of_the_parameters(base: BaseNetwork) -> None:
    """As when environments join the table: the base keeps its scaling, the generator's follows the table."""
    grown = condition_of(np.concatenate([VALUES, BEYOND]))

    origin = Origin.of(base, grown)

    assert not torch.allclose(coordinates(grown, VALUES), coordinates(base.condition, VALUES))
    for values in (VALUES, BEYOND):
        torch.testing.assert_close(origin(coordinates(grown, values)), weights_of(base, values), rtol=1e-4, atol=1e-5)


def test_a_parameter_that_never_varied_when_the_base_was_trained_is_not_seen_by_the_origin(base: BaseNetwork) -> None:
    weight_map = deepcopy(base.weight_map)
    weight_map.condition = condition_of(VALUES * [1, 0] + [0, 60])
    narrow = BaseNetwork(weight_map, base.predictor, base.normalisation, base.metadata)

    origin = Origin.of(narrow, base.condition)

    at = [origin(coordinates(base.condition, np.array([[0.2, reynolds]]))) for reynolds in (60.0, 240.0)]
    torch.testing.assert_close(at[0], at[1])
    torch.testing.assert_close(at[0], weights_of(narrow, np.array([[0.2, 240.0]])), rtol=1e-4, atol=1e-5)


def test_where_experts_do_not_deviate_generated_weights_are_the_base_outside_the_range_too(base: BaseNetwork) -> None:
    generator = trained(base, torch.zeros(3, base.predictor.graph.num_parameters))

    for values in (VALUES, BEYOND):
        prepared = coordinates(base.condition, values)
        with torch.no_grad():
            weights = generator.weights(prepared, generator.draw_noise(len(values), seed=1))
        torch.testing.assert_close(weights, weights_of(base, values), rtol=0, atol=1e-5)
    assert (
        weights_of(base, BEYOND) - weights_of(base, VALUES).mean(0)
    ).abs().max() > 0.1  # which the zoo's mean would not be


def test_deviations_alone_are_coded(base: BaseNetwork) -> None:
    count = base.predictor.graph.num_parameters
    deviations = 0.1 * torch.randn(3, count, generator=torch.Generator().manual_seed(2))
    generator = trained(base, deviations)
    prepared = coordinates(base.condition, VALUES)

    with torch.no_grad():
        latents = generator.vae.encode(weights_of(base, VALUES) + deviations, prepared)
        elsewhere = coordinates(base.condition, VALUES[[1, 2, 0]])
        moved = generator.vae.encode(weights_of(base, VALUES[[1, 2, 0]]) + deviations, elsewhere)
        decoded = generator.vae.decode(latents, elsewhere) - generator.vae.decode(latents, prepared)

    torch.testing.assert_close(latents, moved, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(
        decoded, weights_of(base, VALUES[[1, 2, 0]]) - weights_of(base, VALUES), rtol=0, atol=1e-5
    )


def test_an_origin_survives_fine_tuning_end_to_end_and_saving(base: BaseNetwork, tmp_path: Path) -> None:
    generator = trained(base, 0.1 * torch.randn(3, base.predictor.graph.num_parameters))
    prepared, frames = coordinates(base.condition, VALUES), torch.randn(3, 2, 3, 1, 6, 6)
    noise = generator.draw_noise(3, seed=1)
    before = generator.weights(prepared, noise)

    training = TRAINING | {"unroll": 1, "batch": 2}
    tune_end_to_end(Run(), generator, frames, prepared, EndToEndSettings(environments=3, training=training), seed=0)
    generator.save(tmp_path / "generator.safetensors")
    loaded = Generator.load(tmp_path / "generator.safetensors")

    torch.testing.assert_close(generator.vae.origins(prepared), weights_of(base, VALUES))
    assert not torch.allclose(generator.weights(prepared, noise), before)
    assert torch.equal(loaded.weights(prepared, noise), generator.weights(prepared, noise))
    torch.testing.assert_close(loaded.vae.origins(prepared), weights_of(base, VALUES))
