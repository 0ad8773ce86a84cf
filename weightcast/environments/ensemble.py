"""Ensembles of predictors for an environment of which frames were observed, and what they forecast together.

Candidates are drawn from what frames say of the code, and weighted by how well each explains the frames. A forecast is
the mixture of what they forecast, each with the error that the calibration found beyond their spread.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.environments.code_posteriors import CodePosterior, draw_codes, log_prior, log_solutions
from weightcast.environments.context import Context
from weightcast.environments.ensemble_quantiles import normalised, weighted_quantiles
from weightcast.environments.model import PhysicalPredictor
from weightcast.environments.normalisation import Normalisation
from weightcast.environments.transform import Transforms, transformed, untransformed

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of the quantiles of a forecast."""


@dataclass(frozen=True)
class Ensemble:
    """Candidates for one environment, the most probable first.

    Attributes:
        weights: of the predictors [member, weight].
        probabilities: of the members, with a sum of 1 [member].
        codes: that they were made from [member, dimension].
    """

    weights: Tensor
    probabilities: Tensor
    codes: Tensor


def check_counts(count: int, keep: int | None) -> None:
    """Check how many candidates are to be drawn and kept, before anything is inferred.

    Raises:
        InputError: see :func:`draw_ensemble`.
    """
    if count < 1:
        raise InputError(f"n: found {count}, expected at least 1")
    if keep is not None and not 1 <= keep <= count:
        raise InputError(f"keep: found {keep}, expected 1 to {count}, the number of candidates")


def draw_ensemble(context: Context, posterior: CodePosterior, count: int, keep: int | None, seed: int) -> Ensemble:
    """Candidates drawn from a posterior, weighted by importance, of which the most probable are kept.

    The drawn normal distributions only approximate what frames say. So a candidate has the weight likelihood^temper *
    prior (around the solutions of the untempered likelihood) / density that it was drawn with, cut off at the mean
    weight times the square root of their number (Ionides, Journal of Computational and Graphical Statistics, 2008), and
    ranks by likelihood^temper * prior. With a single frame nothing is weighted.

    Args:
        context: trained.
        posterior: of one environment, from its :meth:`Context.infer`.
        count: candidates; the only one is the most probable code.
        keep: how many are kept; all if None.
        seed: of the draw.

    Raises:
        InputError: ``count`` or ``keep`` is less than 1, or more are to be kept than drawn.
    """
    check_counts(count, keep)
    draws = Draws(context.codes.device, seed)
    moved = count > 1 and context.calibration.draw == "langevin" and posterior.likelihood is not None
    codes = posterior.best
    if count > 1:
        codes = draw_codes("langevin" if moved else "laplace", posterior, count, draws)[0]
    if posterior.widened is not None and bool(posterior.widened[0]):
        probable = proposed = _log_proposal(posterior, codes)  # the solutions are what is known
    else:
        probable = _log_probable(posterior, codes)
        proposed = _log_proposal(posterior, codes) if posterior.likelihood is not None else torch.zeros_like(probable)
    if moved:  # to where all are as likely as the density says: none counts more
        proposed = torch.where(torch.isfinite(probable), probable, 0.0)
    shares = _truncated((probable - proposed).double())
    order = probable.argsort(descending=True, stable=True)[:keep]
    weights, shares = context.weights(codes[order]), shares[order]
    if not float(shares.sum()) > 0:  # none of those kept makes a finite forecast
        shares = torch.ones_like(shares)
    return Ensemble(weights, normalised(shares), codes[order])


def _log_probable(posterior: CodePosterior, codes: Tensor) -> Tensor:
    """Tempered log-likelihood and log-prior of codes, but for a constant [member]; 0 where frames say nothing."""
    likelihood = posterior.likelihood
    if likelihood is None:
        return codes.new_zeros(len(codes))
    with torch.no_grad():
        found = torch.cat([likelihood(part[None])[0] for part in codes.split(likelihood.together)])
    found = torch.nan_to_num(found, nan=-torch.inf, neginf=-torch.inf)
    return found + log_prior(posterior, posterior.prior.whitened(codes)[None], likelihood.temper)[0]


def _log_proposal(posterior: CodePosterior, codes: Tensor) -> Tensor:
    """Log-density of the mixture that codes were drawn from, in whitened codes, but for a constant [member]."""
    return log_solutions(posterior, posterior.prior.whitened(codes)[None])[0].logsumexp(1)


def _truncated(log_weights: Tensor) -> Tensor:
    """Importance weights without the few that would outweigh all others [member]."""
    finite = torch.isfinite(log_weights)
    if not bool(finite.any()):
        return torch.ones_like(log_weights)
    weights = (log_weights - log_weights[finite].max()).exp()
    return weights.clamp(max=float(weights.mean()) * math.sqrt(len(weights)))


@dataclass(frozen=True)
class EnsembleForecast:
    """What an ensemble forecasts, in physical units.

    Attributes:
        members: [member, trajectory, step, channel, y, x].
        mean: weighted [trajectory, step, channel, y, x].
        quantiles: at :data:`LEVELS` [level, trajectory, step, channel, y, x].
    """

    members: Tensor
    mean: Tensor
    quantiles: Tensor


