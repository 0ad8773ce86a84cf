"""Weight VAE, its trainings, and the generator as a user calls it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from tiny_conditions import describing, known_of

from weightcast import Generator
from weightcast.core.artifacts import load_artifact
from weightcast.core.errors import InputError
from weightcast.core.nets.build import build_predictor
from weightcast.core.run import Run
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.generator import new_generator
from weightcast.environments.model import load_models, physical_predictors, save_models
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.stages.train_diffusion import train_latent_diffusion
from weightcast.environments.stages.train_vae import train_weight_vae
from weightcast.environments.stages.tune_generator import tune_end_to_end
from weightcast.environments.vae import new_vae

ARCHITECTURE = {
    "kind": "fno", "channels": 1, "width": 4, "modes": [2, 2], "depth": 2, "projection": 4,
    "positional": False, "residual": True,
}  # fmt: skip
RATES = torch.linspace(0.1, 0.5, 9)


def metadata(**diffusion) -> dict:
    training = {"steps": 150, "learning_rate": 0.003}
    vae = VAESettings(width=16, heads=2, layers=1, latent=4, batch=9, training=training)
    settings = DiffusionSettings(width=16, heads=2, layers=1, batch=18, training=training | {"steps": 300}, **diffusion)
    return {
        "architecture": ARCHITECTURE,
        "normalisation": {"mean": [2.0], "scale": [3.0]},
        "condition": describing(rate=(0.1, 0.5)),
        "origin": None,
        "vae": vae.model_dump(mode="json"),
        "diffusion": settings.model_dump(mode="json"),
        "seed": 0,
    }


@pytest.fixture(scope="module")
def zoo():
    """Networks that decay a field at a known rate: only the output layer depends on the environment, linearly."""
    predictor = StackedPredictor(build_predictor(ARCHITECTURE, seed=3))
    base = predictor.graph.read(build_predictor(ARCHITECTURE, seed=3))
    state = predictor.graph.unflatten(base.expand(9, -1).clone())
    state["output.weight"] = state["output.weight"] * (RATES[:, None, None] / 0.3)
    weights = predictor.graph.flatten(state)
    first = torch.randn(9, 4, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    frames = [first]
    with torch.no_grad():
        for _ in range(5):
            frames.append(predictor(weights, frames[-1]))
    return predictor, weights, torch.stack(frames, dim=2)  # frames [environment, trajectory, frame, channel, y, x]


@pytest.fixture(scope="module")
def trained(zoo):
    predictor, weights, frames = zoo
    generator = new_generator(metadata(), seed=0)
    settings = VAESettings(**generator.metadata["vae"])
    prepared = coordinates(generator)
    train_weight_vae(Run(), generator.vae, predictor, weights, prepared, torch.arange(9), frames, settings, seed=0)
    diffusion = DiffusionSettings(**generator.metadata["diffusion"])
    with torch.no_grad():
        latents = generator.vae.encode(weights, prepared)
    train_latent_diffusion(Run(), generator.diffusion, latents, prepared, diffusion, seed=0)
    return generator


def coordinates(generator: Generator) -> torch.Tensor:
    """Of the environments of ``RATES``, as the generator's condition sees them."""
    return generator.condition.prepare(known_of(("rate",), RATES.double().numpy()[:, None]))


def spread(weights: torch.Tensor) -> float:
    return float((weights - weights.mean(0)).square().mean().sqrt())


def test_the_vae_reconstructs_the_zoo(zoo, trained):
    _, weights, _ = zoo
    no_parameters = torch.zeros(9, 1)  # without an origin they count for nothing
    with torch.no_grad():
        decoded = trained.vae.decode(trained.vae.encode(weights, no_parameters), no_parameters)

    assert float((decoded - weights).square().mean().sqrt()) < 0.3 * spread(weights)


@pytest.mark.parametrize("normalisation", ["layer", "min-max", "weight"])
@pytest.mark.parametrize("coder", ["attention", "flat"])
def test_coders_and_units_of_weights_reconstruct_too(zoo, coder, normalisation):
    predictor, weights, frames = zoo
    settings = VAESettings(
        coder=coder, normalisation=normalisation, width=16, heads=2, layers=1, latent=4, batch=9,
        functional_weight=0.0, training={"steps": 200, "learning_rate": 0.01},
    )  # fmt: skip
    torch.manual_seed(0)
    vae = new_vae(predictor.graph, settings)
    nothing = torch.zeros(9, 1)
    train_weight_vae(Run(), vae, predictor, weights, nothing, torch.arange(9), frames, settings, seed=0)

    coded = torch.cat([tokens.flatten(1) for tokens in vae.standardise(weights)], 1)
    if normalisation == "min-max":
        assert float(coded.abs().max()) == pytest.approx(1.0, abs=1e-4)
    with torch.no_grad():
        latents = vae.encode(weights, nothing)
        decoded = vae.decode(latents, nothing)
    assert latents.shape == (9, predictor.graph.num_nodes, 4)
    # Min-max counts in units of a layer's whole range, in which how experts differ is small.
    size = 0.2 * float(weights.std()) if normalisation == "min-max" else 0.9 * spread(weights)
    assert float((decoded - weights).square().mean().sqrt()) < size


