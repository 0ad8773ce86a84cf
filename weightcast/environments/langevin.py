"""Langevin steps: samples of a distribution of which the density is known but for a constant.

Each chain proposes a step along the gradient of the log-density plus noise, both in the units of its own factor, and
keeps it by the rule of Metropolis and Hastings, so that the distribution stays the one asked for whatever the step
(MALA; Roberts and Tweedie, Bernoulli 2, 1996). Long and short steps take turns, for densities narrower than thought.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from weightcast.core.draws import Draws

LONGEST = 10.0
"""Of a slope, in standard deviations."""
SIZES = (1.0, 0.3)
"""Of steps, in standard deviations, in turn."""


def langevin(
    log_density: Callable[[Tensor], Tensor], start: Tensor, factor: Tensor, steps: int, draws: Draws
) -> tuple[Tensor, Tensor]:
    """Move chains.

    Args:
        log_density: points [chain, dimension] -> log-density but for a constant [chain]; differentiable, each chain's
            of its own point alone. What is not finite is never gone to.
        start: [chain, dimension].
        factor: whose product with its transpose is about the covariance around the start [chain, dimension, dimension].
        steps: of every chain.
        draws: source of proposals.

    Returns:
        Points [chain, dimension], and the share of proposals that each chain kept [chain].
    """
    points = start
    density, slope = _with_slope(log_density, points, factor)
    kept = torch.zeros_like(density)
    for step in range(steps):
        size = SIZES[step % len(SIZES)]
        noise, chance = draws.normal(*points.shape, dtype=points.dtype), draws.uniform(len(points), dtype=points.dtype)
        forth = 0.5 * size**2 * slope + size * noise
        proposed = points + (factor @ forth[..., None])[..., 0]
        proposed_density, proposed_slope = _with_slope(log_density, proposed, factor)
        back = forth + 0.5 * size**2 * proposed_slope  # what the noise would have to be to return, times the size
        ratio = proposed_density - density - 0.5 * (back.square().sum(1) / size**2 - noise.square().sum(1))
        taken = torch.isfinite(proposed_density) & (chance.log() < torch.nan_to_num(ratio, nan=-torch.inf))
        points = torch.where(taken[:, None], proposed, points)
        slope = torch.where(taken[:, None], proposed_slope, slope)
        density = torch.where(taken, proposed_density, density)
        kept = kept + taken.to(kept.dtype)
    return points, kept / max(1, steps)


def _with_slope(log_density: Callable[[Tensor], Tensor], points: Tensor, factor: Tensor) -> tuple[Tensor, Tensor]:
    """Log-density [chain] and its gradient in units of the factor [chain, dimension]."""
    with torch.enable_grad():
        leaf = points.detach().requires_grad_()
        density = log_density(leaf)
        (gradient,) = torch.autograd.grad(density.sum(), leaf)
    gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
    slope = (factor.mT @ gradient[..., None])[..., 0]
    # A step of the drift is no longer than a few standard deviations, from however steep a place (truncated MALA).
    slope = slope * (LONGEST / slope.norm(dim=1, keepdim=True).clamp(min=LONGEST))
    return torch.nan_to_num(density.detach(), nan=-torch.inf, posinf=-torch.inf), slope
