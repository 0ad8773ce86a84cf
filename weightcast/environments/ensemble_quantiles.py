"""Quantiles of weighted ensembles: of the members as they are, or of a Gaussian around each of them.

The predictive distribution of an ensemble is the mixture of its members: a point mass, or a Gaussian of the predictive
noise's standard deviation, at each member, with the member's weight. Weights are probabilities of the members, so the
quantiles are those of the mixture itself, with no correction for a small sample.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

TOLERANCE = 1e-6
"""By which a sum of weights may miss a level that it reaches: weights are of single precision, as a rule."""
BISECTIONS = 60
"""More than the bits of a double's fraction."""
_REACH = 9.0
"""Standard deviations beyond which a Gaussian in double precision has no mass."""


def weighted_quantiles(
    members: Tensor, weights: Tensor, levels: Sequence[float], noise: Tensor | float | None = None
) -> Tensor:
    """Quantiles of a mixture, point by point.

    Without noise, a quantile below the median is the least member up to which, itself included, the weights sum up to
    the level; one above is its mirror image, the greatest member from which on they sum up to one minus the level; the
    median is the mean of the least and the greatest median. So the quantiles of mirrored members are mirrored, and an
    interval holds what ``below`` and ``above`` of :func:`tails` say that it holds. With noise, they are found by
    bisection of the mixture's distribution function.

    Args:
        members: finite, [member, ...].
        weights: [member], at least 0, with a sum above 0; only their ratios count.
        levels: above 0 and below 1.
        noise: standard deviation, of any shape that broadcasts to [...], above 0; None for none.

    Returns:
        float64 [level, ...].

    Raises:
        ValueError: a level is not above 0 and below 1.
    """
    for level in levels:
        if not 0 < level < 1:
            raise ValueError(f"level of a quantile: found {level}, expected above 0 and below 1")
    members, shares = members.double(), normalised(weights)
    if noise is not None:
        return torch.stack([_bisected(members, shares, level, noise) for level in levels])
    ordered, order = members.sort(0)
    from_below = shares[order].cumsum(0)
    from_above = shares[order].flip(0).cumsum(0)
    descending = ordered.flip(0)

    def reached(values: Tensor, sums: Tensor, level: float) -> Tensor:
        """The first of the values [member, ...] at which the sums reach the level."""
        first = (sums >= level - TOLERANCE).to(torch.uint8).argmax(0, keepdim=True)
        return values.gather(0, first)[0]

    found = []
    for level in levels:
        low = reached(ordered, from_below, level) if level <= 0.5 else None
        high = reached(descending, from_above, 1 - level) if level >= 0.5 else None
        ends = [end for end in (low, high) if end is not None]
        found.append(sum(ends[1:], ends[0]) / len(ends))
    return torch.stack(found)


def tails(
    members: Tensor, weights: Tensor, values: Tensor, noise: Tensor | float | None = None
) -> tuple[Tensor, Tensor]:
    """Probability of the mixture at or below values, and at or above them.

    Args:
        members: finite, [member, ...].
        weights: as for :func:`weighted_quantiles`.
        values: [...].
        noise: as for :func:`weighted_quantiles`.

    Returns:
        [...] each, in the members' precision. A value lies within the central interval of a probability p, ends
        included, where both are at least (1 - p) / 2.
    """
    shares = normalised(weights).to(members.dtype)

    def total(parts: Tensor) -> Tensor:
        return torch.einsum("m,m...->...", shares, parts.to(members.dtype))

    if noise is None:
        return total(members <= values), total(members >= values)
    below = total(_gaussian((values - members) / torch.as_tensor(noise, dtype=members.dtype, device=members.device)))
    return below, 1 - below


def normalised(weights: Tensor) -> Tensor:
    """Weights [member] as float64 with a sum of 1."""
    shares = weights.double()
    return shares / shares.sum()


def _bisected(members: Tensor, shares: Tensor, level: float, noise: Tensor | float) -> Tensor:
    scale = torch.as_tensor(noise, dtype=members.dtype, device=members.device)
    low = members.amin(0) - _REACH * scale
    high = members.amax(0) + _REACH * scale
    for _ in range(BISECTIONS):
        middle = (low + high) / 2
        beneath = torch.einsum("m,m...->...", shares, _gaussian((middle - members) / scale)) < level
        low, high = torch.where(beneath, middle, low), torch.where(beneath, high, middle)
    return (low + high) / 2


def _gaussian(deviations: Tensor) -> Tensor:
    """Distribution function of the standard Gaussian."""
    return 0.5 * torch.erfc(-deviations / math.sqrt(2.0))
