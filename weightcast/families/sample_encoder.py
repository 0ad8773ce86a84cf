"""A network that reads the samples of a few snapshots, in any order, and says the environment's code.

What EnvAd-Diff (arXiv 2505.13919) calls a prompter, for samples in the place of frames. Samples are pooled within their
snapshot and snapshots within their environment (deep sets: Zaheer and others, NeurIPS 2017), so that neither order nor
number of either matters to what can be read. It says a normal distribution of codes, under every map of the family:
the search for a code (weightcast.families.inference) in one step, once it is trained.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

LEAST_VARIANCE = 1e-2
"""Added to a snapshot's variance, in that of the data, before its logarithm is taken: a single sample has none."""
NO_WEIGHT = -1e9
"""Score of a snapshot that is not there: finite, so that an environment of which nothing is shown has a gradient."""
NARROWEST, WIDEST_LOG = -4.0, 1.0
"""Ends of the logarithm of the standard deviation that is said, in standard deviations of the visible codes."""


class SampleEncoder(nn.Module):
    """The network from samples and times to codes, whitened by the visible codes.

    Args:
        dimensions: of the state.
        maps: of the family, each with codes of its own.
        code: numbers of a code.
        width: of the hidden layers.
    """

    centre: Tensor
    scale: Tensor

    def __init__(self, dimensions: int, maps: int, code: int, width: int) -> None:
        super().__init__()
        self.dimensions, self.maps, self.code, self.width = dimensions, maps, code, width
        # Norms, since each network alone hands on little of how its inputs differ before it is trained.
        self.of_sample = nn.Sequential(*_network(dimensions + 1, width, width), nn.LayerNorm(width))
        self.of_snapshot = nn.Sequential(*_network(width + 2 * dimensions + 2, width, width), nn.LayerNorm(width))
        self.attention = nn.Linear(width, 1)
        self.head = _network(width + 2, width, 2 * maps * code)
        self.register_buffer("centre", torch.zeros(dimensions, dtype=torch.double))
        self.register_buffer("scale", torch.ones(dimensions, dtype=torch.double))

    @torch.no_grad()
    def standardise(self, values: Tensor) -> None:
        """Take samples [sample, dimension], in the data's units, for what is usual."""
        self.centre.copy_(values.mean(0))
        self.scale.copy_(values.std(0, correction=0).clamp(min=1e-9))

    def forward(self, times: Tensor, values: Tensor, there: Tensor) -> tuple[Tensor, Tensor]:
        """Samples -> the mean and the standard deviation of each number of the code [map, environment, number].

        Args:
            times: scaled to -1 to 1 [environment, snapshot].
            values: in the data's units [environment, snapshot, sample, dimension].
            there: what is no padding [environment, snapshot, sample] bool.
        """
        x = ((values - self.centre) / self.scale).float()
        count = there.sum(-1)  # [environment, snapshot]
        share = (there / count.clamp(min=1)[..., None]).float()
        time = times.float()[..., None]  # [environment, snapshot, 1]
        read = self.of_sample(torch.cat([x, time[:, :, None].expand(*x.shape[:-1], 1)], dim=-1))
        pooled = torch.einsum("esn,esnw->esw", share, read)
        mean = torch.einsum("esn,esnd->esd", share, x)
        variance = torch.einsum("esn,esnd->esd", share, (x - mean[:, :, None]).square())
        spread = 0.5 * (variance + LEAST_VARIANCE).log()
        size = count.clamp(min=1).float().log()[..., None]
        snapshot = self.of_snapshot(torch.cat([pooled, mean, spread, time, size], dim=-1))
        empty = (count == 0)[..., None]
        weight = self.attention(snapshot).masked_fill(empty, NO_WEIGHT).softmax(1)
        total = (weight * snapshot).sum(1)  # [environment, width]
        numbers = torch.stack([(count > 0).sum(1), count.sum(1)], dim=1).clamp(min=1).float().log()
        said = self.head(torch.cat([total, numbers], dim=-1)).unflatten(-1, (2, self.maps, self.code))
        mean_of_code, log_deviation = said.permute(1, 2, 0, 3)
        return mean_of_code, log_deviation.clamp(NARROWEST, WIDEST_LOG).exp()

    def describe(self) -> dict[str, Any]:
        """JSON values to build it again from."""
        return {"dimensions": self.dimensions, "maps": self.maps, "code": self.code, "width": self.width}


def _network(seen: int, width: int, given: int) -> nn.Sequential:
    """One hidden layer."""
    return nn.Sequential(nn.Linear(seen, width), nn.SiLU(), nn.Linear(width, given))
