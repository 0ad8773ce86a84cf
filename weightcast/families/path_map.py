"""The map from an environment's code and a time to all weights of a density: a path of weights for every code."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from weightcast.families.config.paths import MapKind


class PathMap(nn.Module):
    """Weights w(t, z) = w0 + c(t, z) B, a complete density for each time and code.

    The rows of B are directions in the space of weights. The coefficients c are, of the kind ``low-rank``, linear in
    the code, c(t, z) = a(t) + A(t) z, with a and A from a network of time; of the kind ``deep`` they are a network of
    time and code together.

    Args:
        weights: of a density.
        condition: numbers of a code; 0 for one path that is everybody's.
        kind: ``low-rank`` or ``deep``.
        rank: directions.
        width: of the network's two hidden layers.
    """

    def __init__(self, weights: int, condition: int, kind: MapKind, rank: int, width: int) -> None:
        super().__init__()
        self.condition, self.kind, self.rank, self.width = condition, kind, rank, width
        seen = 1 + (condition if kind == "deep" else 0)
        given = rank * (1 + (condition if kind == "low-rank" else 0))
        self.coefficients = nn.Sequential(
            *(nn.Linear(seen, width), nn.SiLU()),
            *(nn.Linear(width, width), nn.SiLU()),
            nn.Linear(width, given),
        )
        self.origin = nn.Parameter(torch.zeros(weights))
        self.directions = nn.Parameter(torch.zeros(rank, weights))

    @torch.no_grad()
    def begin(self, origin: Tensor, scale: float) -> None:
        """Start at the weights of a density, with directions at random from torch's generator.

        Args:
            origin: [weight].
            scale: of a step along all directions together, for each weight.
        """
        self.origin.copy_(origin)
        self.directions.copy_(torch.randn(self.directions.shape) * scale / math.sqrt(self.rank))

    def forward(self, times: Tensor, codes: Tensor) -> Tensor:
        """Times [member], scaled to -1 to 1, and codes [member, number] -> weights [member, weight]."""
        if self.kind == "deep":
            steps = self.coefficients(torch.cat([times[:, None], codes], dim=1))
        else:
            linear = self.coefficients(times[:, None]).unflatten(-1, (self.rank, 1 + self.condition))
            steps = linear[..., 0] + (linear[..., 1:] @ codes[..., None])[..., 0]
        return self.origin + steps @ self.directions

    def describe(self) -> dict[str, Any]:
        """JSON values to build it again from."""
        return {
            "weights": len(self.origin),
            "condition": self.condition,
            "kind": self.kind,
            "rank": self.rank,
            "width": self.width,
        }
