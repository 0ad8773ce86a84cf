"""The flow: a graph neural differential equation that evolves the weights of a density.

WeightFlow (arXiv 2508.00451), section 3: dw/dt = g(w, t), or dw/dt = g(w, t) dZ/dt along a control path Z. g looks at
the weights as a graph: a node for every unit of the density's network, its own linear map for every layer, attention
over all nodes.

Where the reference integrates every stretch of training from time 0, here each runs from its own start time, many
stretches side by side: local time runs from 0 to 1 between two points, and is mapped to each stretch's own time.
"""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import torch
from torch import Tensor, nn
from torchdiffeq import odeint, odeint_adjoint

from weightcast.core.graph import WeightGraph
from weightcast.core.nets.transformer import Block, sinusoidal_features
from weightcast.evolution.config.flow import FlowSettings, SolverSettings
from weightcast.evolution.control_path import ControlPath

TIME_SCALE = 20.0
"""Angle of the fastest sine of time that the field sees, where scaled time is 1: its wavelength is a third of the path.
Faster ones would pass unseen between two steps of the solver, and weights between two anchors would jitter."""


class WeightField(nn.Module):
    """g: standardised weights and time -> their velocity, or, for a controlled equation, a matrix for dZ/dt."""

    def __init__(self, graph: WeightGraph, settings: FlowSettings, channels: int, at_rest: bool) -> None:
        super().__init__()
        self.graph = graph
        self.channels = channels
        width = settings.width
        self.width = width
        self.embed = nn.ModuleList(nn.Linear(layer.width, width) for layer in graph.layers)
        self.nodes = nn.Parameter(0.02 * torch.randn(graph.num_nodes, width))
        self.time = nn.Sequential(nn.Linear(width, width), nn.SiLU(), nn.Linear(width, width))
        self.blocks = nn.Sequential(*(Block(width, settings.heads) for _ in range(settings.layers)))
        self.norm = nn.LayerNorm(width)
        self.unembed = nn.ModuleList(nn.Linear(width, channels * layer.width) for layer in graph.layers)
        if at_rest:
            for layer in self.unembed:
                nn.init.zeros_(layer.get_parameter("weight"))
                nn.init.zeros_(layer.get_parameter("bias"))

    def forward(self, times: Tensor, weights: Tensor) -> Tensor:
        """Scaled times [batch], weights [batch, parameter] -> [batch, channel, parameter]."""
        tokens = self.graph.tokens(weights)
        embedded = torch.cat([embed(layer) for embed, layer in zip(self.embed, tokens, strict=True)], dim=1)
        clock = self.time(sinusoidal_features(TIME_SCALE * times, self.width // 2 * 2, longest=TIME_SCALE))
        hidden = self.norm(self.blocks(embedded + self.nodes + clock[:, None]))  # [batch, node, width]
        layers = hidden.split([layer.nodes for layer in self.graph.layers], dim=1)
        moved = [
            unembed(layer).unflatten(-1, (self.channels, -1)).transpose(1, 2)  # [batch, channel, nodes, layer width]
            for unembed, layer in zip(self.unembed, layers, strict=True)
        ]
        return self.graph.flat(moved)


class WeightFlow(nn.Module):
    """Weights at any time, from the weights at the first anchor on.

    Args:
        anchors: [anchor, parameter], weights that set the start, the scale and, if ``from_anchors``, the velocity that
            the field is added to: that of the natural cubic spline through them. Untrained, such a flow is the spline;
            what is learned is where the weights should move otherwise.
        grid: scaled times of the anchors [anchor], 0 to 1.
        graph: of the weights.
        settings: of the field, solver.
        control: the control path, or None for an ordinary equation.
        from_anchors: see ``anchors``; otherwise the field is the whole velocity.
    """

    mean: Tensor
    spread: Tensor
    start: Tensor
    grid: Tensor

    def __init__(
        self,
        anchors: Tensor,
        grid: Tensor,
        graph: WeightGraph,
        settings: FlowSettings,
        control: ControlPath | None,
        from_anchors: bool,
    ) -> None:
        super().__init__()
        self.graph = graph
        self.control = control
        self.solver = settings.solver
        self.field = WeightField(graph, settings, 1 if control is None else control.dimensions, from_anchors)
        mean = anchors.mean(0)
        spread = [
            tokens.square().mean().sqrt().clamp(min=1e-6).expand(tokens.shape[1:])
            for tokens in graph.tokens(anchors - mean)
        ]
        self.register_buffer("mean", mean)
        self.register_buffer("spread", graph.flat(spread))
        self.register_buffer("start", anchors[0].clone())
        self.register_buffer("grid", grid.clone())
        self.spline = ControlPath(grid, self.standardise(anchors)) if from_anchors else None

    def standardise(self, weights: Tensor) -> Tensor:
        return (weights - self.mean) / self.spread

    def restore(self, standardised: Tensor) -> Tensor:
        return self.mean + self.spread * standardised

    def velocity(self, times: Tensor, standardised: Tensor) -> Tensor:
        """d(standardised weights)/ds at scaled times [batch]: [batch, parameter] -> the same shape."""
        moved = self.field(times, standardised)
        if self.control is None:
            velocity = moved[:, 0]
        else:
            velocity = torch.einsum("bc,bcp->bp", self.control.velocity(times), moved)
        return velocity if self.spline is None else velocity + self.spline.velocity(times)

    def integrate(self, standardised: Tensor, times: Tensor, solver: SolverSettings | None = None) -> Tensor:
        """Solve the equation for many stretches side by side.

        Args:
            standardised: weights at the start of each [batch, parameter].
            times: scaled times of each [batch, point], from its start on.
            solver: another than the flow's own.

        Returns:
            [point, batch, parameter]: standardised weights at the times, the start first.
        """
        solver = solver or self.solver
        solve = odeint_adjoint if solver.adjoint else odeint
        ends = torch.tensor([0.0, 1.0], dtype=standardised.dtype, device=standardised.device)
        options: dict[str, Any] = {"adjoint_params": tuple(self.parameters())} if solver.adjoint else {}
        if solver.method == "dopri5":  # no step beyond the end of a piece, where the splines may have a kink
            options |= {"rtol": solver.tolerance, "atol": solver.tolerance, "options": {"step_t": ends}}
        else:
            options |= {"options": {"step_size": 1.0 / solver.steps}}
        # Piece by piece, since local time runs at another speed in each where points are not evenly spaced.
        reached = [standardised]
        for first, last in pairwise(times.unbind(1)):
            motion = _Piece(self, first, last)
            reached.append(solve(motion, reached[-1], ends, method=solver.method, **options)[-1])
        return torch.stack(reached)

    @torch.no_grad()
    def path(self, times: Tensor) -> Tensor:
        """Weights at any scaled times.

        The equation is solved once from the start over all anchors' times, and from each of those on to the times
        wanted. What is found for a time so does not depend on which other times are wanted. Before 0 the weights of
        the start are given; after 1 the equation is solved on (extrapolation).

        Args:
            times: [time].

        Returns:
            [time, parameter].
        """
        beyond = times.max() - 1.0
        grid = self.grid
        if beyond > 0:  # in steps as long as the last one between anchors
            step = float(grid[-1] - grid[-2])
            grid = torch.cat([grid, 1.0 + step * torch.arange(1, int(beyond / step) + 2, device=grid.device)])
        nodes = self.integrate(self.standardise(self.start)[None], grid[None])[:, 0]  # [grid, parameter]
        before = (torch.searchsorted(grid, times, right=True) - 1).clamp(0, len(grid) - 1)
        stretches = torch.stack([grid[before], torch.maximum(times, grid[0])], dim=1)
        return self.restore(self.integrate(nodes[before], stretches)[-1])


class _Piece(nn.Module):
    """The flow's velocity in local time, in which every stretch runs from its point at 0 to its next one at 1."""

    def __init__(self, flow: WeightFlow, first: Tensor, last: Tensor) -> None:
        super().__init__()
        self.flow = flow
        self.first = first  # [batch]
        self.length = last - first

    def forward(self, local: Tensor, standardised: Tensor) -> Tensor:
        return self.flow.velocity(self.first + local * self.length, standardised) * self.length[:, None]
