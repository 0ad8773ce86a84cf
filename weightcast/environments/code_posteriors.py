"""Codes drawn from what frames say of them, in one of three ways, and the density that two of these aim at.

Normal distributions around the solutions (Laplace) are exact where forecasts are linear in the code. Where they are
not, what is drawn from them is drawn again by importance, or moved by Langevin steps, under the tempered likelihood
itself.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.environments.code_priors import CodePrior
from weightcast.environments.config.code_prior import CodeDrawName
from weightcast.environments.langevin import langevin
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.windows import STACKED_NUMBERS, Windows

CANDIDATES = 8
"""Drawn for each code that is kept, where importance decides."""
STEPS = 20
"""Langevin steps of each code."""
HALVINGS = 4
"""Of the distance from the best code, where a drawn one's forecasts leave the bounds."""
KEPT = 4
"""Times the memory that a gradient takes over a forecast's."""
BOUND = 5.0
"""Times the greatest value that was observed."""


@dataclass(frozen=True)
class TemperedLikelihood:
    """How likely codes make observed frames.

    Attributes:
        weights_of: codes [problem, dimension] -> weights [problem, weight]; differentiable.
        predictor: whose weights they are.
        windows: observed.
        noise: standard deviation of the residuals, normalised units [environment].
        temper: weight of the logarithm [environment].
        bounded: steps for which what a drawn code forecasts must stay within the bounds; 0 where anything may be drawn.
    """

    weights_of: Callable[[Tensor], Tensor]
    predictor: StackedPredictor
    windows: Windows
    noise: Tensor
    temper: Tensor
    bounded: int = 0

    @property
    def together(self) -> int:
        """Codes of each environment that are looked at in one batch."""
        return max(1, int(STACKED_NUMBERS / max(1, self.windows.target.numel() * 8)))

    def __call__(self, codes: Tensor) -> Tensor:
        """Codes [environment, sample, dimension] -> log-likelihood, but for a constant [environment, sample]."""
        environments, count = codes.shape[:2]
        of = torch.arange(environments, device=codes.device).repeat_interleave(count)
        errors = self.windows.residuals(self.weights_of(codes.flatten(0, 1)), of, self.predictor)
        misfit = errors.square().sum(1).unflatten(0, (environments, count))
        return -0.5 * (self.temper / self.noise.square())[:, None] * misfit

    @torch.no_grad()
    def within_bounds(self, codes: Tensor) -> Tensor:
        """Which codes [environment, sample, dimension] forecast nothing beyond ``BOUND`` times the greatest value that
        was observed, bool [environment, sample]: equations blow up where coefficients are a little off."""
        environments, count = codes.shape[:2]
        start = self.windows.start[:, :1].repeat_interleave(count, 0)
        forecast = self.predictor.rollout(self.weights_of(codes.flatten(0, 1)), start, self.bounded)
        greatest = (
            torch.nan_to_num(forecast.abs(), nan=torch.inf).flatten(1).amax(1).unflatten(0, (environments, count))
        )
        return greatest <= BOUND * self.windows.start.abs().flatten(1).amax(1)[:, None]


