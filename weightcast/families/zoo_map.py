"""The map of a zoo of paths: from principal components of experts' paths, and a time, to all weights of a density."""

from __future__ import annotations

from typing import Any, Literal

import torch
from torch import Tensor, nn

from weightcast.core.errors import InputError


class ZooMap(nn.Module):
    """Weights w(t, z) = m(t) + sum_k z_k u_k(t), linear between evenly spaced knots in time.

    m is the mean of experts' paths, u_k what their k-th principal component adds, for a code of standard deviation 1.

    Args:
        weights: of a density.
        condition: numbers of a code.
        kind: ``zoo``.
        rank: paths beside the mean, as many as a code has numbers.
        knots: times, from the first to the last that was learned.
    """

    mean: Tensor
    components: Tensor

    def __init__(self, weights: int, condition: int, kind: Literal["zoo"], rank: int, knots: int) -> None:
        super().__init__()
        if kind != "zoo" or rank != condition:
            raise InputError(
                f"map: found kind {kind} and rank {rank}, expected a zoo of rank {condition}, as codes have"
            )
        self.condition, self.kind, self.rank, self.knots = condition, kind, rank, knots
        self.register_buffer("mean", torch.zeros(knots, weights))
        self.register_buffer("components", torch.zeros(rank, knots, weights))

    def forward(self, times: Tensor, codes: Tensor) -> Tensor:
        """Times [member], scaled to -1 to 1, and codes [member, number] -> weights [member, weight]."""
        share = knot_shares(times, self.knots)  # [member, knot]
        shares = (codes[:, :, None] * share[:, None]).flatten(1)
        return share @ self.mean + shares @ self.components.flatten(0, 1)

    def describe(self) -> dict[str, Any]:
        """JSON values to build it again from."""
        return {
            "weights": self.mean.shape[1],
            "condition": self.condition,
            "kind": self.kind,
            "rank": self.rank,
            "knots": self.knots,
        }


def knot_times(knots: int) -> Tensor:
    """Scaled times of the knots, evenly from -1 to 1 [knot]."""
    return torch.linspace(-1, 1, knots)


def knot_shares(times: Tensor, knots: int) -> Tensor:
    """What part each knot has in linear interpolation at scaled times [...]: [..., knot], with a sum of 1; beyond the
    ends that of the end."""
    at = knot_times(knots).to(times)
    return (1 - (times.clamp(-1, 1)[..., None] - at).abs() * (knots - 1) / 2).clamp(min=0)
