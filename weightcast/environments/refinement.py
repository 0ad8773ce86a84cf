"""The codes behind observed frames: found by Levenberg-Marquardt under a prior, from several starts, with what is left
open around them.

A code is judged by rollouts: from observed frames the predictor that the code stands for is stepped, and what it
forecasts is compared with the frames that followed. Where these are states of few numbers, and noisy, the true first
frames are unknown as well: an error there is no noise of the frames that follow, and would bias the code. Only the few
numbers of a code, and of such frames, are unknown, never the weights themselves, so that a gradient-free pass for each
of them gives the whole Jacobian, and all environments and starts are solved in one batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.least_squares import Solution, levenberg_marquardt
from weightcast.environments.predictor import StackedPredictor

NOISE_ROUNDS = 2
"""How often the noise is estimated, and the codes refined under it."""
SAME_MODE = 0.5
"""Solutions closer than this, in standard deviations, are one and the same."""
FEW_NUMBERS = 64
"""Numbers that the first frames of rollouts may consist of to be unknown as well. Noise in those of a state is an error
that the whole rollout carries on; in those of a field it averages out."""
NOISY = 1.5
"""Residual over what the map leaves where it was trained, from which on first frames are taken to be noisy."""
BOUND = 5.0
"""Times the greatest value that was observed."""
STACKED_NUMBERS = 3e7
"""Numbers of frames that are stepped at once."""


@dataclass(frozen=True)
class Windows:
    """Observed frames as rollouts to be compared with.

    Attributes:
        start: [environment, window, channel, y, x], normalised.
        target: the frames that followed [environment, window, step, channel, y, x]; 0 where nothing was observed.
        observed: 1 where something was, else 0; same shape.
    """

    start: Tensor
    target: Tensor
    observed: Tensor

    @classmethod
    def of(cls, frames: Tensor, whole: Tensor, unroll: int | None, most: int) -> Windows:
        """Cut frames into rollouts. None starts at a frame of which nothing was observed, unless all would.

        Args:
            frames: normalised [environment, trajectory, frame, channel, y, x]; NaN where nothing was observed.
            whole: the same without gaps, for rollouts to start from: see :mod:`weightcast.environments.gaps`.
            unroll: steps of a rollout; as many as there are frames if None.
            most: rollouts of an environment; evenly chosen where there would be more.
        """
        trajectories, length = frames.shape[1:3]
        steps = length - 1 if unroll is None else min(unroll, length - 1)
        starts = torch.arange(length - steps, device=frames.device)
        trajectory = torch.arange(trajectories, device=frames.device).repeat_interleave(len(starts))
        starts = starts.repeat(trajectories)
        seen = torch.isfinite(frames).flatten(3).any(3).all(0)[trajectory, starts]  # in every environment
        if bool(seen.any()):
            trajectory, starts = trajectory[seen], starts[seen]
        if len(starts) > most:
            chosen = torch.linspace(0, len(starts) - 1, most, device=frames.device).round().long()
            trajectory, starts = trajectory[chosen], starts[chosen]
        after = starts[:, None] + torch.arange(1, steps + 1, device=frames.device)
        target = frames[:, trajectory[:, None], after]
        observed = torch.isfinite(target)
        return cls(whole[:, trajectory, starts], torch.nan_to_num(target), observed.to(frames.dtype))

    @property
    def counts(self) -> Tensor:
        """Numbers that are compared [environment]."""
        return self.observed.flatten(1).sum(1)

    @property
    def start_numbers(self) -> int:
        """Numbers of the frames that rollouts start from, where these are few enough to be unknown; else 0."""
        numbers = self.start[0].numel()
        return numbers if numbers <= FEW_NUMBERS else 0

    def residuals(
        self, weights: Tensor, of: Tensor, predictor: StackedPredictor, offsets: Tensor | None = None
    ) -> Tensor:
        """Errors of rollouts.

        Args:
            weights: [problem, weight].
            of: whose frames each problem's are, long [problem].
            predictor: whose weights they are.
            offsets: of the frames that rollouts start from [problem, number]; None: they are as observed.

        Returns:
            [problem, residual]; 0 where nothing was observed.
        """
        start = self.start[of]
        if offsets is not None:
            start = start + offsets.view_as(start)
        forecast = predictor.rollout(weights, start, self.target.shape[2])
        return ((forecast - self.target[of]) * self.observed[of]).flatten(1)


@dataclass(frozen=True)
class CodePrior:
    """What codes are like: normal.

    Attributes:
        mean: [dimension].
        factor: lower triangular, whose product with its transpose is the covariance [dimension, dimension].
    """

    mean: Tensor
    factor: Tensor

    @classmethod
    def of(cls, codes: Tensor, widened: float) -> CodePrior:
        """The normal distribution of the visible environments' codes [environment, dimension], widened.

        Args:
            codes: learned.
            widened: what standard deviations are multiplied with; more than 1 since environments are asked for that lie
                outside of what was visible.
        """
        centred = codes - codes.mean(0)
        covariance = centred.mT @ centred / max(1, len(codes) - 1)
        # Few environments say little of correlations.
        share = codes.shape[1] / (codes.shape[1] + len(codes))
        covariance = (1 - share) * covariance + share * torch.diag(covariance.diagonal())
        floor = 1e-6 * covariance.diagonal().mean() + 1e-12
        covariance = widened**2 * covariance + floor * torch.eye(codes.shape[1], device=codes.device)
        return cls(codes.mean(0), torch.linalg.cholesky(covariance))

    def whitened(self, codes: Tensor) -> Tensor:
        """[..., dimension] -> standard normal."""
        return torch.linalg.solve_triangular(self.factor, (codes - self.mean)[..., None], upper=False)[..., 0]

    def codes(self, whitened: Tensor) -> Tensor:
        """The inverse of :meth:`whitened`."""
        return self.mean + (self.factor @ whitened[..., None])[..., 0]

    # A mixture (weightcast.environments.code_priors) has several parts, in each of which is searched; this is its own
    # and only one.

    @property
    def log_shares(self) -> Tensor:
        """Logarithms of the parts' shares [part]."""
        return self.mean.new_zeros(1)

    def tensors(self) -> dict[str, Tensor]:
        """What an artifact holds beside the visible codes."""
        return {}

    @property
    def centres_of_parts(self) -> Tensor:
        """Codes [part, dimension]."""
        return self.mean[None]

    def starts(self, candidates: Tensor, errors: Tensor, count: int) -> tuple[Tensor, Tensor]:
        """Where searches begin.

        Args:
            candidates: codes [candidate, dimension].
            errors: that they leave [environment, candidate].
            count: searches.

        Returns:
            Codes [environment, start, dimension] and the part of the prior that each search is in, long [start].
        """
        best = errors.topk(min(count, len(candidates)), dim=1, largest=False).indices
        return candidates[best], torch.zeros(best.shape[1], dtype=torch.long, device=best.device)

    def parts(self, of: Tensor) -> CodePrior:
        """The normal distributions of these parts, long [problem], with a leading axis where there are several."""
        return self

    def relative(self) -> tuple[Tensor, Tensor]:
        """The parts in whitened codes: means [part, dimension], precisions [part, dimension, dimension], in double."""
        eye = torch.eye(len(self.mean), dtype=torch.float64, device=self.mean.device)
        return self.mean.new_zeros(1, len(self.mean)), eye[None]

    def from_parts(self, modes: Tensor, precision: Tensor, of: Tensor) -> tuple[Tensor, Tensor]:
        """Solutions in the whitened codes of their part as they are in those of the whole prior.

        Args:
            modes: [environment, mode, dimension].
            precision: [environment, mode, dimension, dimension].
            of: parts, long [mode].
        """
        return modes, precision


