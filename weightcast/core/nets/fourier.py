"""Truncated two-dimensional discrete Fourier transforms as matrix products.

Only the lowest modes are wanted, and for few of them matrix products are faster than an FFT, batch over any leading
axis, and are differentiated and vectorised (``torch.func.vmap``) without special cases. Both directions equal
``torch.fft.rfft2`` and ``irfft2`` on the kept modes.

A real field is first projected on cosines and sines along each axis (two products), and the four combinations are then
recombined into complex modes of either sign of the y frequency (a small third product). Nothing is permuted on the
way: strided copies cost more than the arithmetic at these sizes.

Modes are ordered [block, y, x] and flattened: block 0 holds y frequencies 0..modes_y-1, block 1 -modes_y..-1;
x frequencies are 0..modes_x-1. No modes along y are for fields along a line: one block, of the y frequency 0 alone.
"""

from __future__ import annotations

import math
from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor


def forward_transform(fields: Tensor, modes: tuple[int, int]) -> Tensor:
    """Real fields [..., y, x] -> spectrum [..., mode, 2 (real, imaginary)] of the kept modes."""
    matrices = _matrices_of(fields.shape[-2], fields.shape[-1], modes, fields.dtype, fields.device)
    waves = matrices.waves_y @ (fields @ matrices.waves_x)  # [..., wave_y, wave_x]
    return (waves.flatten(-2) @ matrices.combine).unflatten(-1, (-1, 2))


def inverse_transform(spectrum: Tensor, modes: tuple[int, int], grid: tuple[int, int]) -> Tensor:
    """Spectrum [..., mode, 2] -> real fields [..., y, x] on the given grid."""
    matrices = _matrices_of(grid[0], grid[1], modes, spectrum.dtype, spectrum.device)
    waves = (spectrum.flatten(-2) @ matrices.separate).unflatten(-1, (-1, 2 * modes[1]))  # [..., wave_y, wave_x]
    return (matrices.waves_y.T @ waves) @ matrices.waves_x.T


def frequencies_along_y(modes: int) -> list[list[int]]:
    """The frequencies along y of each block of modes; there is one block, of the frequency 0, along a line."""
    return [list(range(modes)), list(range(-modes, 0))] if modes else [[0]]


def resample(fields: Tensor, grid: tuple[int, int]) -> Tensor:
    """Periodic fields [..., y, x] on another grid of the same domain, by trigonometric interpolation.

    A finer grid holds the same field; a coarser one what is left of it without the frequencies that it cannot hold.
    Along each axis this is ``scipy.signal.resample``.
    """
    rows, columns = fields.shape[-2:]
    along_y = _interpolation(rows, grid[0], fields.dtype, fields.device)
    along_x = _interpolation(columns, grid[1], fields.dtype, fields.device)
    return along_y @ fields @ along_x.T


@lru_cache(maxsize=32)
def _interpolation(size: int, wanted: int, dtype: torch.dtype, device: torch.device) -> Tensor:
    """Values on ``size`` points of a period -> values on ``wanted`` points: [wanted, size]."""
    highest = min(size, wanted) // 2
    weight = torch.full((highest + 1,), 2.0 / size, dtype=torch.double)  # a frequency and its negative
    weight[0] = 1.0 / size
    if highest and size == 2 * highest:
        weight[highest] = 1.0 / size  # the alternating wave of the given points is one frequency, not two
    point = torch.arange(size, dtype=torch.double) / size
    angle = 2 * math.pi * (torch.arange(wanted, dtype=torch.double)[:, None] / wanted - point)
    waves = torch.cos(angle[..., None] * torch.arange(highest + 1, dtype=torch.double))
    return (waves @ weight).to(device, dtype)


class _Matrices(NamedTuple):
    waves_y: Tensor  # [2 (modes_y + 1), y]: cosines, then sines, of the frequencies 0..modes_y
    waves_x: Tensor  # [x, 2 modes_x]: cosines, then sines, of the frequencies 0..modes_x-1
    combine: Tensor  # [wave_y * wave_x, mode * 2]: products of waves -> real and imaginary parts of the modes
    separate: Tensor  # [mode * 2, wave_y * wave_x]: modes -> coefficients of the products of waves


_MATRICES: dict[tuple[int, int, tuple[int, int], torch.dtype, torch.device], _Matrices] = {}
"""A table rather than a cached function: torch.compile follows a look-up, and would trace the whole construction."""


def _matrices_of(
    rows: int, columns: int, modes: tuple[int, int], dtype: torch.dtype, device: torch.device
) -> _Matrices:
    key = (rows, columns, modes, dtype, device)
    if key not in _MATRICES:
        _MATRICES[key] = _matrices(rows, columns, modes, dtype, device)
    return _MATRICES[key]


def _matrices(rows: int, columns: int, modes: tuple[int, int], dtype: torch.dtype, device: torch.device) -> _Matrices:
    blocks = frequencies_along_y(modes[0])
    waves_y = _waves(rows, modes[0] + 1).T
    waves_x = _waves(columns, modes[1])
    shape = (2, modes[0] + 1, 2, modes[1], len(blocks), len(blocks[0]), modes[1], 2)
    combine = torch.zeros(shape, dtype=torch.double)
    cosine, sine = 0, 1
    for block, frequencies in enumerate(blocks):
        for index, frequency in enumerate(frequencies):
            size, sign = abs(frequency), math.copysign(1.0, frequency)
            for x in range(modes[1]):
                target = combine[..., block, index, x, :]  # exp(-i(a + b)) = cc - ss - i (sc + cs)
                target[cosine, size, cosine, x, 0] = 1.0
                target[sine, size, sine, x, 0] = -sign
                target[sine, size, cosine, x, 1] = -sign
                target[cosine, size, sine, x, 1] = -1.0
    combine = combine.reshape(waves_y.shape[0] * waves_x.shape[1], -1)
    # The inverse sums Re[c exp(+i(a + b))] = c_re (cc - ss) - c_im (sc + cs): the transpose of the same table. A real
    # field's negative x frequencies mirror the positive ones, so every x frequency but zero counts twice.
    weight = torch.full((sum(map(len, blocks)), modes[1], 2), 2.0 / (rows * columns), dtype=torch.double)
    weight[:, 0] /= 2
    separate = combine.T * weight.reshape(-1, 1)
    return _Matrices(*(matrix.to(device, dtype).contiguous() for matrix in (waves_y, waves_x, combine, separate)))


def _waves(size: int, frequencies: int) -> Tensor:
    """Cosines, then sines, of 2 pi k n / size for k < frequencies: [size, 2 * frequencies]."""
    phase = torch.outer(torch.arange(size), torch.arange(frequencies)) % size  # reduced first: exact angles
    angle = 2 * math.pi * phase.double() / size
    return torch.cat([torch.cos(angle), torch.sin(angle)], dim=1)
