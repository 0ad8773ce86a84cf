"""Codes behind frames, against problems whose posterior is known exactly."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.environments.code_posteriors import CodePosterior
from weightcast.environments.code_priors import CodePrior
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.refinement import infer_codes, less_tempered
from weightcast.environments.windows import Windows

NOISE = 0.3
STEPS, DIMENSIONS, ENVIRONMENTS = 12, 2, 3


class Told(StackedPredictor):
    """A predictor whose rollout of one channel is its weights."""

    def __init__(self) -> None:
        """Without a network behind it."""

    def rollout(self, weights: Tensor, initial: Tensor, steps: int, inputs: Tensor | None = None) -> Tensor:
        return weights[:, None, :, None, None, None].expand(-1, initial.shape[1], -1, -1, -1, -1)


def prior() -> CodePrior:
    return CodePrior(torch.tensor([0.5, -1.0]), torch.tensor([[1.0, 0.0], [0.6, 0.8]]))


def windows(targets: Tensor) -> Windows:
    """Rollouts to compare with: targets [environment, step], NaN where nothing was observed."""
    frames = torch.cat([torch.zeros(len(targets), 1), targets], 1)[:, None, :, None, None, None]
    return Windows.of(frames, torch.nan_to_num(frames), None, 1)


def inferred(weights_of, targets: Tensor, candidates: Tensor, temper: float = 1.0, least: float = NOISE, **of):
    return infer_codes(
        weights_of,
        Told(),
        windows(targets),
        of.get("prior", prior()),
        candidates,
        starts=of.get("starts", 1),
        iterations=of.get("iterations", 30),
        temper=temper,
        least_noise=least,
    )


@pytest.fixture
def linear() -> tuple[Tensor, Tensor]:
    """A matrix from codes to a rollout, and three environments' rollouts, off by less than the assumed noise."""
    draws = Draws("cpu", "linear")
    matrix = draws.normal(DIMENSIONS, STEPS)
    codes = prior().codes(draws.normal(ENVIRONMENTS, DIMENSIONS))
    return matrix, codes @ matrix + 0.5 * NOISE * draws.normal(ENVIRONMENTS, STEPS)


def exact(matrix: Tensor, targets: Tensor, temper: float) -> tuple[Tensor, Tensor]:
    """Mean [environment, dimension] and covariance of the posterior of a linear-Gaussian problem, in double."""
    matrix, targets = matrix.double(), targets.double()
    before = torch.linalg.inv(prior().factor.double() @ prior().factor.double().mT)
    covariance = torch.linalg.inv(before + temper / NOISE**2 * matrix @ matrix.mT)
    right = before @ prior().mean.double() + temper / NOISE**2 * targets @ matrix.mT
    return right @ covariance, covariance


@pytest.mark.parametrize("temper", [1.0, 0.1])
def test_a_linear_gaussian_problem_has_the_exact_posterior(linear, temper) -> None:
    matrix, targets = linear
    posterior = inferred(lambda codes: codes @ matrix, targets, torch.zeros(1, DIMENSIONS), temper)
    mean, _ = exact(matrix, targets, 1.0)  # a temper says how sure a code is, not where it lies
    _, covariance = exact(matrix, targets, temper)
    torch.testing.assert_close(posterior.best.double(), mean, rtol=1e-3, atol=1e-3)
    drawn = posterior.sample(20_000, Draws("cpu", "sample"))
    torch.testing.assert_close(drawn.mean(1).double(), mean, rtol=0.02, atol=0.01)
    for environment in drawn:
        found = torch.cov(environment.double().T)
        torch.testing.assert_close(found, covariance, rtol=0.05, atol=0.02 * float(covariance.diagonal().max()))


def test_spread_is_what_the_frames_leave_of_the_prior(linear) -> None:
    matrix, _ = linear
    seen = matrix * torch.tensor([[1.0], [0.0]])  # the second number of a code does not matter
    targets = torch.tensor([[-1.0], [0.2], [1.5]]) * seen[:1]
    independent = CodePrior(torch.zeros(2), torch.eye(2))
    posterior = inferred(lambda codes: codes @ seen, targets, torch.zeros(1, 2), prior=independent)
    known = (1.0 + float(matrix[0].square().sum()) / NOISE**2) ** -0.5
    torch.testing.assert_close(posterior.spread, torch.tensor([1.0, known]).expand(3, -1), rtol=1e-3, atol=1e-4)


