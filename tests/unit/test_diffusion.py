"""The diffusion's parametrisations and sampler, against a denoiser that is known exactly."""

from __future__ import annotations

import pytest
import torch
from tiny_conditions import on_parameters

from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.diffusion import LatentDiffusion
from weightcast.environments.stages.train_diffusion import train_latent_diffusion

TRAINING = {"steps": 1, "learning_rate": 0.001}


def make(prediction: str, **settings) -> LatentDiffusion:
    torch.manual_seed(0)
    chosen = DiffusionSettings(**{"prediction": prediction, "width": 16, "training": TRAINING} | settings)
    return LatentDiffusion(3, 2, on_parameters(rate=(-1.0, 1.0)), chosen)


class GaussianOracle(torch.nn.Module):
    """The best possible prediction where latents are normal with a known mean and standard deviation."""

    def __init__(self, diffusion: LatentDiffusion, mean: float, deviation: float) -> None:
        super().__init__()
        self.diffusion, self.mean, self.deviation = diffusion, mean, deviation

    def forward(self, noised, time, parameters):
        signal = self.diffusion.signal[time].double()[:, None, None]
        noise = self.diffusion.noise[time].double()[:, None, None]
        variance = signal**2 * self.deviation**2 + noise**2
        clean = self.mean + signal * self.deviation**2 / variance * (noised - signal * self.mean)
        epsilon = (noised - signal * clean) / noise
        return {"x0": clean, "epsilon": epsilon, "v": signal * epsilon - noise * clean}[self.diffusion.prediction]


@pytest.mark.parametrize("prediction", ["x0", "v", "epsilon"])
def test_many_step_sampling_reproduces_a_known_normal_distribution(prediction):
    diffusion = make(prediction)
    diffusion.double()
    diffusion.transformer = GaussianOracle(diffusion, mean=1.5, deviation=0.4)
    noise = torch.randn(4000, 3, 2, dtype=torch.double, generator=torch.Generator().manual_seed(0))

    samples = diffusion.sample(noise, torch.zeros(4000, 1), steps=200)

    # 24,000 numbers: standard errors 0.0026 and 0.0018; the rest is the 200 steps' own error.
    assert float(samples.mean()) == pytest.approx(1.5, abs=0.02)
    assert float(samples.std()) == pytest.approx(0.4, abs=0.02)


@pytest.mark.parametrize("prediction", ["x0", "v", "epsilon"])
def test_sampling_is_deterministic_and_differentiable(prediction):
    diffusion = make(prediction)
    for parameter in diffusion.parameters():
        torch.nn.init.normal_(parameter, std=0.05)
    noise = torch.randn(2, 3, 2)
    parameters = torch.tensor([[0.1], [0.9]], requires_grad=True)

    first = diffusion.sample(noise, parameters, steps=3)

    assert torch.equal(first, diffusion.sample(noise, parameters, steps=3))
    (gradient,) = torch.autograd.grad(first.sum(), parameters)
    assert torch.isfinite(gradient).all() and (gradient != 0).all()


def test_schedule_is_variance_preserving_and_ends_in_noise():
    diffusion = make("x0")

    torch.testing.assert_close(diffusion.signal**2 + diffusion.noise**2, torch.ones(1000))
    assert diffusion.signal[0] > 0.9999 and diffusion.signal[-1] < 0.01


def test_untrained_blocks_are_the_identity():
    diffusion = make("x0")
    block = diffusion.transformer.blocks[0]
    tokens, condition = torch.randn(2, 3, 16), torch.randn(2, 16)

    assert torch.equal(block(tokens, condition), tokens)


