"""What generated weights are relative to: those of the base in the same environment."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from weightcast import Generator
from weightcast.core.nets.build import build_predictor
from weightcast.environments.base import Base
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.dataset import Normalisation
from weightcast.environments.diffusion_training import train_diffusion
from weightcast.environments.end_to_end import tune_end_to_end
from weightcast.environments.generator import new_generator
from weightcast.environments.origin import Origin
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.scaling import ParameterScaling
from weightcast.environments.vae_training import train_vae
from weightcast.environments.weight_maps import build_weight_map

ARCHITECTURE = {
    "kind": "fno", "channels": 1, "width": 4, "modes": [2, 2], "depth": 1, "projection": 4,
    "positional": False, "residual": True,
}  # fmt: skip
FILM = {"kind": "film", "parameters": 2, "width": 8}
TRAINING = {"steps": 5, "learning_rate": 0.003}
VALUES = np.array([[0.1, 60.0], [0.3, 120.0], [0.5, 240.0]])  # rate, Reynolds number
BEYOND = np.array([[0.9, 960.0]])


@pytest.fixture(scope="module")
def base() -> Base:
    """A conditioned base that depends on the environment strongly."""
    module = build_predictor(ARCHITECTURE, seed=1)
    predictor = StackedPredictor(module)
    weight_map = build_weight_map(FILM, predictor.graph.read(module), predictor.graph)
    for parameter in weight_map.parameters():
        torch.nn.init.normal_(parameter, std=0.3, generator=torch.Generator().manual_seed(0))
    scaling = ParameterScaling.of(("rate", "Re"), VALUES, ("Re",))
    metadata = {"architecture": ARCHITECTURE, "weight_map": FILM}
    return Base(weight_map.requires_grad_(False), predictor, Normalisation((0.0,), (1.0,)), scaling, metadata)


def untrained(base: Base) -> Generator:
    vae = VAESettings(width=8, heads=2, layers=1, latent=4, batch=3, training=TRAINING)
    diffusion = DiffusionSettings(width=8, heads=2, layers=1, batch=3, sample_steps=2, training=TRAINING)
    metadata = {
        "architecture": ARCHITECTURE,
        "normalisation": {"mean": [0.0], "scale": [1.0]},
        "scaling": base.scaling.metadata(),
        "origin": FILM,
        "vae": vae.model_dump(mode="json"),
        "diffusion": diffusion.model_dump(mode="json"),
        "seed": 0,
    }
    generator = new_generator(metadata, seed=0)
    generator.vae.origin = Origin.of(base, base.scaling)
    return generator


def trained(base: Base, deviations: torch.Tensor) -> Generator:
    """A generator of a zoo with one expert an environment, which deviates from the base as given."""
    generator = untrained(base)
    parameters, frames = base.scaling.apply(VALUES), torch.randn(3, 2, 3, 1, 6, 6)
    zoo = base.weights(VALUES) + deviations
    settings = VAESettings(**generator.metadata["vae"])
    train_vae(generator.vae, base.predictor, zoo, parameters, torch.arange(3), frames, settings, seed=0)
    train_diffusion(generator, zoo, parameters, DiffusionSettings(**generator.metadata["diffusion"]), seed=0)
    return generator


def test_an_origin_is_the_base_whatever_the_scale_of_the_parameters(base: Base) -> None:
    """As when environments join the table: the base keeps its scaling, the generator's follows the table."""
    grown = ParameterScaling.of(("rate", "Re"), np.concatenate([VALUES, BEYOND]), ("Re",))

    origin = Origin.of(base, grown)

    assert not torch.allclose(grown.apply(VALUES), base.scaling.apply(VALUES))
    for values in (VALUES, BEYOND):
        torch.testing.assert_close(origin(grown.apply(values)), base.weights(values), rtol=1e-4, atol=1e-5)


def test_a_parameter_that_never_varied_when_the_base_was_trained_is_not_seen_by_the_origin(base: Base) -> None:
    fixed = ParameterScaling.of(("rate", "Re"), VALUES * [1, 0] + [0, 60], ("Re",))
    narrow = Base(base.weight_map, base.predictor, base.normalisation, fixed, base.metadata)

    origin = Origin.of(narrow, base.scaling)

    at = [origin(base.scaling.apply(np.array([[0.2, reynolds]]))) for reynolds in (60.0, 240.0)]
    torch.testing.assert_close(at[0], at[1])
    torch.testing.assert_close(at[0], narrow.weights(np.array([[0.2, 240.0]])), rtol=1e-4, atol=1e-5)


def test_where_experts_do_not_deviate_generated_weights_are_the_base_outside_the_range_too(base: Base) -> None:
    generator = trained(base, torch.zeros(3, base.predictor.graph.num_parameters))

    for values in (VALUES, BEYOND):
        scaled = base.scaling.apply(values)
        with torch.no_grad():
            weights = generator.weights(scaled, generator.draw_noise(len(values), seed=1))
        torch.testing.assert_close(weights, base.weights(values), rtol=0, atol=1e-5)
    assert (base.weights(BEYOND) - base.weights(VALUES).mean(0)).abs().max() > 0.1  # which the zoo's mean would not be


def test_deviations_alone_are_coded(base: Base) -> None:
    count = base.predictor.graph.num_parameters
    deviations = 0.1 * torch.randn(3, count, generator=torch.Generator().manual_seed(2))
    generator = trained(base, deviations)
    scaled = base.scaling.apply(VALUES)

    with torch.no_grad():
        latents = generator.vae.encode(base.weights(VALUES) + deviations, scaled)
        elsewhere = base.scaling.apply(VALUES[[1, 2, 0]])
        moved = generator.vae.encode(base.weights(VALUES[[1, 2, 0]]) + deviations, elsewhere)
        decoded = generator.vae.decode(latents, elsewhere) - generator.vae.decode(latents, scaled)

    torch.testing.assert_close(latents, moved, rtol=1e-3, atol=1e-3)
    torch.testing.assert_close(decoded, base.weights(VALUES[[1, 2, 0]]) - base.weights(VALUES), rtol=0, atol=1e-5)


def test_an_origin_survives_fine_tuning_end_to_end_and_saving(base: Base, tmp_path: Path) -> None:
    generator = trained(base, 0.1 * torch.randn(3, base.predictor.graph.num_parameters))
    scaled, frames = base.scaling.apply(VALUES), torch.randn(3, 2, 3, 1, 6, 6)
    noise = generator.draw_noise(3, seed=1)
    before = generator.weights(scaled, noise)

    training = TRAINING | {"unroll": 1, "batch": 2}
    tune_end_to_end(generator, frames, scaled, EndToEndSettings(environments=3, training=training), seed=0)
    generator.save(tmp_path / "generator.safetensors")
    loaded = Generator.load(tmp_path / "generator.safetensors")

    torch.testing.assert_close(generator.vae.origins(scaled), base.weights(VALUES))
    assert not torch.allclose(generator.weights(scaled, noise), before)
    assert torch.equal(loaded.weights(scaled, noise), generator.weights(scaled, noise))
    torch.testing.assert_close(loaded.vae.origins(scaled), base.weights(VALUES))