def test_noise_is_estimated_where_it_is_greater_than_what_the_map_leaves() -> None:
    draws = Draws("cpu", "noise")
    matrix = draws.normal(1, 400)
    targets = 0.7 * matrix + 0.4 * draws.normal(1, 400)
    wide = CodePrior(torch.zeros(1), torch.eye(1))
    posterior = inferred(lambda codes: codes @ matrix, targets, torch.zeros(1, 1), least=0.01, prior=wide)
    assert float(posterior.noise) == pytest.approx(0.4, rel=0.1)


def two_valleys(codes: Tensor) -> Tensor:
    """A code and its negative look alike to the frames."""
    return codes.square().expand(-1, STEPS)


def test_several_modes_get_the_weights_that_the_prior_gives_them() -> None:
    """Of two equal explanations, the one nearer the prior's mean counts more, by the prior's ratio."""
    off = CodePrior(torch.tensor([0.2]), torch.eye(1))
    candidates = torch.tensor([[1.5], [-1.5]])
    posterior = inferred(two_valleys, torch.ones(1, STEPS), candidates, starts=2, prior=off)
    codes = off.codes(posterior.modes)[0, :, 0]
    torch.testing.assert_close(codes.abs(), torch.ones(2), rtol=0.02, atol=0.0)
    assert codes[0] > 0 > codes[1]
    shares = posterior.log_weights[0].exp()
    expected = math.exp(-0.5 * (0.8**2 - 1.2**2))
    assert float(shares[0] / shares[1]) == pytest.approx(expected, rel=0.05)
    drawn = posterior.sample(1000, Draws("cpu", 0))[0, :, 0]
    assert float((drawn > 0).float().mean()) == pytest.approx(float(shares[0]), abs=0.01)
    assert float(posterior.best) == pytest.approx(float(codes[0]))


def test_the_better_explanation_has_the_greater_evidence() -> None:
    """A valley that leaves a residual counts as much less as its likelihood is."""

    def uneven(codes: Tensor) -> Tensor:
        return codes.square() + torch.where(codes < 0, 0.2, 0.0) * torch.linspace(-1, 1, STEPS)

    even = CodePrior(torch.zeros(1), torch.eye(1))
    posterior = inferred(uneven, torch.ones(1, STEPS), torch.tensor([[-1.5], [1.5]]), starts=2, prior=even)
    assert float(posterior.best) == pytest.approx(1.0, rel=0.02)
    misfit = float((0.2 * torch.linspace(-1, 1, STEPS)).square().sum()) / NOISE**2
    first, second = posterior.log_weights[0]
    assert float(first - second) == pytest.approx(0.5 * misfit, rel=0.05)


def test_repeated_solutions_count_once(linear) -> None:
    matrix, targets = linear
    candidates = Draws("cpu", "candidates").normal(5, DIMENSIONS)
    posterior = inferred(lambda codes: codes @ matrix, targets, candidates, starts=5)
    assert (torch.isfinite(posterior.log_weights).sum(1) == 1).all()
    alone = inferred(lambda codes: codes @ matrix, targets, torch.zeros(1, DIMENSIONS))
    torch.testing.assert_close(posterior.best, alone.best, rtol=1e-3, atol=1e-3)
    even = CodePrior(torch.zeros(1), torch.eye(1))
    doubled = inferred(
        two_valleys, torch.ones(1, STEPS), torch.tensor([[1.5], [1.4], [-1.5], [-1.3]]), starts=4, prior=even
    )
    assert (doubled.log_weights.exp() > 1e-6).sum() == 2


def test_what_is_masked_does_not_matter(linear) -> None:
    matrix, targets = linear
    masked = targets.clone()
    masked[:, ::3] = torch.nan
    kept = [step for step in range(STEPS) if step % 3]
    found = inferred(lambda codes: codes @ matrix, masked, torch.zeros(1, DIMENSIONS))
    mean, covariance = exact(matrix[:, kept], targets[:, kept], 1.0)
    torch.testing.assert_close(found.best.double(), mean, rtol=1e-3, atol=1e-3)
    drawn = found.sample(20_000, Draws("cpu", "sample"))[0].double()
    torch.testing.assert_close(torch.cov(drawn.T), covariance, rtol=0.05, atol=0.02 * float(covariance.max()))
    assert windows(masked).counts.tolist() == [len(kept)] * ENVIRONMENTS


def test_nothing_finite_is_survived(linear) -> None:
    """An environment whose every forecast breaks down has a posterior still, and the others keep theirs."""
    matrix, targets = linear
    bad = targets.clone()
    bad[1] = torch.inf

    posterior = inferred(lambda codes: codes @ matrix, bad, torch.zeros(1, DIMENSIONS))
    assert torch.isfinite(posterior.best).all()

    def broken(codes: Tensor) -> Tensor:
        return codes @ matrix * torch.nan

    posterior = inferred(broken, targets, torch.zeros(2, DIMENSIONS), starts=2)
    assert torch.isfinite(posterior.best).all() and torch.isfinite(posterior.noise).all()
    assert torch.isfinite(posterior.sample(4, Draws("cpu", 0))).all()
    torch.testing.assert_close(posterior.log_weights.exp().sum(1), torch.ones(ENVIRONMENTS))


