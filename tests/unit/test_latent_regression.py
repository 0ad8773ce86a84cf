"""Regression of latents, on latents that depend on the coordinates in a known way."""

from __future__ import annotations

import pytest
import torch
from refusals import refused
from tiny_conditions import on_parameters

from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.diffusion import LatentDiffusion
from weightcast.environments.latent_regression import LatentRegression


def members(degree: int, noise: float, coordinates: int = 2) -> tuple[torch.Tensor, torch.Tensor, LatentRegression]:
    """Two members each of 30 environments, whose latents [member, 3, 4] are polynomials of a degree, and the truth."""
    generator = torch.Generator().manual_seed(degree)
    truth = LatentRegression(coordinates, degree, (3, 4))
    truth.coefficients.normal_(generator=generator)
    prepared = (2 * torch.rand(30, coordinates, generator=generator) - 1).repeat_interleave(2, 0)
    latents = truth(prepared)
    return prepared, latents + noise * torch.randn(latents.shape, generator=generator), truth


@pytest.mark.parametrize("degree", [1, 2, 3])
def test_the_degree_is_found_and_the_fit_holds_outside_the_range(degree: int) -> None:
    prepared, latents, truth = members(degree, noise=0.1)
    regression = LatentRegression(2, 3, (3, 4))

    choice = regression.fit(prepared, latents, [1, 2, 3], folds=6)

    assert choice == f"degree {degree}"
    beyond = torch.tensor([[1.3, -1.2], [0.1, 1.4]])
    torch.testing.assert_close(regression(beyond), truth(beyond), atol=0.4, rtol=0.0)


def test_without_noise_the_fit_is_exact_but_for_the_penalty() -> None:
    prepared, latents, truth = members(2, noise=0.0)
    regression = LatentRegression(2, 2, (3, 4))
    regression.fit(prepared, latents, [2], folds=6)

    torch.testing.assert_close(regression(prepared), truth(prepared), atol=0.03, rtol=0.0)


def test_regression_is_on_the_mean_of_an_environments_members() -> None:
    prepared, latents, _ = members(1, noise=0.3)
    regressions = [LatentRegression(2, 1, (3, 4)) for _ in range(2)]
    mean = latents.unflatten(0, (30, 2)).mean(1)
    regressions[0].fit(prepared, latents, [1], folds=6)
    regressions[1].fit(prepared[::2], mean, [1], folds=6)

    torch.testing.assert_close(regressions[0].coefficients, regressions[1].coefficients)


def test_more_monomials_than_environments_and_coordinates_without_meaning_are_no_matter() -> None:
    prepared = torch.randn(8, 12, generator=torch.Generator().manual_seed(0))
    prepared[:, 3] = 1.0  # the same everywhere, as the constant is
    latents = prepared[:, :1, None].expand(8, 3, 4)
    regression = LatentRegression(12, 2, (3, 4))
    regression.fit(prepared, latents, [1, 2], folds=6)

    assert torch.isfinite(regression.coefficients).all()
    torch.testing.assert_close(regression(prepared), latents, atol=0.1, rtol=0.0)


def test_what_regression_leaves_over_is_in_units_of_its_size_and_comes_back_whole() -> None:
    prepared, latents, truth = members(1, noise=0.2)
    settings = DiffusionSettings(
        relative_to="regression", width=16, sample_steps=2, training={"steps": 1, "learning_rate": 0.001}
    )
    condition = on_parameters(first=(-1.0, 1.0), second=(-1.0, 1.0))
    torch.manual_seed(0)
    diffusion = LatentDiffusion(3, 4, condition, settings)
    diffusion.fit_regression(latents, prepared, settings)

    residuals = diffusion.residuals(latents, prepared)

    assert float(residuals.square().mean()) == pytest.approx(1.0, abs=1e-4)
    torch.testing.assert_close(diffusion.whole(residuals, prepared), latents)
    # An untrained network adds nothing: what is sampled is the regression, which is near the truth.
    with torch.no_grad():
        sampled = diffusion.sample(torch.randn(len(prepared), 3, 4), prepared, steps=2)
    torch.testing.assert_close(sampled, diffusion.regression(prepared))
    torch.testing.assert_close(sampled, truth(prepared), atol=0.3, rtol=0.0)


def test_the_regression_is_kept_with_the_diffusion() -> None:
    prepared, latents, _ = members(2, noise=0.1)
    settings = DiffusionSettings(relative_to="regression", width=16, training={"steps": 1, "learning_rate": 0.001})
    condition = on_parameters(first=(-1.0, 1.0), second=(-1.0, 1.0))
    diffusion, other = (LatentDiffusion(3, 4, condition, settings) for _ in range(2))
    diffusion.fit_regression(latents, prepared, settings)
    other.load_state_dict(diffusion.state_dict())

    torch.testing.assert_close(other.whole(latents, prepared), diffusion.whole(latents, prepared))


def test_experts_of_one_environment_are_refused() -> None:
    prepared, latents, _ = members(1, noise=0.0)
    with refused("found experts of 1 visible environment", "expected of 2 or more"):
        LatentRegression(2, 1, (3, 4)).fit(prepared[:1].repeat(4, 1), latents[:4], [1], folds=6)
