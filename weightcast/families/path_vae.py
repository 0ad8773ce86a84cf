"""A variational autoencoder over paths of weights: an expert's weights at all knots <-> one code.

The coder of weights of the other half (weightcast.environments.vae) for whole paths. Each layer of the weight graph has
a map of its own to a common width; attention over the nodes reads the weights at one knot, which a time embedding tells
from the others; what it says is pooled over nodes and knots, so that a path has one code of a few numbers and not one a
node: what is searched by the likelihood of samples must be few. The decoder is asked for the weights at one time. Code
and time modulate its nodes (adaptive layer norm, as in the diffusion transformer of Peebles and Xie, ICCV 2023).
"""

from __future__ import annotations

import math
from typing import Any, Literal

import torch
from torch import Tensor, nn

from weightcast.core.errors import InputError
from weightcast.core.graph import WeightGraph
from weightcast.core.nets.transformer import Block, ConditionedBlock
from weightcast.environments.weight_statistics import WeightStatistics, by_layer_of
from weightcast.families.zoo_map import knot_shares, knot_times

OCTAVES = 3
"""Of the sines and cosines that a time is embedded as; the slowest has a period of twice all that was learned."""
FIRST_MODULATION = 0.05
"""Standard deviation of the first weights that modulate what is decoded."""


