"""A network that carries what it was shown of an environment: a one-step map of frames like any other."""

from __future__ import annotations

import torch
from torch import Tensor, nn


class InContext(nn.Module):
    """A network that sees fields of an environment beside the frame, and these fields.

    [batch, channel, y, x], inputs if any behind the state -> the next state, same units. The fields are the same in
    every step. They are held as weights are, so that what is known of an environment travels with the network.

    Args:
        network: of frames with constant fields behind their channels and inputs.
        constants: how many of these.
        grid: their points along (y, x).
    """

    def __init__(self, network: nn.Module, constants: int, grid: tuple[int, int]) -> None:
        super().__init__()
        self.network = network
        self.channels = network.channels
        self.fields = nn.Parameter(torch.zeros(constants, *grid))

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, channel, y, x] -> [batch, channel, y, x]."""
        shown = torch.cat([frames, self.fields.expand(len(frames), -1, -1, -1)], 1)
        following: Tensor = self.network(shown)
        return following
