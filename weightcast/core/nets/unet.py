"""A convolutional U-Net.

After Ronneberger, Fischer and Brox, "U-Net: Convolutional Networks for Biomedical Image Segmentation" (MICCAI 2015), as
the one-step predictor that Gupta and Brandstetter, "Towards Multi-spatiotemporal-scale Generalized PDE Modeling" (TMLR
2023), found to be strong: blocks of two 3x3 convolutions, a halved grid and doubled channels below each, a transposed
convolution of stride 2 on the way up, and the block of the same grid from the way down beside it. The convolutions are
padded, so that the frame keeps its size; activations are GELU; nothing is normalised, which small networks do not
need, and which would make what a weight does depend on the frame.

Convolutions are torch's own: ``torch.func.vmap`` over a leading member axis makes them grouped convolutions, which on a
CPU took 0.4 to 0.75 times as long, forward and backward, as the fastest formulation by matrix products that was tried
(shifted copies side by side, ``unfold``, a product for each row of the kernel).
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightcast.core.nets.fno import positions

Padding = Literal["circular", "zeros"]
Downsampling = Literal["pooled", "strided"]


class Convolution(nn.Conv2d):
    """A padded 3x3 convolution, which keeps the grid, or halves it with ``stride=2``: [batch, channel, y, x].

    The same as torch's own, but for the way in which circular padding is done: torch copies every side into place,
    which stacked members made as slow as the convolution itself; joining the sides is up to three times faster.
    """

    def __init__(self, in_channels: int, out_channels: int, padding: Padding, stride: int = 1) -> None:
        super().__init__(in_channels, out_channels, 3, stride=stride, padding=1, padding_mode=padding)

    def forward(self, fields: Tensor) -> Tensor:
        if self.padding_mode == "zeros":
            return super().forward(fields)
        fields = torch.cat([fields[..., -1:], fields, fields[..., :1]], dim=-1)
        fields = torch.cat([fields[..., -1:, :], fields, fields[..., :1, :]], dim=-2)
        return F.conv2d(fields, self.weight, self.bias, self.stride)


class ConvolutionBlock(nn.Module):
    """Two 3x3 convolutions, each followed by GELU: [batch, in, y, x] -> [batch, out, y, x]."""

    def __init__(self, in_channels: int, out_channels: int, padding: Padding) -> None:
        super().__init__()
        self.first = Convolution(in_channels, out_channels, padding)
        self.second = Convolution(out_channels, out_channels, padding)

    def forward(self, fields: Tensor) -> Tensor:
        return F.gelu(self.second(F.gelu(self.first(fields))))


class UNet(nn.Module):
    """One-step map of a two-dimensional field: [batch, channel, y, x] -> the next frame, same shape, same units.

    Args:
        channels: number of physical channels.
        width: channels inside the network on the finest grid; they double with every level.
        levels: how often the grid is halved: 2^levels must divide its sides.
        padding: what a convolution sees beyond the edge: the opposite side (a periodic domain) or zeros.
        downsampling: ``pooled``, the mean of 2 x 2 points, or ``strided``, a 3x3 convolution with stride 2.
        positional: append the grid's coordinates as two input channels; see :class:`weightcast.core.nets.fno.FNO`.
        residual: predict the increment of the frame rather than the frame itself.
        constants: constant fields that it is shown beside the frame; see :class:`weightcast.core.nets.fno.FNO`.

    ``layers`` are the blocks from the finest grid to the coarsest, then back to the finest; ``down`` and ``up`` lie
    between them, in the same order.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        levels: int,
        padding: Padding,
        downsampling: Downsampling,
        positional: bool = True,
        residual: bool = True,
        constants: int = 0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.levels = levels
        self.positional = positional
        self.residual = residual
        widths = [width * 2**level for level in range(levels + 1)]
        inputs = [channels + constants + 2 * positional, *widths[:-1]]
        contracting = [ConvolutionBlock(inputs[level], widths[level], padding) for level in range(levels + 1)]
        expanding = [ConvolutionBlock(2 * widths[level], widths[level], padding) for level in reversed(range(levels))]
        self.layers = nn.ModuleList([*contracting, *expanding])
        self.down = nn.ModuleList(
            nn.AvgPool2d(2)
            if downsampling == "pooled"
            else Convolution(widths[level], widths[level], padding, stride=2)
            for level in range(levels)
        )
        self.up = nn.ModuleList(
            nn.ConvTranspose2d(widths[level + 1], widths[level], 2, stride=2) for level in reversed(range(levels))
        )
        self.output = nn.Conv2d(width, channels, 1, bias=False)

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, channel, y, x] -> [batch, channel, y, x]."""
        fields = frames
        if self.positional:
            fields = torch.cat([fields, positions(fields.transpose(0, 1)).transpose(0, 1)], dim=1)
        contracted = []
        for block, down in zip(self.layers[: self.levels], self.down, strict=True):
            contracted.append(block(fields))
            fields = down(contracted[-1])
        fields = self.layers[self.levels](fields)
        for up, block in zip(self.up, self.layers[self.levels + 1 :], strict=True):
            fields = block(torch.cat([contracted.pop(), up(fields)], dim=1))
        step = self.output(fields)
        return frames[:, : self.channels] + step if self.residual else step