def test_frames_that_are_very_sure_of_one_direction_alone_leave_a_posterior() -> None:
    """A code of which a combination is known to four digits, and the rest not at all: no matrix breaks down."""
    draws = Draws("cpu", "sure")
    row = draws.normal(1, 400)
    matrix = torch.cat([row, 0.731 * row, -1.3 * row])
    flat = CodePrior(torch.zeros(3), torch.eye(3))
    posterior = inferred(lambda codes: codes @ matrix, row, torch.zeros(1, 3), least=1e-4, prior=flat, iterations=8)
    assert torch.isfinite(posterior.log_weights.exp()).all()
    assert torch.isfinite(posterior.sample(8, Draws("cpu", 0))).all()
    assert (posterior.spread <= 1.0 + 1e-4).all() and float(posterior.spread.max()) == pytest.approx(1.0, abs=0.01)


class Drift(StackedPredictor):
    """A predictor whose one channel grows by its only weight in every step."""

    def __init__(self) -> None:
        """Without a network behind it."""

    def rollout(self, weights: Tensor, initial: Tensor, steps: int, inputs: Tensor | None = None) -> Tensor:
        grown = weights[:, :, None] * torch.arange(1.0, steps + 1)  # [problem, window, step]
        return initial[:, :, None] + grown[..., None, None, None]


def test_a_noisy_first_frame_is_unknown_as_well() -> None:
    """Slopes of noisy lines: that of least squares with an intercept, as sure as it is; not the one through the first
    point, whose noise all others would seem to share."""
    environments, steps, noise = 400, 20, 0.3
    draws, times = Draws("cpu", "noisy lines"), torch.arange(float(steps + 1))
    slopes = draws.normal(environments)
    values = slopes[:, None] * times + noise * draws.normal(environments, steps + 1)
    frames = values[:, None, :, None, None, None]
    posterior = infer_codes(
        lambda codes: codes,
        Drift(),
        Windows.of(frames, frames, None, 1),
        CodePrior(torch.zeros(1), 10.0 * torch.eye(1)),
        torch.zeros(1, 1),
        starts=1,
        iterations=20,
        temper=1.0,
        least_noise=0.01,
    )
    centred = times - times.mean()
    expected = (values * centred).sum(1) / centred.square().sum()
    torch.testing.assert_close(posterior.best[:, 0], expected, rtol=1e-3, atol=1e-3)
    residual = (values - values.mean(1, keepdim=True) - expected[:, None] * centred).square().sum(1)
    error = (residual / steps / centred.square().sum()).sqrt()
    found = posterior.sample(2000, Draws("cpu", "slopes")).std(1)[:, 0]
    torch.testing.assert_close(found, error, rtol=0.1, atol=0.0)
    held = ((posterior.best[:, 0] - slopes).abs() < 1.645 * found).float().mean()
    assert 0.85 < float(held) < 0.95
    first_point = (values - values[:, :1]) @ times / times.square().sum()
    assert ((first_point - slopes).square().mean() > 2.0 * (expected - slopes).square().mean()).all()


def test_one_frame_gives_the_prior() -> None:
    from weightcast.environments.config.context import RefineSettings
    from weightcast.environments.context import PRIOR_WIDENED, Calibration, infer
    from weightcast.environments.gaps import FrameSpace

    draws = Draws("cpu", "one")
    codes = draws.normal(40, 2) @ torch.tensor([[1.0, 0.5], [0.0, 0.3]])
    frames = draws.normal(3, 1, 1, 1, 2, 2)
    space = FrameSpace.of(draws.normal(5, 1, 4, 1, 2, 2))
    calibration = Calibration(1.0, 0.1, [], 1.0)
    posterior = infer(None, None, codes, frames, space, RefineSettings(), calibration)
    expected = CodePrior.of(codes, PRIOR_WIDENED)
    drawn = posterior.sample(20_000, Draws("cpu", 0))[1]
    torch.testing.assert_close(posterior.best, expected.mean.expand(3, -1))
    torch.testing.assert_close(torch.cov(drawn.T), expected.factor @ expected.factor.mT, rtol=0.1, atol=0.02)
    assert torch.isnan(posterior.noise).all()