def test_training_learns_how_latents_depend_on_the_parameter():
    diffusion = make("x0", layers=1)
    optimiser = torch.optim.Adam(diffusion.parameters(), lr=3e-3)
    draws = Draws("cpu", 0)
    for _ in range(250):
        parameters = 2 * draws.uniform(64, 1) - 1
        latents = parameters[:, :, None] * torch.ones(3, 2) + 0.05 * draws.normal(64, 3, 2)
        optimiser.zero_grad()
        diffusion.loss(latents, parameters, draws).backward()
        optimiser.step()

    wanted = torch.linspace(-0.8, 0.8, 9)[:, None]
    with torch.no_grad():
        samples = diffusion.sample(draws.normal(9, 3, 2), wanted, steps=4)
    assert (samples.mean((1, 2)) - wanted[:, 0]).abs().max() < 0.15


def mixture(environments: torch.Tensor, draws: Draws) -> torch.Tensor:
    """Latents [batch, 3, 2] of two environments, -1 and 1: normal around -1.5 and 1.5."""
    return 1.5 * environments[:, :, None] + 0.1 * draws.normal(len(environments), 3, 2)


@pytest.mark.parametrize("prediction", ["x0", "v", "epsilon"])
def test_condition_dropout_learns_the_prior_beside_what_is_conditioned(prediction):
    """One network: told the environment it samples one mode of a known mixture, told nothing both of them."""
    diffusion = make(prediction, layers=1, width=32, condition_dropout=0.5, frequencies=0)
    optimiser = torch.optim.Adam(diffusion.parameters(), lr=3e-3)
    draws, steps = Draws("cpu", 0), 500
    for step in range(steps):
        environments = 2.0 * draws.integers(2, 128, 1) - 1.0
        for group in optimiser.param_groups:
            group["lr"] = 3e-3 * (1.0 - step / steps)
        optimiser.zero_grad()
        diffusion.loss(mixture(environments, draws), environments, draws).backward()
        optimiser.step()

    noise = draws.normal(1000, 3, 2)
    with torch.no_grad():
        prior = diffusion.sample(noise, None, steps=40)
        told = diffusion.sample(noise, torch.ones(1000, 1), steps=40)
    assert float(told.mean()) == pytest.approx(1.5, abs=0.15)
    # The mixture's moments: mean 0, variance 1.5^2 + 0.1^2, and both modes, in all numbers of a sample together.
    assert float(prior.mean()) == pytest.approx(0.0, abs=0.3)
    assert float(prior.square().mean().sqrt()) == pytest.approx((1.5**2 + 0.1**2) ** 0.5, abs=0.25)
    assert 0.35 < float((prior.mean((1, 2)) > 0).float().mean()) < 0.65
    assert float(prior.std((1, 2)).mean()) < 0.3


def test_without_condition_dropout_there_is_no_prior():
    diffusion = make("x0")
    assert not any("unknown" in name for name in diffusion.state_dict())
    with pytest.raises(InputError, match="condition_dropout above 0"):
        diffusion.sample(torch.zeros(1, 3, 2), None, steps=2)


def test_relative_to_regression_there_is_no_prior():
    diffusion = make("x0", condition_dropout=0.5, relative_to="regression")
    with pytest.raises(InputError, match="relative_to: mean"):
        diffusion.sample(torch.zeros(1, 3, 2), None, steps=2)


def test_members_share_the_coordinates_of_their_environments():
    """Coordinates of each environment, or the same of each member: the same regression, the same training."""
    chosen = {"width": 16, "training": TRAINING | {"steps": 3}, "relative_to": "regression"}
    environment_of = torch.tensor([0, 0, 1, 2, 2, 3])
    prepared = torch.linspace(-1.0, 1.0, 4)[:, None]
    latents = prepared[environment_of, :, None] + 0.1 * Draws("cpu", 0).normal(6, 3, 2)
    trained = []
    for coordinates, of in ((prepared, environment_of), (prepared[environment_of], None)):
        diffusion = make("x0", **chosen)
        train_latent_diffusion(
            Run(), diffusion, latents, coordinates, DiffusionSettings(prediction="x0", **chosen), 0, of
        )
        trained.append(diffusion.state_dict())
    for name, tensor in trained[0].items():
        assert torch.equal(tensor, trained[1][name]), name
