"""The codes behind observed frames: found by Levenberg-Marquardt under a prior, from several starts, with what is left
open around them.

A code is judged by rollouts: from observed frames the predictor that the code stands for is stepped, and what it
forecasts is compared with the frames that followed. Where these are states of few numbers, and noisy, the true first
frames are unknown as well: an error there is no noise of the frames that follow, and would bias the code. Those of
fields stay as observed, and what their noise does to the code is counted when it is said how sure it is. Only the few
numbers of a code, and of such frames, are unknown, never the weights themselves, so that a gradient-free pass for each
of them gives the whole Jacobian, and all environments and starts are solved in one batch.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.func import jvp
from torch.nn.attention import SDPBackend, sdpa_kernel

from weightcast.core.draws import Draws
from weightcast.core.least_squares import Solution, levenberg_marquardt
from weightcast.environments.code_posteriors import CodePosterior, TemperedLikelihood
from weightcast.environments.code_priors import CodePrior
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.windows import STACKED_NUMBERS, Windows

NOISE_ROUNDS = 2
"""How often the noise is estimated, and the codes refined under it."""
SAME_MODE = 0.5
"""Solutions closer than this, in standard deviations, are one and the same."""
NOISY = 1.5
"""Residual over what the map leaves where it was trained, from which on first frames are taken to be noisy."""


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
    errors = _candidate_errors(weights_of, predictor, windows, candidates)
    chosen, parts = prior.starts(candidates, errors, starts)
    search = _Search(weights_of, predictor, windows, prior, parts, iterations, max(least_noise, 1e-6))
    found = search.known_starts(chosen)
    noisy, widened = found.noise > NOISY * search.least, None
    tempers = torch.full_like(found.noise, temper)
    if bool(noisy.any()):
        if windows.start_numbers:
            # Each environment's solution is its own: what others are like decides nothing.
            freed, windows = search.freed_starts(chosen, noisy)
            found = found.where(noisy, freed, len(parts))
            explained = replace(search, windows=windows).white_noise(found).square()
        else:
            white, widened = search.white_noise(found), noisy
            explained = white.square() * (1.0 + search.carried(found))
            found = replace(found, solution=search.unsure_of_starts(found, white, noisy))
        tempers = torch.where(noisy, less_tempered(temper, explained / found.noise.square()), tempers)
    solution = tempered(found.solution, tempers.repeat_interleave(len(parts)))
    posterior = _posterior(solution, len(windows.start), found.noise, found.residual, prior, parts)
    likelihood = TemperedLikelihood(weights_of, predictor, windows, found.noise, tempers, bounded)
    return replace(posterior, likelihood=likelihood, widened=widened)


@dataclass(frozen=True)
class _Found:
    """Where a search ended.

    Attributes:
        solution: of all problems.
        residual: root mean square that the best of them leaves of each environment's frames [environment].
        noise: that was estimated [environment].
    """

    solution: Solution
    residual: Tensor
    noise: Tensor

    def where(self, chosen: Tensor, other: _Found, starts: int) -> _Found:
        """The other's in the chosen environments, bool [environment]."""
        return _Found(
            where(chosen.repeat_interleave(starts), other.solution, self.solution),
            torch.where(chosen, other.residual, self.residual),
            torch.where(chosen, other.noise, self.noise),
        )


