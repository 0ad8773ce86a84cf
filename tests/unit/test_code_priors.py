"""Priors of codes that are no single normal distribution, against distributions that are known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor
from torch.distributions import MultivariateNormal

from weightcast.core.config.training import TrainingSettings
from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.environments.code_posteriors import (
    CodePosterior,
    TemperedLikelihood,
    draw_codes,
    log_prior,
    log_solutions,
)
from weightcast.environments.code_priors import WIDE_SHARE, CodePrior, MixturePrior, fit_mixture, fit_prior
from weightcast.environments.config.code_prior import CodeDiffusionSettings
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.refinement import infer_codes
from weightcast.environments.windows import Windows

NOISE, STEPS = 0.6, 3
SETTINGS = CodeDiffusionSettings(
    smoothings=[0.1, 0.3], parts=[1, 2, 4], folds=3, training=TrainingSettings(steps=1000, learning_rate=1e-2)
)


class Told(StackedPredictor):
    """A predictor whose rollout of one channel is its weights."""

    def __init__(self) -> None:
        """Without a network behind it."""

    def rollout(self, weights: Tensor, initial: Tensor, steps: int, inputs: Tensor | None = None) -> Tensor:
        return weights[:, None, :, None, None, None].expand(-1, initial.shape[1], -1, -1, -1, -1)


def clusters(count: int = 24) -> Tensor:
    """Codes in two clusters, a third of them on the right [environment, 2]."""
    side = torch.where(torch.arange(count) % 3 == 0, 2.0, -1.0)
    return torch.stack([side, 0.5 * side], 1) + 0.15 * Draws("cpu", "clusters").normal(count, 2)


def windows(targets: Tensor) -> Windows:
    frames = torch.cat([torch.zeros(len(targets), 1), targets], 1)[:, None, :, None, None, None]
    return Windows.of(frames, frames, None, 1)


def two_parts() -> MixturePrior:
    """A wide normal distribution with a tenth of everything, and two narrow ones."""
    wide = CodePrior(torch.tensor([0.5, -1.0]), torch.tensor([[2.0, 0.0], [0.6, 1.8]]))
    means = torch.tensor([[1.5, 0.0], [-1.0, -1.0]])
    covariances = torch.tensor([[[0.2, 0.05], [0.05, 0.1]], [[0.3, -0.1], [-0.1, 0.2]]])
    return MixturePrior.around(wide, means, covariances, torch.tensor([0.7, 0.3]))


@pytest.mark.parametrize("kind", ["mixture", "diffusion"])
def test_two_clusters_are_both_kept(kind) -> None:
    codes = clusters()
    prior = fit_prior(Run(), kind, codes, 1.5, SETTINGS, 0, kind)
    assert isinstance(prior, MixturePrior)
    nothing = CodePosterior(*_unseen(prior))
    drawn = nothing.sample(4000, Draws("cpu", "drawn"))[0]
    right = (drawn[:, 0] > 1.5) & (drawn[:, 0] < 2.5)
    left = (drawn[:, 0] > -1.5) & (drawn[:, 0] < -0.5)
    between = (drawn[:, 0] > 0.0) & (drawn[:, 0] < 1.0)
    assert 0.2 < float(right.float().mean()) < 0.4  # a third, of nine tenths
    assert 0.45 < float(left.float().mean()) < 0.75
    assert float(between.float().mean()) < 0.08


def _unseen(prior: CodePrior) -> tuple:
    centres, precision = prior.relative()
    shares = prior.log_shares
    of = torch.arange(len(shares))[None]
    return centres[None], precision[None], shares[None], torch.tensor([math.nan]), prior, of


def test_a_diffusion_does_not_fall_onto_single_codes() -> None:
    """Of codes of a normal distribution, the likelihood of others is near the distribution's own."""
    codes = Draws("cpu", "normal").normal(48, 2) @ torch.tensor([[1.0, 0.5], [0.0, 0.4]])
    prior = fit_prior(Run(), "diffusion", codes, 1.5, SETTINGS, 0, "normal")
    assert isinstance(prior, MixturePrior)
    others = Draws("cpu", "others").normal(2000, 2) @ torch.tensor([[1.0, 0.5], [0.0, 0.4]])
    exact = torch.distributions.MultivariateNormal(
        torch.zeros(2), torch.tensor([[1.0, 0.0], [0.5, 0.4]]) @ torch.tensor([[1.0, 0.5], [0.0, 0.4]])
    )
    constant = -math.log(2 * math.pi) - float(torch.logdet(prior.factor))
    lost = exact.log_prob(others).mean() - (prior.log_density(others).mean() + constant)
    assert -0.01 < float(lost) < 0.25