@dataclass(frozen=True)
class TemperedLikelihood:
    """How likely codes make observed frames.

    Attributes:
        weights_of: codes [problem, dimension] -> weights [problem, weight]; differentiable.
        predictor: whose weights they are.
        windows: observed.
        noise: standard deviation of the residuals, normalised units [environment].
        temper: weight of the logarithm.
        bounded: steps for which what a drawn code forecasts must stay within the bounds; 0 where anything may be drawn.
    """

    weights_of: Callable[[Tensor], Tensor]
    predictor: StackedPredictor
    windows: Windows
    noise: Tensor
    temper: float
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
        return -0.5 * self.temper * misfit / self.noise[:, None].square()

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
    """

    modes: Tensor
    precision: Tensor
    log_weights: Tensor
    noise: Tensor
    prior: CodePrior
    parts: Tensor | None = None
    likelihood: TemperedLikelihood | None = None

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


def infer_codes(
    weights_of: Callable[[Tensor], Tensor],
    predictor: StackedPredictor,
    windows: Windows,
    prior: CodePrior,
    candidates: Tensor,
    *,
    starts: int,
    iterations: int,
    temper: float,
    least_noise: float,
    bounded: int = 0,
) -> CodePosterior:
    """The codes of environments of which windows of frames are known.

    Args:
        weights_of: codes [problem, dimension] -> weights [problem, weight].
        predictor: whose weights they are.
        windows: observed.
        prior: of codes.
        candidates: codes among which the best are refined [candidate, dimension].
        starts: how many of these, for each environment.
        iterations: of Levenberg-Marquardt, in each round.
        temper: weight of the likelihood in what is left open around the solutions, from 0 to 1.
        least_noise: root mean square of the residual that the map leaves where it was trained, in normalised units.
        bounded: see `TemperedLikelihood`.
    """
    environments = len(windows.start)
    of = torch.arange(environments, device=candidates.device)
    counts = windows.counts.clamp(min=1.0)
    errors = _candidate_errors(weights_of, predictor, windows, candidates)
    chosen, parts = prior.starts(candidates, errors, starts)
    problems = of.repeat_interleave(chosen.shape[1])
    parts_of = parts.repeat(environments)
    unknowns = prior.parts(parts_of).whitened(chosen.flatten(0, 1))  # [environment * start, dimension]
    dimensions = unknowns.shape[1]
    least = max(least_noise, 1e-6)

    def refined(unknowns: Tensor, noise: Tensor, freed: Tensor) -> tuple[Solution, Tensor]:
        """Solutions under a noise [environment], and what they leave of each environment's frames, root mean square.

        Behind the codes stand offsets of first frames, in units of the noise, where they are unknown; they have no
        effect in environments that are not freed.
        """
        scale = (1.0 / noise)[problems][:, None]
        unit = (freed * noise)[problems][:, None]

        def rows(unknowns: Tensor, which: Tensor) -> Tensor:
            white, offsets = unknowns[:, :dimensions], unknowns[:, dimensions:]
            moved = offsets * unit[which] if offsets.shape[1] else None
            weights = weights_of(prior.parts(parts_of[which]).codes(white))
            errors = windows.residuals(weights, problems[which], predictor, moved)
            return torch.cat([scale[which] * errors, unknowns], 1)

        found = levenberg_marquardt(rows, unknowns, iterations)
        own = found.unknowns[:, :dimensions].square().sum(1)  # what offsets say is of the frames, as errors are
        misfit = (found.cost - own).clamp(min=0.0) / scale[:, 0].square() / counts[problems]
        return found, misfit.unflatten(0, (environments, -1)).amin(1).sqrt()

    def noise_of(residual: Tensor, before: Tensor) -> Tensor:
        return torch.where(torch.isfinite(residual), residual, before).clamp(min=least)

    def searched(unknowns: Tensor, freed: Tensor) -> tuple[Solution, Tensor, Tensor, Tensor]:
        """Solutions, residuals, the noise in the end and offsets of first frames [problem, number]."""
        noise = windows.start.new_full((environments,), least)
        for _ in range(NOISE_ROUNDS):
            found, residual = refined(unknowns, noise, freed)
            before, noise = noise, noise_of(residual, noise)
            unknowns = found.unknowns.clone()
            unknowns[:, dimensions:] *= (before / noise)[problems][:, None]
        return found, residual, noise, unknowns[:, dimensions:] * (freed * noise)[problems][:, None]

    found, residual, noise, _ = searched(unknowns, windows.start.new_zeros(environments))
    noisy = noise > NOISY * least
    if windows.start_numbers and bool(noisy.any()):
        # Each environment's solution is its own: what others are like decides nothing.
        further = torch.cat([unknowns, unknowns.new_zeros(len(unknowns), windows.start_numbers)], 1)
        freed, freed_residual, freed_noise, offsets = searched(further, noisy.to(noise))
        best = freed.cost.unflatten(0, (environments, -1)).argmin(1)
        moved = torch.nan_to_num(offsets.unflatten(0, (environments, -1))[of, best])
        windows = replace(windows, start=windows.start + moved.view_as(windows.start))
        found = where(noisy[problems], marginal(freed, dimensions), found)
        residual, noise = torch.where(noisy, freed_residual, residual), torch.where(noisy, freed_noise, noise)
    posterior = _posterior(tempered(found, temper), environments, noise, residual, prior, parts)
    return replace(posterior, likelihood=TemperedLikelihood(weights_of, predictor, windows, noise, temper, bounded))


def where(chosen: Tensor, one: Solution, other: Solution) -> Solution:
    """Some problems' solutions from one search, the others' from another; ``chosen`` bool [problem]."""
    return Solution(
        torch.where(chosen[:, None], one.unknowns, other.unknowns),
        torch.where(chosen, one.cost, other.cost),
        torch.where(chosen[:, None, None], one.normal, other.normal),
    )


def marginal(found: Solution, dimensions: int) -> Solution:
    """Solutions as they are in the first so many unknowns, whatever the others are (Schur complement)."""
    own, others = slice(None, dimensions), slice(dimensions, None)
    crossed = found.normal[:, own, others]
    within = torch.linalg.solve_ex(found.normal[:, others, others], crossed.mT).result
    return Solution(found.unknowns[:, own], found.cost, found.normal[:, own, own] - crossed @ within)


def tempered(found: Solution, temper: float) -> Solution:
    """Solutions of the whole likelihood as they are under a part of it: as likely, and as narrow, as it says.

    Where the solutions lie stays: a prior that pulled harder than the noise asks for would bias them.
    """
    prior = found.unknowns.square().sum(1)
    eye = torch.eye(found.unknowns.shape[1], dtype=found.normal.dtype, device=found.normal.device)
    return Solution(
        found.unknowns,
        temper * (found.cost - prior) + prior,
        temper * (found.normal - eye) + eye,  # the prior's rows are residuals as well
    )


def _candidate_errors(
    weights_of: Callable[[Tensor], Tensor], predictor: StackedPredictor, windows: Windows, candidates: Tensor
) -> Tensor:
    """Mean square residual that codes leave of each environment's frames [environment, candidate]."""
    environments = len(windows.start)
    pairs = torch.cartesian_prod(
        torch.arange(environments, device=candidates.device), torch.arange(len(candidates), device=candidates.device)
    )
    size = max(1, int(STACKED_NUMBERS / max(1, windows.target[0].numel() * 8)))
    with torch.no_grad():
        errors = torch.cat(
            [
                windows.residuals(weights_of(candidates[part[:, 1]]), part[:, 0], predictor).square().mean(1)
                for part in pairs.split(size)
            ]
        )
    return torch.nan_to_num(errors, nan=torch.inf).unflatten(0, (environments, -1))


