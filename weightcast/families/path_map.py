"""The map from an environment's code and a time to all weights of a density: a path of weights for every code."""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn

from weightcast.core.nets.runge_kutta import runge_kutta
from weightcast.families.config.paths import MapKind

STEPS = 8
"""From the first time to any other, of the equation that a flow solves."""


class PathMap(nn.Module):
    """Weights w(t, z) = w0 + c(t, z) B, a complete density for each time and code.

    The rows of B are directions in the space of weights. The coefficients c are, of the kind ``low-rank``, linear in
    the code, c(t, z) = a(t) + A(t) z, with a and A from a network of time; of the kind ``deep`` they are a network of
    time and code together; of the kind ``flow`` they follow a neural differential equation, dc/dt = f(c, t, z), from a
    start that is a network of the code, solved by the classical Runge-Kutta method in ``STEPS`` steps.

    Args:
        weights: of a density.
        condition: numbers of a code; 0 for one path that is everybody's.
        kind: ``low-rank``, ``deep`` or ``flow``.
        rank: directions.
        width: of the network's two hidden layers.
    """

    def __init__(self, weights: int, condition: int, kind: MapKind, rank: int, width: int) -> None:
        super().__init__()
        self.condition, self.kind, self.rank, self.width = condition, kind, rank, width
        seen = 1 + {"low-rank": 0, "deep": condition, "flow": condition + rank}[kind]
        given = rank * (1 + (condition if kind == "low-rank" else 0))
        self.coefficients = _network(seen, width, given)
        if kind == "flow":
            self.start = _network(1 + condition, width, rank)
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
        elif self.kind == "flow":
            steps = self._carried(times[:, None], codes)
        else:
            linear = self.coefficients(times[:, None]).unflatten(-1, (self.rank, 1 + self.condition))
            steps = linear[..., 0] + (linear[..., 1:] @ codes[..., None])[..., 0]
        return self.origin + steps @ self.directions

    def _carried(self, times: Tensor, codes: Tensor) -> Tensor:
        """Coefficients [member, direction] of the flow, each carried from the first time to its own [member, 1]."""
        first = torch.full_like(times, -1.0)
        span = times - first

        def rate(state: Tensor) -> Tensor:
            return torch.cat([self.coefficients(torch.cat([state, codes], dim=1)), torch.ones_like(span)], dim=1) * span

        begin = self.start(torch.cat([first, codes], dim=1))
        return runge_kutta(rate, torch.cat([begin, first], dim=1), 1.0, STEPS)[:, :-1]

    def describe(self) -> dict[str, Any]:
        """JSON values to build it again from."""
        return {
            "weights": len(self.origin),
            "condition": self.condition,
            "kind": self.kind,
            "rank": self.rank,
            "width": self.width,
        }


def _network(seen: int, width: int, given: int) -> nn.Sequential:
    """Two hidden layers."""
    return nn.Sequential(
        *(nn.Linear(seen, width), nn.SiLU()),
        *(nn.Linear(width, width), nn.SiLU()),
        nn.Linear(width, given),
    )