@dataclass(frozen=True)
class CodePosterior:
    """What frames say of the code of each environment: a mixture of normal distributions, one a solution.

    In whitened codes, of which the prior, or its widest part, is standard normal.

    Attributes:
        modes: [environment, mode, dimension].
        precision: [environment, mode, dimension, dimension]; in double precision.
        log_weights: normalised [environment, mode]; minus infinity where a solution was found before.
        noise: root mean square of the residual at the best mode, normalised units [environment].
        prior: of codes.
        parts: which part of the prior a solution is in, long [environment, mode]; None: there is only one.
        likelihood: of the frames; None where they say nothing.
        widened: where solutions are less sure than this likelihood, of independent residuals, says, so that it must not
            weigh what is drawn around them, bool [environment]; None: nowhere.
    """

    modes: Tensor
    precision: Tensor
    log_weights: Tensor
    noise: Tensor
    prior: CodePrior
    parts: Tensor | None = None
    likelihood: TemperedLikelihood | None = None
    widened: Tensor | None = None

    @property
    def best(self) -> Tensor:
        """The most probable code [environment, dimension]."""
        chosen = self.log_weights.argmax(1)
        return self.prior.codes(self.modes[torch.arange(len(chosen), device=chosen.device), chosen])

    @property
    def spread(self) -> Tensor:
        """Standard deviations over the prior's, along the principal axes of the best mode, greatest first [environment,
        dimension]: near 1 is a direction that the frames leave open."""
        chosen = self.log_weights.argmax(1)
        precision = self.precision[torch.arange(len(chosen), device=chosen.device), chosen]
        return torch.linalg.eigvalsh(precision).clamp(min=1e-12).rsqrt().to(self.modes.dtype)

    def sample(self, count: int, draws: Draws) -> Tensor:
        """Codes [environment, sample, dimension]; modes get their share of the samples as evenly as can be."""
        environments, modes, dimensions = self.modes.shape
        noise = draws.normal(environments, count, dimensions, dtype=self.modes.dtype)
        places = (torch.arange(count, device=self.modes.device) + 0.5) / count
        upto = self.log_weights.exp().cumsum(1)
        chosen = torch.searchsorted(upto, places.to(upto.dtype).expand(environments, -1).contiguous())
        chosen = chosen.clamp(max=modes - 1)
        factor = torch.linalg.cholesky(self.precision)  # the inverse transpose of it is a factor of the covariance
        rows = torch.arange(environments, device=chosen.device)[:, None]
        step = torch.linalg.solve_triangular(factor[rows, chosen].mT, noise[..., None].to(factor), upper=True)[..., 0]
        return self.prior.codes(self.modes[rows, chosen] + step.to(self.modes.dtype))


def log_solutions(posterior: CodePosterior, whitened: Tensor) -> Tensor:
    """Log-density of each solution's normal distribution, its share included, but for a constant.

    Args:
        posterior: whose solutions these are.
        whitened: codes [environment, sample, dimension].

    Returns:
        [environment, sample, mode].
    """
    difference = (whitened[:, :, None] - posterior.modes[:, None]).to(posterior.precision.dtype)
    distance = torch.einsum("enmi,emij,enmj->enm", difference, posterior.precision, difference)
    sizes = 0.5 * torch.logdet(posterior.precision) + posterior.log_weights
    return (sizes[:, None] - 0.5 * distance).to(whitened.dtype)


def log_prior(posterior: CodePosterior, whitened: Tensor, temper: Tensor) -> Tensor:
    """Log-density of the prior around the solutions of the untempered likelihood, but for a constant.

    A prior that pulled harder than an untempered likelihood asks for would move codes away from the solutions
    (weightcast.environments.refinement.tempered): what it pulls more at a code's own solution is taken off again.

    Args:
        posterior: whose prior and solutions these are.
        whitened: codes [environment, sample, dimension].
        temper: weight of the likelihood [environment].

    Returns:
        [environment, sample].
    """
    prior, modes = posterior.prior, posterior.modes
    of = posterior.parts if posterior.parts is not None else torch.zeros_like(posterior.log_weights, dtype=torch.long)
    centres, precision = prior.relative()
    centre, inner = centres[of], precision[of]  # [environment, mode, ...]
    shares = (prior.log_shares + 0.5 * torch.logdet(precision))[of]
    off = (whitened[:, :, None] - centre[:, None]).to(inner.dtype)  # [environment, sample, mode, dimension]
    pull = torch.einsum("emij,emj->emi", inner, (modes - centre).to(inner.dtype))
    distance = torch.einsum("enmi,emij,enmj->enm", off, inner, off)
    back = torch.einsum("emi,enmi->enm", pull, (modes[:, None] - whitened[:, :, None]).to(inner.dtype))
    more = (1.0 - temper)[:, None, None] * back
    terms = shares[:, None] - 0.5 * distance - more
    # In each part of the prior a code's own solution counts alone.
    near = log_solutions(posterior, whitened).detach()
    same = of[:, :, None] == of[:, None]  # [environment, mode, mode]
    best = torch.where(same[:, None], near[:, :, None], -torch.inf).amax(3)
    own = (near >= best) & torch.isfinite(near)
    return terms.masked_fill(~own, -torch.inf).logsumexp(2).to(whitened.dtype)


