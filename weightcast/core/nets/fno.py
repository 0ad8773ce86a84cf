"""A compact Fourier neural operator: the predictor whose weights are the data.

After Li et al., "Fourier Neural Operator for Parametric Partial Differential Equations" (ICLR 2021), in the shape that
EnvAd-Diff (arXiv 2505.13919) uses: lifting, Fourier layers (spectral convolution with two blocks of complex weights
plus a 1x1 skip), GELU, and a two-layer projection without a last bias.

Two decisions differ from the usual implementation, both because many small networks are trained at once:

- Complex weights are stored as pairs of reals, so that a network's weights are one real vector.
- The truncated discrete Fourier transform is a pair of matrix products (see :mod:`weightcast.core.nets.fourier`), which
  batches over a leading member axis as plain matrix multiplication does, and is faster than an FFT for few modes.

Inside the network the channel axis leads, [channel, batch, y, x]: a channel map is then one matrix product over all
points of all samples, with or without a member axis before it.
"""

from __future__ import annotations

from math import prod

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightcast.core.nets.fourier import forward_transform, frequencies_along_y, inverse_transform, resample


def map_channels(linear: nn.Linear, fields: Tensor) -> Tensor:
    """Apply ``linear`` to the leading channel axis: [in, batch, y, x] -> [out, batch, y, x]."""
    mapped = linear.weight @ fields.flatten(1)  # [out, batch * y * x]
    if linear.bias is not None:
        mapped = mapped + linear.bias[:, None]
    return mapped.unflatten(1, fields.shape[1:])


