"""A sparse vector field: the step of a system of ordinary differential equations with few terms, products of powers,
some of which may saturate."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightcast.core.nets.runge_kutta import plus, runge_kutta


class HillFunctions(nn.Module):
    """``1 / (1 + (x / half)^power)`` of components x of a state; of one below 0 as of 0.

    Its weights are the logarithms of the halves, where functions are one half.

    Args:
        functions: each as its component and its power.
    """

    components: Tensor

    def __init__(self, functions: Sequence[tuple[int, int]]) -> None:
        super().__init__()
        components, self.powers = zip(*functions, strict=True)
        self.log_halves = nn.Parameter(torch.zeros(len(functions)))
        self.register_buffer("components", torch.tensor(components, dtype=torch.long), False)

    def weight_nodes(self) -> dict[str, int]:
        """A half is a node of its own (see :class:`weightcast.core.graph.WeightGraph`)."""
        return {"log_halves": 0}

    def forward(self, state: Tensor) -> Tensor:
        """[batch, channel] -> [batch, function]."""
        shares = state[:, self.components].clamp(min=0.0) / self.log_halves.exp()
        raised = [share.pow(power) for share, power in zip(shares.unbind(1), self.powers, strict=True)]
        return plus(torch.stack(raised, 1), 1.0).reciprocal()


class PolynomialField(nn.Module):
    """One-step map of a state: sums of monomials as its rate of change, integrated by the classical Runge-Kutta method.

    [batch, channel, 1, 1] -> the next state, same shape, same units. Its weights are the terms' coefficients, in units
    of the state a time step between frames, and behind them those of Hill functions.

    Args:
        channels: components of the state.
        terms: each as its equation and the components that it is a product of, by position, repeated where they are
            powers; none of them for a constant.
        substeps: of the integrator, in a step.
        hill: Hill functions that terms may be multiplied with, each as its component and its power.
        saturated: of each term, which of these it is multiplied with, by position; -1: none. Empty: none are.
    """

    factors: Tensor
    equations: Tensor
    saturated: Tensor
    integrator = "rk4"

    def __init__(
        self,
        channels: int,
        terms: Sequence[tuple[int, Sequence[int]]],
        substeps: int,
        hill: Sequence[tuple[int, int]] = (),
        saturated: Sequence[int] = (),
    ) -> None:
        super().__init__()
        self.substeps = substeps
        self.coefficients = nn.Parameter(torch.zeros(len(terms)))
        degree = max((len(factors) for _, factors in terms), default=0)
        # A column of ones stands behind the state: what is left of a term with fewer factors.
        padded = [[*factors, *[channels] * (degree - len(factors))] for _, factors in terms]
        self.register_buffer("factors", torch.tensor(padded, dtype=torch.long).reshape(len(terms), degree), False)
        equations = torch.tensor([equation for equation, _ in terms], dtype=torch.long)
        self.register_buffer("equations", F.one_hot(equations, channels).float(), False)
        self.hill = HillFunctions(hill) if hill else None
        # As with factors, a one stands behind the functions.
        positions = torch.tensor([len(hill) if one < 0 else one for one in saturated], dtype=torch.long)
        self.register_buffer("saturated", positions, False)

    def weight_nodes(self) -> dict[str, int]:
        """A coefficient is a node of its own (see :class:`weightcast.core.graph.WeightGraph`)."""
        return {"coefficients": 0}

    def forward(self, frames: Tensor, length: float = 1.0) -> Tensor:
        """[batch, channel, 1, 1] -> [batch, channel, 1, 1], by a step of so many times that between frames."""
        return runge_kutta(self._rate, frames.flatten(1), length, self.substeps)[..., None, None]

    def _rate(self, state: Tensor) -> Tensor:
        """[batch, channel] -> [batch, channel]."""
        with_one = torch.cat([state, torch.ones_like(state[:, :1])], 1)
        values = self.coefficients.expand(len(state), -1)  # [batch, term]
        for position in range(self.factors.shape[1]):
            values = values * with_one[:, self.factors[:, position]]
        if self.hill is not None:
            hill = self.hill(state)
            values = values * torch.cat([hill, torch.ones_like(hill[:, :1])], 1)[:, self.saturated]
        return values @ self.equations.to(values)