def disturbed(initial: Tensor, count: int, noise: float, normalisation: Normalisation, seed: int) -> Tensor:
    """What frames may have been of which noise is known: as they are for each member if there is none.

    Args:
        initial: frames [trajectory, ..., channel, y, x], physical units.
        count: members.
        noise: standard deviation, in those of the study; of a channel that has a transform, of the transformed one, so
            that nothing positive gets negative.
        normalisation: of the predictors, which says how large these are.
        seed: of the draw; a member's does not depend on ``count``.

    Returns:
        [member, trajectory, ..., channel, y, x].
    """
    if noise == 0.0:
        return initial.expand(count, *initial.shape)
    repeated = normalisation.transformed(initial).expand(count, *initial.shape)
    draws = Draws(initial.device, seed, "initial")
    drawn = torch.stack([draws.normal(*initial.shape) for _ in range(count)])
    scale = torch.tensor(normalisation.scale[: initial.shape[-3]], dtype=initial.dtype, device=initial.device)
    return normalisation.untransformed(repeated + noise * scale[:, None, None] * drawn)


def forecast_together(
    models: Sequence[PhysicalPredictor],
    initial: Tensor,
    steps: int | None = None,
    times: Sequence[float] | None = None,
    inputs: Tensor | None = None,
) -> Tensor:
    """Rollouts of models of one architecture, one after another [member, trajectory, step, channel, y, x].

    Args:
        models: in physical units.
        initial: frames of each [member, trajectory, channel, y, x], or the last ones of each: see
            :meth:`PhysicalPredictor.rollout`.
        steps: frames to forecast, or
        times: see :meth:`PhysicalPredictor.rollout`.
        inputs: likewise.
    """
    return torch.stack(
        [model.rollout(start, steps, times, inputs) for model, start in zip(models, initial, strict=True)]
    )


def error_at(model_error: Tensor, times: Sequence[float], normalisation: Normalisation) -> Tensor:
    """The model's error at times, in physical units [time, channel]; of a channel that has a transform, in those of the
    transformed one.

    Args:
        model_error: in normalised units [step, channel], from one step after the start on.
        times: since the start, in steps. Nothing is off at the start itself; between steps the error is taken to be
            linear, and after the last step that is known it stays.
        normalisation: of the predictors.
    """
    known = torch.cat([torch.zeros_like(model_error[:1]), model_error])
    at = torch.as_tensor(times, dtype=torch.float64).clamp(0, len(model_error))
    before = at.floor().long().clamp(max=len(model_error) - 1)
    share = (at - before).to(known.dtype)[:, None]
    error = torch.lerp(known[before], known[before + 1], share)
    return error.clamp(min=1e-9) * torch.tensor(normalisation.scale[: known.shape[1]], dtype=known.dtype)


def summarise(
    members: Tensor,
    probabilities: Tensor,
    noise: Tensor | None = None,
    levels: Sequence[float] = LEVELS,
    transforms: Transforms = (),
) -> tuple[Tensor, Tensor]:
    """Mean and quantiles of a mixture of forecasts; a member does not count in a frame that is not finite.

    Args:
        members: [member, trajectory, step, channel, y, x].
        probabilities: of the members [member].
        noise: standard deviation of the error around each member, above 0 [step, channel]; None for none. Of a channel
            that has a transform, of the transformed one.
        levels: of the quantiles.
        transforms: of the channels, through which the predictors see them. The mean is the members' own, without what
            an error that is skewed in the channel's units adds to it.

    Returns:
        [trajectory, step, channel, y, x] and [level, trajectory, step, channel, y, x], in the members' precision; NaN
        in frames of which no member is finite.
    """
    mean = torch.full_like(members[0], torch.nan)
    quantiles = torch.full((len(levels), *mean.shape), torch.nan, dtype=members.dtype, device=members.device)
    finite = torch.isfinite(members).flatten(3).all(3)  # [member, trajectory, step]
    for step in range(members.shape[2]):
        spread = None if noise is None else noise[step].to(members.device)[:, None, None]
        patterns, which = torch.unique(finite[:, :, step], dim=1, return_inverse=True)
        for number, pattern in enumerate(patterns.T):
            if not bool(pattern.any()) or not float(probabilities[pattern.cpu()].sum()) > 0:
                continue
            rows = (which == number).nonzero()[:, 0]
            frames = members[pattern][:, rows, step]
            shares = normalised(probabilities.to(members.device)[pattern])
            mean[rows, step] = torch.einsum("m,m...->...", shares, frames.double()).to(members.dtype)
            if spread is None:
                found = weighted_quantiles(frames, shares, levels)
            else:  # quantiles go through a monotone map as all values do
                found = weighted_quantiles(transformed(frames.double(), transforms), shares, levels, spread)
                found = untransformed(found, transforms)
            quantiles[:, rows, step] = found.to(members.dtype)
    return mean, quantiles