class SpectralConv2d(nn.Module):
    """Convolution by multiplying the lowest Fourier modes with complex weights.

    ``weight`` has shape [out, in, 2, modes_y, modes_x, 2]: the third axis is the block (positive and negative y
    frequencies; x frequencies of a real field are never negative), the last one holds real and imaginary parts. Of a
    field along a line (no modes along y) it is [out, in, 1, 1, modes_x, 2].
    """

    def __init__(self, in_channels: int, out_channels: int, modes: tuple[int, int]) -> None:
        super().__init__()
        self.modes = modes
        scale = 1.0 / in_channels
        blocks = frequencies_along_y(modes[0])
        shape = (out_channels, in_channels, len(blocks), len(blocks[0]), modes[1], 2)
        self.weight = nn.Parameter(scale * (torch.rand(shape) - 0.5))

    def weight_nodes(self) -> dict[str, int]:
        """Which axis of each parameter indexes the output channel (see :class:`weightcast.core.graph.WeightGraph`)."""
        return {"weight": 0}

    def forward(self, fields: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """[in, batch, y, x] -> [out, batch, y, x], on another grid (y, x) of the same domain if one is given."""
        in_channels, batch, rows, columns = fields.shape
        out_channels = self.weight.shape[0]
        spectrum = forward_transform(fields, self.modes)  # [in, batch, mode, 2]
        spectrum = spectrum.permute(2, 1, 0, 3).reshape(-1, batch, in_channels * 2)  # [mode, batch, (in, 2)]
        weight = self.weight.flatten(2, 4).permute(2, 1, 0, 3)  # [mode, in, out, 2]
        real, imaginary = weight[..., 0], weight[..., 1]
        # (a + ib)(c + id) as a product of the row (a, b) with the 2 x 2 block ((c, d), (-d, c)).
        blocks = torch.stack(
            [torch.stack([real, imaginary], dim=-1), torch.stack([-imaginary, real], dim=-1)], dim=2
        )  # [mode, in, 2, out, 2]
        mixed = spectrum @ blocks.reshape(-1, in_channels * 2, out_channels * 2)  # [mode, batch, (out, 2)]
        mixed = mixed.unflatten(-1, (out_channels, 2)).permute(2, 1, 0, 3)  # [out, batch, mode, 2]
        if grid is None or grid == (rows, columns):
            return inverse_transform(mixed, self.modes, (rows, columns))
        # The spectrum is a sum over the points of one grid, and its inverse a mean over those of the other.
        return inverse_transform(mixed * (grid[0] * grid[1] / (rows * columns)), self.modes, grid)


class FourierLayer(nn.Module):
    """Spectral convolution plus a 1x1 skip with bias; together they are one node per output channel."""

    def __init__(self, in_channels: int, out_channels: int, modes: tuple[int, int]) -> None:
        super().__init__()
        self.spectral = SpectralConv2d(in_channels, out_channels, modes)
        self.skip = nn.Linear(in_channels, out_channels)

    def weight_nodes(self) -> dict[str, int]:
        """Both paths feed the same output channel, so their rows and the bias belong to the same node."""
        return {"spectral.weight": 0, "skip.weight": 0, "skip.bias": 0}

    def forward(self, fields: Tensor, grid: tuple[int, int] | None = None) -> Tensor:
        """[in, batch, y, x] -> [out, batch, y, x], on another grid (y, x) of the same domain if one is given."""
        return self.spectral(fields, grid) + self._skipped(fields, grid)

    def _skipped(self, fields: Tensor, grid: tuple[int, int] | None) -> Tensor:
        if grid is None:
            return map_channels(self.skip, fields)
        # The order makes no difference to the result: the product is taken on the smaller grid.
        if prod(grid) < prod(fields.shape[-2:]):
            return map_channels(self.skip, resample(fields, grid))
        return resample(map_channels(self.skip, fields), grid)


class FNO(nn.Module):
    """One-step map of a field: [batch, channel, y, x] -> the next frame, same shape, same units.

    Args:
        channels: number of physical channels.
        width: channels inside the network.
        modes: Fourier modes kept along (y, x); at most half the grid; (0, x) of fields along a line, a grid of (1, x).
        depth: number of Fourier layers.
        projection: width of the hidden layer of the projection.
        positional: append the grid's coordinates (each in [0, 1)) as two input channels. Needed where the dynamics
            depend on the place (walls, orography); off, the network is translation equivariant on a periodic domain.
        residual: predict the increment of the frame rather than the frame itself.
        constants: constant fields that it is shown beside the frame, as further channels behind the frame's: a step
            does not return them.
        padding: points of zeros that Fourier layers see beyond the far end of each axis, of a line of x alone: for
            fields that do not go on at the opposite side.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        modes: tuple[int, int],
        depth: int,
        projection: int,
        positional: bool = True,
        residual: bool = True,
        constants: int = 0,
        padding: int = 0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.positional = positional
        self.residual = residual
        self.padding = (padding if modes[0] else 0, padding)
        self.lifting = nn.Linear(channels + constants + 2 * positional, width)
        self.layers = nn.ModuleList(FourierLayer(width, width, modes) for _ in range(depth))
        self.hidden = nn.Linear(width, projection)
        self.output = nn.Linear(projection, channels, bias=False)

    def hidden_neurons(self) -> list[list[tuple[str, int]]]:
        """Axes of each hidden layer's neurons; see :class:`weightcast.core.nets.hidden_neurons.HiddenNeurons`."""
        rows = [[("lifting.weight", 0), ("lifting.bias", 0)]]
        columns = []
        for index in range(len(self.layers)):
            spectral, skip = f"layers.{index}.spectral.weight", f"layers.{index}.skip"
            rows.append([(spectral, 0), (f"{skip}.weight", 0), (f"{skip}.bias", 0)])
            columns.append([(spectral, 1), (f"{skip}.weight", 1)])
        rows.append([("hidden.weight", 0), ("hidden.bias", 0)])
        columns += [[("hidden.weight", 1)], [("output.weight", 1)]]
        return [own + following for own, following in zip(rows, columns, strict=True)]

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, channel, y, x] -> [batch, channel, y, x], constant fields, if any, behind the frame's channels."""
        fields = frames.transpose(0, 1)  # [channel, batch, y, x]
        if self.positional:
            fields = torch.cat([fields, positions(fields)])
        fields = map_channels(self.lifting, fields)  # [width, batch, y, x]
        rows, columns = frames.shape[-2:]
        if any(self.padding):
            fields = F.pad(fields, (0, self.padding[1], 0, self.padding[0]))
        for index, layer in enumerate(self.layers):
            fields = layer(fields)
            if index < len(self.layers) - 1:
                fields = F.gelu(fields)
        if any(self.padding):
            fields = fields[..., :rows, :columns]
        fields = F.gelu(map_channels(self.hidden, fields))
        step = map_channels(self.output, fields).transpose(0, 1)  # [batch, channel, y, x]
        return frames[:, : self.channels] + step if self.residual else step


def positions(fields: Tensor) -> Tensor:
    """Coordinates of every grid point, [2 (y, x), batch, y, x], each in [0, 1)."""
    _, batch, rows, columns = fields.shape
    y = torch.arange(rows, dtype=fields.dtype, device=fields.device) / rows
    x = torch.arange(columns, dtype=fields.dtype, device=fields.device) / columns
    return torch.stack(torch.meshgrid(y, x, indexing="ij"))[:, None].expand(2, batch, rows, columns)