def _posterior(
    found: Solution, environments: int, noise: Tensor, residual: Tensor, prior: CodePrior, parts: Tensor
) -> CodePosterior:
    """The mixture around solutions, without those that are the same as a better one in the same part of the prior."""
    modes = found.unknowns.unflatten(0, (environments, -1))  # [environment, mode, dimension]
    precision = found.normal.unflatten(0, (environments, -1))  # holds the prior's own: its rows are residuals as well
    dimensions = modes.shape[-1]
    eye = torch.eye(dimensions, dtype=precision.dtype, device=modes.device)
    precision = torch.where(
        torch.isfinite(found.cost).unflatten(0, (environments, -1))[..., None, None], precision, eye
    )
    precision = _at_least_the_prior(precision)
    log_weights = -0.5 * found.cost.unflatten(0, (environments, -1)) - 0.5 * torch.logdet(precision)
    log_weights = log_weights + prior.log_shares[parts]
    modes, precision = prior.from_parts(modes, precision, parts)
    order = log_weights.argsort(1, descending=True)
    rows = torch.arange(environments, device=order.device)[:, None]
    modes, precision, log_weights = modes[rows, order], precision[rows, order], log_weights[rows, order]
    of = parts[order]
    difference = (modes[:, :, None] - modes[:, None]).to(precision.dtype)  # [environment, mode, better mode, dimension]
    distance = torch.einsum("eabi,ebij,eabj->eab", difference, precision, difference).clamp(min=0).sqrt()
    better = torch.ones(modes.shape[1], modes.shape[1], device=modes.device).tril(-1).bool()
    repeated = ((distance < SAME_MODE) & better & (of[:, :, None] == of[:, None])).any(2)
    log_weights = log_weights.masked_fill(repeated, -torch.inf)
    nothing = torch.isinf(log_weights).all(1, keepdim=True)  # no finite forecast from any start
    log_weights = torch.where(nothing & (torch.arange(modes.shape[1], device=modes.device) == 0), 0.0, log_weights)
    residual = torch.where(torch.isfinite(residual), residual, noise)
    return CodePosterior(modes, precision, log_weights.log_softmax(1).to(modes.dtype), residual, prior, of)


def _at_least_the_prior(precision: Tensor) -> Tensor:
    """Symmetric matrices [..., dimension, dimension] as they are, but for eigenvalues that rounding took below 1, the
    prior's own: frames may settle one direction a million times as sharply as another."""
    values, vectors = torch.linalg.eigh(precision)
    return (vectors * values.clamp(min=1.0)[..., None, :]) @ vectors.mT
