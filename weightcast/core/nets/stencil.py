"""A local rule, the same at every point, applied many times between two frames.

A partial differential equation whose terms are local is such a rule: values of a point and its neighbours in, rate of
change out, stepped by an explicit method with steps short enough (Rao et al., "Encoding physics to learn reaction-
diffusion processes", Nature Machine Intelligence 2023, learn one; cellular automata are others). Every point of every
frame is an example of it, so that a single trajectory holds thousands; and what it does cannot depend on the place.
"""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightcast.core.nets.fno import map_channels

Padding = Literal["circular", "zeros"]


class Stencil(nn.Module):
    """One-step map of a two-dimensional field: [batch, channel, y, x] -> the next frame, same shape, same units.

    Args:
        channels: number of physical channels.
        width: channels inside the rule.
        depth: hidden layers; the first one sees 3 x 3 points, the others a single one.
        substeps: how often the rule is applied between two frames.
        padding: what lies beyond the edge: the opposite side (a periodic domain) or zeros.
        constants: constant fields that it is shown beside the frame; see :class:`weightcast.core.nets.fno.FNO`.

    Inside, the channel axis leads, as in :mod:`weightcast.core.nets.fno`.
    """

    def __init__(
        self, channels: int, width: int, depth: int, substeps: int, padding: Padding, constants: int = 0
    ) -> None:
        super().__init__()
        self.channels = channels
        self.substeps = substeps
        self.padding = padding
        self.layers = nn.ModuleList(
            nn.Linear(width if index else 9 * channels + constants, width) for index in range(depth)
        )
        self.output = nn.Linear(width, channels, bias=False)

    def hidden_neurons(self) -> list[list[tuple[str, int]]]:
        """Axes of each hidden layer's neurons; see :class:`weightcast.core.nets.hidden_neurons.HiddenNeurons`."""
        names = [f"layers.{index}" for index in range(len(self.layers))]
        return [
            [(f"{name}.weight", 0), (f"{name}.bias", 0), (f"{later}.weight", 1)]
            for name, later in zip(names, [*names[1:], "output"], strict=True)
        ]

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, channel, y, x] -> [batch, channel, y, x]."""
        shown = frames.transpose(0, 1)  # [channel, batch, y, x]
        fields, constants = shown[: self.channels], shown[self.channels :]
        for _ in range(self.substeps):
            inside = torch.cat([self._neighbours(fields), constants])
            for layer in self.layers:
                assert isinstance(layer, nn.Linear)
                inside = F.silu(map_channels(layer, inside))
            fields = fields + map_channels(self.output, inside) / self.substeps
        return fields.transpose(0, 1)

    def _neighbours(self, fields: Tensor) -> Tensor:
        """[channel, batch, y, x] -> [9 channel, batch, y, x]: each point's own values and those around it."""
        if self.padding == "zeros":
            padded = F.pad(fields, (1, 1, 1, 1))
        else:
            padded = torch.cat([fields[..., -1:], fields, fields[..., :1]], dim=-1)
            padded = torch.cat([padded[..., -1:, :], padded, padded[..., :1, :]], dim=-2)
        rows, columns = fields.shape[-2:]
        return torch.cat([padded[..., y : y + rows, x : x + columns] for y in range(3) for x in range(3)])