def test_expectation_and_maximisation_find_a_mixture() -> None:
    points = clusters(3000)
    means, covariances, shares = fit_mixture(points[None], 2, 1e-6, Draws("cpu", "em"))
    order = means[0, :, 0].argsort()
    expected = torch.tensor([[-1.0, -0.5], [2.0, 1.0]]).double()
    torch.testing.assert_close(means[0, order], expected, rtol=0.0, atol=0.03)
    torch.testing.assert_close(shares[0, order], torch.tensor([2 / 3, 1 / 3]).double(), rtol=0.0, atol=0.01)
    torch.testing.assert_close(
        covariances[0, order], (0.15**2 * torch.eye(2)).double().expand(2, -1, -1), rtol=0.0, atol=0.004
    )


def test_a_mixture_survives_its_tensors() -> None:
    prior = two_parts()
    again = MixturePrior.from_tensors(CodePrior(prior.mean, prior.factor), prior.tensors())
    assert isinstance(again, MixturePrior)
    codes = Draws("cpu", "codes").normal(5, 2)
    torch.testing.assert_close(again.log_density(codes), prior.log_density(codes))
    plain = CodePrior(prior.mean, prior.factor)
    assert MixturePrior.from_tensors(plain, plain.tensors()) is plain


@pytest.fixture(scope="module")
def linear() -> tuple[Tensor, Tensor, CodePosterior]:
    """Forecasts that are linear in the code under a mixture: matrix, targets [environment, step], posterior."""
    matrix = torch.tensor([[0.8, 0.2, 0.1], [-0.3, 0.4, 0.2]])
    targets = torch.tensor([[0.4, -0.2, 0.0], [-0.6, -0.5, -0.4], [1.0, 0.6, 0.5], [-6.0, 2.0, 1.0]])
    prior = two_parts()
    candidates = torch.cat([prior.centres_of_parts, Draws("cpu", "more").normal(6, 2)])
    posterior = infer_codes(
        lambda codes: codes @ matrix,
        Told(),
        windows(targets),
        prior,
        candidates,
        starts=1,
        iterations=30,
        temper=1.0,
        least_noise=NOISE,
    )
    # The noise is what is assumed, also where the best solution leaves more.
    assert (posterior.noise[:3] < NOISE * 1.5).all()
    return matrix, targets, posterior


def exact(matrix: Tensor, target: Tensor, noise: float) -> tuple[Tensor, Tensor, Tensor]:
    """Shares, means and covariances of the posterior of a linear problem under the mixture, part by part."""
    wide = two_parts()
    shares, means, covariances = [], [], []
    for share, centre, factor in zip(wide.shares, wide.centres_of_parts, wide.factor @ wide.factors, strict=True):
        before = (factor @ factor.mT).double()
        evidence = matrix.double().mT @ before @ matrix.double() + noise**2 * torch.eye(STEPS).double()
        off = target.double() - centre.double() @ matrix.double()
        gain = before @ matrix.double() @ torch.linalg.inv(evidence)
        means.append(centre.double() + gain @ off)
        covariances.append(before - gain @ matrix.double().mT @ before)
        normal = torch.distributions.MultivariateNormal(torch.zeros(STEPS).double(), evidence)
        shares.append(share.double().log() + normal.log_prob(off))
    return torch.stack(shares).softmax(0), torch.stack(means), torch.stack(covariances)


def test_a_linear_problem_under_a_mixture_has_the_exact_posterior(linear) -> None:
    matrix, targets, posterior = linear
    assert posterior.parts is not None
    for environment in range(3):
        shares, means, covariances = exact(matrix, targets[environment], NOISE)
        order = posterior.parts[environment].argsort()
        found = posterior.log_weights[environment, order].exp().double()
        torch.testing.assert_close(found, shares, rtol=0.01, atol=1e-3)
        modes = posterior.prior.codes(posterior.modes[environment, order]).double()
        torch.testing.assert_close(modes, means, rtol=1e-3, atol=2e-3)
        factor = posterior.prior.factor.double()
        spread = factor @ torch.linalg.inv(posterior.precision[environment, order]) @ factor.mT
        torch.testing.assert_close(spread, covariances, rtol=1e-2, atol=1e-3)


def test_outside_of_what_was_seen_the_wide_part_takes_over(linear) -> None:
    *_, posterior = linear
    assert posterior.parts is not None
    chosen = posterior.parts[3, posterior.log_weights[3].argmax()]
    assert int(chosen) == 0 and WIDE_SHARE < 0.5