def test_a_prior_of_many_codes_has_their_mean_and_widened_covariance() -> None:
    factor = torch.tensor([[2.0, 0.0], [-0.5, 0.3]])
    codes = torch.tensor([1.0, 2.0]) + Draws("cpu", "prior").normal(50_000, 2) @ factor.mT
    found = CodePrior.of(codes, 1.5)
    torch.testing.assert_close(found.mean, torch.tensor([1.0, 2.0]), atol=0.05, rtol=0.0)
    torch.testing.assert_close(found.factor @ found.factor.mT, 2.25 * factor @ factor.mT, rtol=0.03, atol=0.02)
    torch.testing.assert_close(found.codes(found.whitened(codes[:7])), codes[:7], rtol=1e-4, atol=1e-4)
    assert torch.isfinite(CodePrior.of(codes[:1], 1.5).factor).all()


def test_samples_are_shared_out_among_modes_evenly() -> None:
    standard = CodePrior(torch.zeros(1), torch.eye(1))
    shares = torch.tensor([[0.5, 0.25, 0.25], [1.0, 0.0, 0.0]])
    modes = torch.tensor([-100.0, 0.0, 100.0])[None, :, None].expand(2, -1, -1)
    precision = torch.eye(1).expand(2, 3, 1, 1)
    posterior = CodePosterior(modes, precision, shares.log(), torch.ones(2), standard)
    drawn = (posterior.sample(8, Draws("cpu", 0)) / 100).round()[..., 0]
    assert [[int((row == mode).sum()) for mode in (-1, 0, 1)] for row in drawn] == [[4, 2, 2], [8, 0, 0]]


class Decaying(StackedPredictor):
    """A predictor whose weight is the rate at which a field of one channel decays, a step being a unit of time."""

    def __init__(self) -> None:
        """Without a network behind it."""

    def rollout(self, weights: Tensor, initial: Tensor, steps: int, inputs: Tensor | None = None) -> Tensor:
        factor = torch.exp(-weights[:, 0])[:, None, None, None, None]
        frames = [initial]
        for _ in range(steps):
            frames.append(factor * frames[-1])
        return torch.stack(frames[1:], 2)


@pytest.mark.parametrize("temper", [1.0, 0.1])
def test_noise_of_a_fields_first_frame_makes_codes_less_sure_as_it_makes_them_less_right(temper: float) -> None:
    """A field that decays by a known law, noise on all frames alike: codes lie about the truth as far as they say,
    whatever a map's own errors ask for, since there are none. Not counted, it would be 1.5 times as far, and 90 %
    intervals would hold 74 %."""
    environments, steps, points, rate, noise = 300, 6, 10, 0.1, 0.02
    draws = Draws("cpu", "decay")
    first = 1.0 + 0.3 * draws.normal(1, 1, 1, 1, points, points)
    times = torch.arange(steps + 1)[None, None, :, None, None, None]
    frames = first * torch.exp(-rate * times) + noise * draws.normal(environments, 1, steps + 1, 1, points, points)
    posterior = infer_codes(
        lambda codes: codes,
        Decaying(),
        Windows.of(frames, frames, None, 1),
        CodePrior(torch.tensor([rate]), torch.tensor([[1.0]])),
        torch.tensor([[rate]]),
        starts=1,
        iterations=10,
        temper=temper,
        least_noise=1e-4,
    )
    off = posterior.best[:, 0] - rate
    said = posterior.spread[:, 0]
    assert 0.7 <= float(off.std() / said.mean()) <= 1.0
    held = off.abs() < 1.645 * said
    assert 0.85 <= float(held.float().mean()) <= 0.97


def test_noise_is_told_from_what_is_off_alike_from_frame_to_frame() -> None:
    environments, steps, points, noise = 2, 9, 12, torch.tensor([0.02, 0.1])
    frames = torch.zeros(environments, 1, steps + 1, 1, points, points)
    observed = Windows.of(frames, frames, None, 1)
    draws = Draws("cpu", "white")
    smooth = 0.3 * torch.sin(torch.arange(1, steps + 1) / 6.0)[:, None, None]
    residuals = smooth + noise[:, None, None, None] * draws.normal(environments, steps, points, points)
    white = observed.white_noise(residuals.flatten(1))
    torch.testing.assert_close(white, noise, rtol=0.1, atol=2e-3)
    assert bool(Windows.of(frames[:, :, :3], frames[:, :, :3], None, 1).white_noise(residuals[:, :2]).isnan().all())


def test_noise_of_the_frames_is_counted_in_full_and_a_maps_own_error_as_its_temper_says() -> None:
    tempers = less_tempered(0.1, torch.tensor([0.0, 0.5, 1.0, torch.nan]))
    torch.testing.assert_close(tempers, torch.tensor([0.1, 1.0 / (0.5 / 0.1 + 0.5), 1.0, 0.1]))
