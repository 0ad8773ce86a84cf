"""A U-shaped neural operator: Fourier layers that contract the grid and expand it again.

After Rahman, Ross and Azizzadenesheli, "U-NO: U-shaped Neural Operators" (TMLR 2023): lifting, Fourier layers that
halve the grid and double the channels, Fourier layers that undo it, each reading what the layer before and the
contracting layer of its grid made, and a two-layer projection that reads the lifted input as well. The way through the
coarse grids is deep at little cost, and each level keeps a number of Fourier modes of its own.

A layer changes the grid by evaluating its truncated inverse transform on the other one; its skip is interpolated by
trigonometric polynomials (the paper: by linear ones), so both paths are exact for what the coarser grid can hold.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightcast.core.nets.fno import FourierLayer, map_channels, positions
from weightcast.core.nets.grids import level_grids


class UNO(nn.Module):
    """One-step map of a two-dimensional field: [batch, channel, y, x] -> the next frame, same shape, same units.

    Args:
        channels: number of physical channels.
        width: channels inside the network on the finest grid; they double with every level.
        modes: of each level, from fine to coarse: Fourier modes (y, x) of the layer that halves the grid there and of
            the one that doubles it again; at most half of the coarser one of the two grids.
        projection: width of the hidden layer of the projection.
        positional: append the grid's coordinates as two input channels; see :class:`weightcast.core.nets.fno.FNO`.
        residual: predict the increment of the frame rather than the frame itself.
        constants: constant fields that it is shown beside the frame; see :class:`weightcast.core.nets.fno.FNO`.

    ``layers`` are the contracting layers from fine to coarse, then the expanding ones from coarse to fine.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        modes: Sequence[tuple[int, int]],
        projection: int,
        positional: bool = True,
        residual: bool = True,
        constants: int = 0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.positional = positional
        self.residual = residual
        self.levels = len(modes)
        widths = [width * 2**level for level in range(self.levels + 1)]
        self.lifting = nn.Linear(channels + constants + 2 * positional, width)
        contracting = [FourierLayer(widths[level], widths[level + 1], modes[level]) for level in range(self.levels)]
        expanding = [
            # All but the coarsest read the contracting layer of their grid beside the layer before.
            FourierLayer(widths[level + 1] * (1 if level == self.levels - 1 else 2), widths[level], modes[level])
            for level in reversed(range(self.levels))
        ]
        self.layers = nn.ModuleList([*contracting, *expanding])
        self.hidden = nn.Linear(2 * width, projection)
        self.output = nn.Linear(projection, channels, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, channel, y, x] -> [batch, channel, y, x]."""
        fields = frames.transpose(0, 1)  # [channel, batch, y, x]
        if self.positional:
            fields = torch.cat([fields, positions(fields)])
        fields = map_channels(self.lifting, fields)  # [width, batch, y, x]
        grids = level_grids((fields.shape[-2], fields.shape[-1]), self.levels)
        contracted = []
        for layer, grid in zip(self.layers[: self.levels], grids[1:], strict=True):
            contracted.append(fields)
            fields = F.gelu(layer(fields, grid))
        for layer, grid in zip(self.layers[self.levels :], grids[-2::-1], strict=True):
            fields = torch.cat([F.gelu(layer(fields, grid)), contracted.pop()])
        fields = F.gelu(map_channels(self.hidden, fields))
        step = map_channels(self.output, fields).transpose(0, 1)  # [batch, channel, y, x]
        return frames[:, : self.channels] + step if self.residual else step