@pytest.mark.parametrize("kind", ["laplace", "weighted", "langevin"])
def test_all_ways_to_draw_agree_where_normal_distributions_are_exact(linear, kind) -> None:
    matrix, targets, posterior = linear
    drawn = draw_codes(kind, posterior, 1500, Draws("cpu", kind)).double()
    for environment in range(3):
        shares, means, covariances = exact(matrix, targets[environment], NOISE)
        mean = shares @ means
        off = means - mean
        covariance = torch.einsum("k,kij->ij", shares, covariances + off[:, :, None] * off[:, None])
        torch.testing.assert_close(drawn[environment].mean(0), mean, rtol=0.0, atol=0.1)
        torch.testing.assert_close(torch.cov(drawn[environment].T), covariance, rtol=0.15, atol=0.1)


def test_a_banana_is_followed_by_importance_and_by_langevin_steps() -> None:
    """Where a forecast bends, normal distributions around the solution are off, and both other ways come nearer."""

    def bent(codes: Tensor) -> Tensor:
        return torch.stack([2.0 * codes[:, 1] - codes[:, 0].square()], 1)

    even = CodePrior(torch.zeros(2), torch.eye(2))
    targets = torch.tensor([[0.5]])
    posterior = infer_codes(
        bent, Told(), windows(targets), even, torch.zeros(1, 2), starts=1, iterations=30, temper=1.0, least_noise=0.5
    )
    grid = torch.linspace(-5, 5, 401)
    points = torch.cartesian_prod(grid, grid)
    density = -0.5 * points.square().sum(1) - 0.5 * (bent(points)[:, 0] - 0.5).square() / 0.25
    true = float(density.softmax(0) @ points[:, 1])
    off = {
        kind: abs(float(draw_codes(kind, posterior, 4000, Draws("cpu", kind))[0, :, 1].mean()) - true)
        for kind in ("laplace", "weighted", "langevin")
    }
    assert off["laplace"] > 0.1
    assert off["weighted"] < 0.5 * off["laplace"]
    assert off["langevin"] < 0.6 * off["laplace"]


def test_the_prior_around_a_single_solution_pulls_no_more_than_the_likelihood_asks_for() -> None:
    """As :func:`weightcast.environments.refinement.tempered`: the gradient vanishes at the untempered solution."""
    matrix = torch.tensor([[0.9, 0.1, 0.2], [0.2, 0.5, -0.4]])
    even = CodePrior(torch.tensor([0.5, -1.0]), torch.tensor([[1.0, 0.0], [0.6, 0.8]]))
    posterior = infer_codes(
        lambda codes: codes @ matrix,
        Told(),
        windows(torch.tensor([[1.0, 0.3, 0.2]])),
        even,
        torch.zeros(1, 2),
        starts=1,
        iterations=30,
        temper=0.1,
        least_noise=NOISE,
    )
    likelihood = posterior.likelihood
    assert isinstance(likelihood, TemperedLikelihood)
    mode = posterior.modes[:, :1].clone().requires_grad_()
    total = likelihood(even.codes(mode)) + log_prior(posterior, mode, likelihood.temper)
    (slope,) = torch.autograd.grad(total.sum(), mode)
    torch.testing.assert_close(slope, torch.zeros_like(slope), rtol=0.0, atol=5e-3)
    pulled = replace(posterior, likelihood=replace(likelihood, temper=torch.ones(1)))
    assert pulled.likelihood is not None


def test_densities_of_solutions_of_several_numbers_are_those_of_normal_distributions() -> None:
    draws = Draws("cpu", "solutions")
    modes, root = draws.normal(3, 2, 2), draws.normal(3, 2, 2, 2, dtype=torch.float64)
    precision = root @ root.mT + torch.eye(2, dtype=torch.float64)
    shares = torch.tensor([[0.3, 0.7]] * 3).log()
    prior = CodePrior.of(draws.normal(8, 2), 1.0)
    posterior = CodePosterior(modes, precision, shares, torch.ones(3), prior)  # single precision beside double
    codes = draws.normal(3, 5, 2)
    expected = MultivariateNormal(modes.double()[:, None], precision_matrix=precision[:, None]).log_prob(
        codes.double()[:, :, None]
    )
    constant = -math.log(2 * math.pi)
    torch.testing.assert_close(
        log_solutions(posterior, codes).double() + constant, expected + shares.double()[:, None], rtol=1e-4, atol=1e-4
    )
