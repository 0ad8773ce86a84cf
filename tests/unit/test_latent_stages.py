"""What an arm's VAE makes of experts without its diffusion, and the choice of the diffusion's steps."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from refusals import refused
from tiny_chain import Chain, tiny_plan
from tiny_conditions import on_parameters

from weightcast.core.methods import method
from weightcast.core.run import Run
from weightcast.environments.conditions import Known
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.diffusion import LatentDiffusion
from weightcast.environments.generator import Generator
from weightcast.environments.stages.train_diffusion import choose_steps
from weightcast.environments.vae_artifact import TrainedVae
from weightcast.environments.weights_table import WeightsFile
from weightcast.environments.zoo import Zoo

ARM = "conditioned"


@pytest.fixture(scope="module")
def chain(tmp_path_factory: pytest.TempPathFactory) -> Chain:
    folder = tmp_path_factory.mktemp("chain")

    def relative_to_regression(config: dict) -> None:
        arms = config["generator"]["arms"]
        arms["paper"]["diffusion"] |= {"relative_to": "regression", "left_out": 0.3}

    chain = Chain(tiny_plan(folder, relative_to_regression), folder)
    chain.train()
    return chain


def test_every_environments_own_expert_is_encoded_and_decoded(chain: Chain) -> None:
    results = chain.folder / "results"
    path = chain.run(
        "regress_latents", f"weights/latents-{ARM}.safetensors", chain.inputs_of("regress_latents", ARM), arm=ARM
    )
    decoded, regressed = WeightsFile.load(path).methods

    assert [decoded.method, regressed.method] == [f"decoded-{ARM}", f"latent-regression-{ARM}"]
    assert [method(one.method).family for one in (decoded, regressed)] == ["reference", "baseline"]
    assert decoded.environments == regressed.environments == list(chain.plan.table.ids)
    assert regressed.train_seconds > decoded.train_seconds > 0 and decoded.adapt_seconds > 0
    vae = TrainedVae.load(results / f"vae/{ARM}-0.safetensors")
    reference = Zoo.load(results / "experts/conditioned-unseen.safetensors")
    prepared = vae.condition.prepare([Known(parameters=chain.plan.table["beyond"].parameters)])
    with torch.no_grad():
        again = vae.vae.decode(vae.vae.encode(reference.weights[-1:], prepared), prepared)
    torch.testing.assert_close(decoded.weights[-1], again)


def test_a_diffusion_relative_to_regression_is_read_as_it_was_saved(chain: Chain) -> None:
    generator = Generator.load(chain.folder / "results/diffusion/paper-0.safetensors")

    assert generator.diffusion.regression is not None
    assert generator.diffusion.regression.coefficients.abs().sum() > 0
    assert 1 <= generator.metadata["metrics"]["steps"] <= 3
    parameters = [*generator.vae.parameters(), *generator.diffusion.parameters()]
    kept = generator.diffusion.regression.coefficients.numel()
    assert generator.learned == sum(one.numel() for one in parameters) + kept
    assert torch.isfinite(generator.sample_weights({"beta": 1.1}, n=2)).all()


TRAINING = {"steps": 60, "learning_rate": 0.01}


def choosing(left_out: float, latents: torch.Tensor, prepared: torch.Tensor) -> DiffusionSettings:
    settings = DiffusionSettings(width=16, layers=1, heads=2, left_out=left_out, sample_steps=2, training=TRAINING)
    torch.manual_seed(0)
    diffusion = LatentDiffusion(3, 2, on_parameters(rate=(-1.0, 1.0)), settings)
    before = [one.detach().clone() for one in diffusion.parameters()]
    chosen, seconds = choose_steps(Run(), diffusion, latents, prepared, settings, seed=0)
    assert seconds > 0
    assert all(torch.equal(one, other) for one, other in zip(before, diffusion.parameters(), strict=True))
    return chosen


def test_steps_are_many_where_what_is_left_out_can_be_learned_and_few_where_it_cannot() -> None:
    prepared = torch.linspace(-1, 1, 9)[:, None]
    everywhere = torch.ones(9, 3, 2)
    contrary = torch.where(prepared.abs() > 0.9, -1.0, 1.0)[:, :, None].expand(9, 3, 2)

    assert choosing(0.22, everywhere, prepared).training.steps > 30
    assert choosing(0.22, contrary, prepared).training.steps == 3  # the first look, after a twentieth


def test_two_environments_must_be_left_to_train_on() -> None:
    prepared = torch.linspace(-1, 1, 2)[:, None]
    with refused("generator.diffusion.left_out", "found 0.3 with 2", "3 environments or more"):
        choosing(0.3, torch.ones(2, 3, 2), prepared)


def test_names_of_methods_say_whose_vae_it_is(tmp_path: Path) -> None:
    assert method("decoded-paper").label == "Encoded, decoded: paper"
    assert method("latent-regression-paper").label == "Latent regression: paper"
    assert not method("latent-regression-paper").description.count("{")