@dataclass(frozen=True)
class _Search:
    """Codes of all environments from all starts, a problem each, environment by environment.

    Attributes:
        weights_of, predictor, windows, prior, iterations: see `infer_codes`.
        parts: of the prior that searches are in, long [start].
        least: noise, at least.
    """

    weights_of: Callable[[Tensor], Tensor]
    predictor: StackedPredictor
    windows: Windows
    prior: CodePrior
    parts: Tensor
    iterations: int
    least: float

    @property
    def environment(self) -> Tensor:
        """Of each problem, long [problem]."""
        every = torch.arange(len(self.windows.start), device=self.parts.device)
        return every.repeat_interleave(len(self.parts))

    def known_starts(self, codes: Tensor) -> _Found:
        """From these codes [environment, start, dimension], first frames as they were observed."""
        found, _ = self._rounds(self._whitened(codes), self.windows.start.new_zeros(len(self.windows.start)))
        return found

    def freed_starts(self, codes: Tensor, freed: Tensor) -> tuple[_Found, Windows]:
        """The same with unknown first frames where ``freed``, bool [environment], and the windows with them."""
        codes = self._whitened(codes)
        dimensions, windows = codes.shape[1], self.windows
        unknowns = torch.cat([codes, codes.new_zeros(len(codes), windows.start_numbers)], 1)
        found, offsets = self._rounds(unknowns, freed.to(codes))
        offsets = offsets[self._best(found)]
        windows = replace(windows, start=windows.start + torch.nan_to_num(offsets).view_as(windows.start))
        return replace(found, solution=marginal(found.solution, dimensions)), windows

    def white_noise(self, found: _Found) -> Tensor:
        """The part of the residuals that is independent from frame to frame, at most all of them [environment]; NaN
        where too few frames follow each other to tell."""
        best = self._best(found)
        with torch.no_grad():
            errors = self._errors(found.solution.unknowns[best], best, None)
        return torch.minimum(self.windows.white_noise(errors), found.noise)

    def carried(self, found: _Found) -> Tensor:
        """Mean square of what a rollout makes of noise in its first frame, of variance 1 [environment].

        The mean diagonal of F F^T, with the Jacobian F of rollouts in their first frames, by one random direction
        (Hutchinson, Communications in Statistics 18, 1989): of thousands of numbers, another one says the same.
        """
        best = self._best(found)
        start = self.windows.start.flatten(1)
        noise = Draws(start.device, "noise of first frames").normal(*start.shape).to(start)

        def errors(offsets: Tensor) -> Tensor:
            return self._errors(found.solution.unknowns[best], best, offsets)

        with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
            _, along, *_ = jvp(errors, (torch.zeros_like(start),), (noise,))
        return torch.nan_to_num(along).square().sum(1) / self.windows.counts.clamp(min=1.0)

    def unsure_of_starts(self, found: _Found, white: Tensor, noisy: Tensor) -> Solution:
        """Solutions as sure as they may be where first frames are noisy, bool [environment], and too many numbers to be
        unknown: noise there moves all frames of a rollout at once, which a likelihood of independent residuals takes
        for information (the sandwich covariance of White, Econometrica 50, 1982).

        Args:
            found: solutions from first frames as they were observed.
            white: noise of the frames [environment]; all of the residuals where it is NaN.
            noisy: bool [environment].
        """
        solution, starts = found.solution, len(self.parts)
        unsure, white = noisy.nonzero()[:, 0], torch.where(torch.isfinite(white), white, found.noise)
        size = max(1, int(STACKED_NUMBERS / max(1, self.windows.target[0].numel() * 32)))  # gradients keep all steps
        moved = torch.cat(
            [
                self._moved_by_starts(solution.unknowns, found.noise, white, which)
                for which in self._best(found)[unsure].split(size)
            ]
        )
        normal = solution.normal.unflatten(0, (-1, starts)).clone()
        own = normal[noisy]  # other solutions of an environment are near the best one, or do not matter
        normal[noisy] = own @ torch.linalg.solve(own + moved[:, None], own)
        return replace(solution, normal=normal.flatten(0, 1))

    def _best(self, found: _Found) -> Tensor:
        """The problem with the best solution of each environment, long [environment]."""
        own = found.solution.cost.unflatten(0, (-1, len(self.parts))).argmin(1)
        return own + len(self.parts) * torch.arange(len(own), device=own.device)

    def _moved_by_starts(self, unknowns: Tensor, noise: Tensor, white: Tensor, which: Tensor) -> Tensor:
        """How noise of first frames moves the gradient in the unknowns: its covariance [problem, unknown, unknown].

        With the Jacobians J of the scaled residuals in the unknowns, and F in first frames in units of their noise, it
        is the Gram matrix of the transpose of F times J.

        Args:
            unknowns: of all problems [problem, unknown].
            noise: of the residuals [environment].
            white: of first frames [environment].
            which: long [problem].
        """
        start, unknowns = self.windows.start[self.environment[which]], unknowns[which]

        offsets, pulled = torch.zeros_like(start).flatten(1), []
        for direction in torch.eye(unknowns.shape[1], dtype=unknowns.dtype, device=unknowns.device):
            along = direction.expand_as(unknowns)
            with torch.no_grad(), sdpa_kernel(SDPBackend.MATH):
                _, column, *_ = jvp(lambda trial: self._errors(trial, which, offsets), (unknowns,), (along,))
            with torch.enable_grad():
                free = offsets.clone().requires_grad_()
                (pull,) = torch.autograd.grad((self._errors(unknowns, which, free) * column).sum(), free)
            pulled.append(pull)
        # A row of F is in units of white / noise, a column of J in units of 1 / noise.
        scale = (white / noise.square())[self.environment[which], None, None]
        pull = scale * torch.stack(pulled, 2).double()
        return torch.nan_to_num(pull.mT @ pull)

    def _whitened(self, codes: Tensor) -> Tensor:
        """Codes [environment, start, dimension] -> unknowns [problem, dimension]."""
        return self._prior_of(None).whitened(codes.flatten(0, 1))

    def _prior_of(self, which: Tensor | None) -> CodePrior:
        """The parts of the prior that these problems are in; all problems if None."""
        parts = self.parts.repeat(len(self.windows.start))
        return self.prior.parts(parts if which is None else parts[which])

    def _errors(self, white: Tensor, which: Tensor, offsets: Tensor | None) -> Tensor:
        """Of the rollouts of these problems: whitened codes [problem, dimension] -> [problem, residual]."""
        weights = self.weights_of(self._prior_of(which).codes(white))
        return self.windows.residuals(weights, self.environment[which], self.predictor, offsets)

    def _rounds(self, unknowns: Tensor, freed: Tensor) -> tuple[_Found, Tensor]:
        """Search, estimate the noise, and search again under it.

        Behind the codes stand offsets of first frames, in units of the noise, where they are unknown; they have no
        effect in environments that are not freed, 0 in ``freed`` [environment].

        Returns:
            What was found, and offsets of first frames [problem, number].
        """
        dimensions = self._dimensions
        noise = self.windows.start.new_full((len(freed),), self.least)
        for _ in range(NOISE_ROUNDS):
            solution, residual = self._refined(unknowns, noise, freed)
            before, noise = noise, torch.where(torch.isfinite(residual), residual, noise).clamp(min=self.least)
            unknowns = solution.unknowns.clone()
            unknowns[:, dimensions:] *= (before / noise)[self.environment][:, None]
        offsets = unknowns[:, dimensions:] * (freed * noise)[self.environment][:, None]
        return _Found(solution, residual, noise), offsets

    @property
    def _dimensions(self) -> int:
        return len(self.prior.mean)

    def _refined(self, unknowns: Tensor, noise: Tensor, freed: Tensor) -> tuple[Solution, Tensor]:
        """Solutions under a noise [environment], and what they leave of each environment's frames, root mean square."""
        environment, dimensions = self.environment, self._dimensions
        scale = (1.0 / noise)[environment][:, None]
        unit = (freed * noise)[environment][:, None]

        def rows(unknowns: Tensor, which: Tensor) -> Tensor:
            white, offsets = unknowns[:, :dimensions], unknowns[:, dimensions:]
            errors = self._errors(white, which, offsets * unit[which] if offsets.shape[1] else None)
            return torch.cat([scale[which] * errors, unknowns], 1)

        found = levenberg_marquardt(rows, unknowns, self.iterations)
        own = found.unknowns[:, :dimensions].square().sum(1)  # what offsets say is of the frames, as errors are
        counts = self.windows.counts.clamp(min=1.0)[environment]
        misfit = (found.cost - own).clamp(min=0.0) / scale[:, 0].square() / counts
        return found, misfit.unflatten(0, (len(noise), -1)).amin(1).sqrt()


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


def less_tempered(temper: float, explained: Tensor) -> Tensor:
    """Temper of residuals of whose variance a share is noise of the frames [environment].

    A likelihood is tempered since a map's errors are alike from point to point and from frame to frame. Noise of the
    frames is not, and is counted in full: variances of the two, the first over the temper, add up. Where the share is
    NaN, none of it is known to be noise.
    """
    share = torch.nan_to_num(explained).clamp(max=1.0)
    return 1.0 / ((1.0 - share) / temper + share)


def tempered(found: Solution, temper: Tensor) -> Solution:
    """Solutions of the whole likelihood as they are under a part of it [problem]: as likely, and as narrow, as it says.

    Where the solutions lie stays: a prior that pulled harder than the noise asks for would bias them.
    """
    prior = found.unknowns.square().sum(1)
    eye = torch.eye(found.unknowns.shape[1], dtype=found.normal.dtype, device=found.normal.device)
    return Solution(
        found.unknowns,
        temper * (found.cost - prior) + prior,
        temper[:, None, None] * (found.normal - eye) + eye,  # the prior's rows are residuals as well
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