class PathVAE(nn.Module):
    """Weights w(t, z) = m(t) + s d(t, z): the experts' mean path, and what the decoder says in a layer's spread.

    As a map from code and time to weights it takes the place of :class:`weightcast.families.zoo_map.ZooMap`.

    Args:
        graph: of a density's weights.
        weights: of a density, as many as the graph has.
        condition: numbers of a code.
        kind: ``vae``.
        rank: as many.
        knots: times, from the first to the last that was learned.
        width: of a node.
        heads: of attention.
        layers: blocks of the encoder, and of the decoder.

    Raises:
        InputError: the numbers do not fit together.
    """

    mean: Tensor
    spread: Tensor

    def __init__(
        self,
        graph: WeightGraph,
        weights: int,
        condition: int,
        kind: Literal["vae"],
        rank: int,
        knots: int,
        width: int,
        heads: int,
        layers: int,
    ) -> None:
        super().__init__()
        if kind != "vae" or rank != condition:
            raise InputError(f"map: found kind {kind} and rank {rank}, expected a vae of rank {condition}")
        if weights != graph.num_parameters:
            raise InputError(f"map.weights: found {weights}, expected {graph.num_parameters} as of the density")
        if width % heads:
            raise InputError(f"map.width: found {width}, expected a multiple of {heads} heads")
        self.graph = graph
        self.condition, self.kind, self.rank, self.knots = condition, kind, rank, knots
        self.width, self.heads, self.layers = width, heads, layers
        times = 1 + 2 * OCTAVES
        self.embed = nn.ModuleList(nn.Linear(layer.width, width) for layer in graph.layers)
        self.encoder_nodes = nn.Parameter(torch.randn(graph.num_nodes, width))
        self.encoder_times = nn.Linear(times, width)
        self.encoder = nn.Sequential(*(Block(width, heads) for _ in range(layers)))
        self.to_code = nn.Linear(width, 2 * condition)
        self.decoder_nodes = nn.Parameter(torch.randn(graph.num_nodes, width))
        self.told = nn.Sequential(nn.Linear(condition + times, width), nn.SiLU(), nn.Linear(width, width))
        self.decoder = nn.ModuleList(ConditionedBlock(width, heads) for _ in range(layers))
        self.norm = nn.LayerNorm(width, elementwise_affine=False)
        self.modulation = nn.Linear(width, 2 * width)
        self.unembed = nn.ModuleList(nn.Linear(width, layer.width) for layer in graph.layers)
        nn.init.normal_(self.modulation.weight, std=FIRST_MODULATION)
        nn.init.zeros_(self.modulation.bias)
        # Statistics of the experts; set once, saved with the weights.
        self.register_buffer("mean", torch.zeros(knots, weights))
        self.register_buffer("spread", torch.ones(weights))

    @torch.no_grad()
    def fit_statistics(self, paths: Tensor) -> None:
        """Take the mean path and the spread of each layer around it from experts [environment, knot, weight]."""
        self.mean.copy_(paths.mean(0))
        found = WeightStatistics.of([(paths - self.mean).flatten(0, 1)], by_layer_of(self.graph))
        spread = found.square.sqrt().clamp(min=1e-8)
        layers = zip(spread, self.graph.layers, strict=True)
        self.spread.copy_(self.graph.flat([one.expand(layer.nodes, layer.width) for one, layer in layers]))

    @property
    def coding_numbers(self) -> int:
        """Numbers that decoding one density takes, inside a block of attention: tokens, and four times their width."""
        return self.graph.num_nodes * 10 * self.width

    def standardise(self, weights: Tensor) -> list[Tensor]:
        """Weights in units of their layer's spread, as tokens: [..., weight] -> of each layer [..., node, width]."""
        return self.graph.tokens(weights / self.spread)

    def posterior(self, paths: Tensor) -> tuple[Tensor, Tensor]:
        """Weights at all knots [path, knot, weight] -> mean and log-variance of the code, each [path, number]."""
        tokens = self.standardise((paths - self.mean).flatten(0, 1))  # of each layer [path and knot, node, width]
        embedded = torch.cat([embed(layer) for embed, layer in zip(self.embed, tokens, strict=True)], dim=1)
        at = self.encoder_times(_time_features(knot_times(self.knots).to(paths))).repeat(len(paths), 1)
        read = self.encoder(embedded + self.encoder_nodes + at[:, None])  # [path and knot, node, width]
        pooled = read.unflatten(0, (len(paths), self.knots)).mean((1, 2))
        mean, log_variance = self.to_code(pooled).chunk(2, dim=-1)
        return mean, log_variance.clamp(-12.0, 4.0)

    def encode(self, paths: Tensor) -> Tensor:
        """Weights at all knots [path, knot, weight] -> mean codes [path, number]."""
        return self.posterior(paths)[0]

    def forward(self, times: Tensor, codes: Tensor) -> Tensor:
        """Times [member], scaled to -1 to 1, and codes [member, number] -> weights [member, weight]."""
        told = self.told(torch.cat([codes, _time_features(times)], dim=1))  # [member, width]
        nodes = self.decoder_nodes.expand(len(codes), -1, -1)
        for block in self.decoder:
            nodes = block(nodes, told)
        shift, scale = self.modulation(nn.functional.silu(told))[:, None].chunk(2, dim=-1)
        nodes = self.norm(nodes) * (1.0 + scale) + shift  # [member, node, width]
        layers = nodes.split([layer.nodes for layer in self.graph.layers], dim=1)
        tokens = [unembed(layer) for unembed, layer in zip(self.unembed, layers, strict=True)]
        return knot_shares(times, self.knots) @ self.mean + self.spread * self.graph.flat(tokens)

    def describe(self) -> dict[str, Any]:
        """JSON values to build it again from, for the graph of the same density."""
        return {
            "weights": len(self.spread),
            "condition": self.condition,
            "kind": self.kind,
            "rank": self.rank,
            "knots": self.knots,
            "width": self.width,
            "heads": self.heads,
            "layers": self.layers,
        }


def _time_features(times: Tensor) -> Tensor:
    """Scaled times [...] -> themselves, sines and cosines of them [..., feature]; beyond the ends those of the end."""
    held = times.clamp(-1, 1)[..., None]
    angles = [0.5 * math.pi * 2**octave * held for octave in range(OCTAVES)]
    return torch.cat([held, *(wave(angle) for angle in angles for wave in (torch.sin, torch.cos))], dim=-1)