def draw_codes(kind: CodeDrawName, posterior: CodePosterior, count: int, draws: Draws) -> Tensor:
    """Codes from a posterior [environment, sample, dimension].

    Args:
        kind: how they are drawn; around the solutions alone where frames say nothing.
        posterior: of some environments.
        count: codes of each.
        draws: source of randomness.
    """
    likelihood = posterior.likelihood
    if likelihood is not None and likelihood.bounded:
        return _drawn_back(_drawn(kind, posterior, count, draws), posterior, likelihood)
    return _drawn(kind, posterior, count, draws)


def _drawn(kind: CodeDrawName, posterior: CodePosterior, count: int, draws: Draws) -> Tensor:
    likelihood = posterior.likelihood
    if kind == "laplace" or likelihood is None:
        return posterior.sample(count, draws)
    codes = (_weighted if kind == "weighted" else _moved)(posterior, likelihood, count, draws)
    if posterior.widened is None:
        return codes
    return torch.where(posterior.widened[:, None, None], posterior.sample(count, draws), codes)


def _drawn_back(codes: Tensor, posterior: CodePosterior, likelihood: TemperedLikelihood) -> Tensor:
    """Halve the distance of codes from the best one until their forecasts stay within the bounds, or they are it."""
    best = posterior.best[:, None]
    for _ in range(HALVINGS):
        within = likelihood.within_bounds(codes)[..., None]
        if bool(within.all()):
            return codes
        codes = torch.where(within, codes, 0.5 * (codes + best))
    return torch.where(likelihood.within_bounds(codes)[..., None], codes, best)


def _weighted(posterior: CodePosterior, likelihood: TemperedLikelihood, count: int, draws: Draws) -> Tensor:
    """Drawn again by importance, each as often as its weight says, as evenly as can be."""
    codes = posterior.sample(CANDIDATES * count, draws)
    whitened = posterior.prior.whitened(codes)
    with torch.no_grad():
        parts = codes.split(likelihood.together, dim=1)
        target = torch.cat([likelihood(part) for part in parts], 1) + log_prior(posterior, whitened, likelihood.temper)
    shares = truncated(target - log_solutions(posterior, whitened).logsumexp(2))
    places = (torch.arange(count, device=codes.device) + draws.uniform(len(codes), 1)) / count
    chosen = torch.searchsorted(shares.cumsum(1), places.to(shares.dtype).contiguous()).clamp(max=codes.shape[1] - 1)
    return codes.gather(1, chosen[..., None].expand(-1, -1, codes.shape[2]))


def _moved(posterior: CodePosterior, likelihood: TemperedLikelihood, count: int, draws: Draws) -> Tensor:
    """Moved by Langevin steps, in the units of the solution that each code is drawn around."""
    prior, environments = posterior.prior, len(posterior.modes)
    start = prior.whitened(posterior.sample(count, draws))
    nearest = log_solutions(posterior, start).argmax(2)  # [environment, sample]
    rows = torch.arange(environments, device=start.device)[:, None]
    factor = torch.linalg.inv(torch.linalg.cholesky(posterior.precision[rows, nearest])).mT.to(start.dtype)

    def log_density(points: Tensor) -> Tensor:
        """Whitened codes [environment * sample, dimension], environment by environment."""
        whitened = points.unflatten(0, (environments, -1))
        return (likelihood(prior.codes(whitened)) + log_prior(posterior, whitened, likelihood.temper)).flatten()

    size = max(1, likelihood.together // KEPT)
    moved = [
        langevin(log_density, part.flatten(0, 1), own.flatten(0, 1), STEPS, draws)[0].unflatten(0, (environments, -1))
        for part, own in zip(start.split(size, dim=1), factor.split(size, dim=1), strict=True)
    ]
    return prior.codes(torch.cat(moved, 1))


def truncated(log_weights: Tensor) -> Tensor:
    """Importance weights, with a sum of 1, without the few that would outweigh all others [environment, sample].

    Cut off at the mean weight times the square root of their number (Ionides, Journal of Computational and Graphical
    Statistics, 2008).
    """
    log_weights = torch.nan_to_num(log_weights.double(), nan=-torch.inf, posinf=-torch.inf)
    highest = log_weights.amax(1, keepdim=True)
    weights = torch.where(torch.isfinite(highest), log_weights - highest, torch.zeros_like(log_weights)).exp()
    weights = torch.minimum(weights, weights.mean(1, keepdim=True) * math.sqrt(log_weights.shape[1]))
    return weights / weights.sum(1, keepdim=True)
