"""A sparse polynomial vector field: the step of a system of ordinary differential equations with few terms."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class PolynomialField(nn.Module):
    """One-step map of a state: sums of monomials as its rate of change, integrated by the classical Runge-Kutta method.

    [batch, channel, 1, 1] -> the next state, same shape, same units. Its weights are the terms' coefficients, in units
    of the state a time step between frames.

    Args:
        channels: components of the state.
        terms: each as its equation and the components that it is a product of, by position, repeated where they are
            powers; none of them for a constant.
        substeps: of the integrator, in a step.
    """

    factors: Tensor
    equations: Tensor
    integrator = "rk4"

    def __init__(self, channels: int, terms: Sequence[tuple[int, Sequence[int]]], substeps: int) -> None:
        super().__init__()
        self.substeps = substeps
        self.coefficients = nn.Parameter(torch.zeros(len(terms)))
        degree = max((len(factors) for _, factors in terms), default=0)
        # A column of ones stands behind the state: what is left of a term with fewer factors.
        padded = [[*factors, *[channels] * (degree - len(factors))] for _, factors in terms]
        self.register_buffer("factors", torch.tensor(padded, dtype=torch.long).reshape(len(terms), degree), False)
        equations = torch.tensor([equation for equation, _ in terms], dtype=torch.long)
        self.register_buffer("equations", F.one_hot(equations, channels).float(), False)

    def weight_nodes(self) -> dict[str, int]:
        """A coefficient is a node of its own (see :class:`weightcast.core.graph.WeightGraph`)."""
        return {"coefficients": 0}

    def forward(self, frames: Tensor, length: float = 1.0) -> Tensor:
        """[batch, channel, 1, 1] -> [batch, channel, 1, 1], by a step of so many times that between frames."""
        state, step = frames.flatten(1), length / self.substeps
        for _ in range(self.substeps):
            first = self._rate(state)
            second = self._rate(state + 0.5 * step * first)
            third = self._rate(state + 0.5 * step * second)
            fourth = self._rate(state + step * third)
            state = state + step / 6.0 * (first + 2.0 * second + 2.0 * third + fourth)
        return state[..., None, None]

    def _rate(self, state: Tensor) -> Tensor:
        """[batch, channel] -> [batch, channel]."""
        with_one = torch.cat([state, torch.ones_like(state[:, :1])], 1)
        values = self.coefficients.expand(len(state), -1)  # [batch, term]
        for position in range(self.factors.shape[1]):
            values = values * with_one[:, self.factors[:, position]]
        return values @ self.equations.to(values)