def test_encoded_latents_have_zero_mean_and_unit_scale(zoo, trained):
    with torch.no_grad():
        latents = trained.vae.encode(zoo[1], torch.zeros(9, 1))

    torch.testing.assert_close(latents.mean(0), torch.zeros_like(latents[0]), atol=1e-4, rtol=0)
    assert float(latents.square().mean()) == pytest.approx(1.0, rel=1e-3)


def test_generated_weights_follow_the_environment_between_the_visible_ones(zoo, trained):
    _, weights, _ = zoo
    middle = (weights[2] + weights[3]) / 2  # the zoo is linear in the rate
    rate = float(RATES[2] + RATES[3]) / 2

    generated = trained.sample_weights({"rate": rate}, n=4)

    assert float((generated.mean(0) - middle).square().mean().sqrt()) < 0.5 * spread(weights)
    mean_error = float((weights.mean(0) - middle).square().mean().sqrt())
    assert float((generated.mean(0) - middle).square().mean().sqrt()) < mean_error


def test_end_to_end_fine_tuning_lowers_the_predictors_error(zoo, trained, tmp_path):
    predictor, _, frames = zoo
    trained.save(tmp_path / "generator.safetensors")
    generator = Generator.load(tmp_path / "generator.safetensors")
    prepared = coordinates(generator)
    noise = generator.draw_noise(9, seed=5)

    def error() -> float:
        with torch.no_grad():
            return float(predictor.rollout_error(generator.weights(prepared, noise), frames).mean())

    before = error()
    training = {"steps": 60, "learning_rate": 0.002, "unroll": 2, "batch": 4}
    tune_end_to_end(Run(), generator, frames, prepared, EndToEndSettings(environments=9, training=training), seed=0)

    assert error() < 0.7 * before


def test_a_saved_generator_gives_the_same_predictors(trained, tmp_path):
    path = tmp_path / "generator.safetensors"
    trained.save(path)
    frames = torch.randn(2, 1, 8, 8)
    first = [model(frames) for model in trained.sample(environment={"rate": 0.2}, n=2, seed=1)]
    second = [model(frames) for model in Generator.load(path).sample(environment={"rate": 0.2}, n=2, seed=1)]

    for one, other in zip(first, second, strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(first[0], first[1])


def test_the_first_samples_do_not_depend_on_how_many_are_asked_for(trained):
    assert torch.allclose(
        trained.sample_weights({"rate": 0.3}, n=1, seed=4)[0],
        trained.sample_weights({"rate": 0.3}, n=3, seed=4)[0],
        atol=1e-5,
    )


def test_generated_modules_work_in_physical_units(zoo, tmp_path):
    predictor, weights, _ = zoo
    shared = {key: metadata()[key] for key in ("architecture", "normalisation")}
    frames = torch.randn(3, 1, 8, 8)
    (model,) = physical_predictors(weights[:1], shared, {"rate": 0.1})

    expected = predictor(weights[:1], frames[None])[0] * 3.0 + 2.0

    torch.testing.assert_close(model(frames * 3.0 + 2.0), expected, atol=1e-5, rtol=1e-5)
    rolled = model.rollout(frames * 3.0 + 2.0, 4)
    assert rolled.shape == (3, 4, 1, 8, 8)
    torch.testing.assert_close(rolled[:, 0], expected, atol=1e-5, rtol=1e-5)

    save_models(tmp_path / "model.safetensors", weights[:2], shared, {"environment": {"rate": 0.1}})
    models, artifact = load_models(tmp_path / "model.safetensors")
    torch.testing.assert_close(models[0](frames), model(frames))
    assert len(models) == 2 and artifact.metadata["environment"] == {"rate": 0.1}


def test_the_environment_is_inferred_from_observed_frames(zoo):
    """With a generator that is exact by construction: the inference alone is tested."""
    _, weights, frames = zoo
    generator = new_generator(metadata(), seed=0)
    low, slope = weights[0], (weights[-1] - weights[0]) / 2
    generator.weights = lambda scaled, noise: low + (scaled + 1.0) * slope  # linear in the rate, as the zoo is
    for row in (1, 6):
        observed = frames[row, :1, :3] * 3.0 + 2.0
        assert generator.infer(observed)["rate"] == pytest.approx(float(RATES[row]), abs=0.01)


@pytest.mark.parametrize(
    ("environment", "message"),
    [
        ({"speed": 1.0}, "parameter 'speed': unknown, expected rate"),
        ({}, "parameter 'rate': missing, expected all of rate"),
        ({"rate": float("nan")}, "expected finite numbers"),
    ],
)
def test_bad_environments_are_refused(trained, environment, message):
    with pytest.raises(InputError, match=message):
        trained.sample(environment=environment)


def test_outside_the_visible_range_there_is_a_warning_with_the_range(trained):
    with pytest.warns(UserWarning, match=r"rate=0\.9 lies outside the visible range 0\.1\.\.0\.5"):
        trained.sample(environment={"rate": 0.9})


@pytest.mark.parametrize("frames", [torch.zeros(1, 1, 8, 8), torch.zeros(3, 2, 8, 8), torch.full((3, 1, 8, 8), np.nan)])
def test_bad_frames_are_refused(trained, frames):
    with pytest.raises(InputError, match="frames: found"):
        trained.sample(frames=frames)


def test_a_generator_artifact_holds_no_pickle(trained, tmp_path):
    path = tmp_path / "generator.safetensors"
    trained.save(path)

    assert load_artifact(path).kind == "generator"
    assert path.read_bytes()[8:9] == b"{"  # safetensors: a length, then a JSON header
