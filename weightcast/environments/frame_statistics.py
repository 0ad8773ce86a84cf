"""Physical statistics of a few observed frames, some of whose points may be hidden (NaN).

Everything here is an average over the points, or pairs of points, that were observed, so that hiding some of them
changes an average by chance alone. What cannot be told from what was observed (a trend from one frame, a Laplacian from
every other point) is NaN.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import torch
from torch import Tensor

LAGS = (1, 2, 4)
"""Distances, in grid points, at which structure functions are taken."""
RIDGE = 1e-3
"""Regularisation of a response, relative to the mean square of its terms."""


def observed_mean(values: Tensor, dimensions: tuple[int, ...]) -> Tensor:
    """Mean of what is not NaN over dimensions; NaN where nothing was observed."""
    seen = ~values.isnan()
    return values.nan_to_num().sum(dimensions) / seen.sum(dimensions).masked_fill(~seen.any(dimensions), 0)


def frame_moments(frames: Tensor) -> Tensor:
    """First, second and cross moments of the channels of each frame, and structure functions.

    A structure function is the mean square difference between points at a distance, the average of both axes: at the
    distance of one point the energy of gradients.

    Args:
        frames: [..., channel, y, x].

    Returns:
        [..., moment]: the channels' means, then products of two, the squares among them, then the channels' structure
        functions of each of ``LAGS`` that the grid is larger than.
    """
    channels, *grid = frames.shape[-3:]
    moments = [observed_mean(frames, (-2, -1))]
    pairs = list(itertools.combinations_with_replacement(range(channels), 2))
    first, second = (list(each) for each in zip(*pairs, strict=True))
    moments.append(observed_mean(frames[..., first, :, :] * frames[..., second, :, :], (-2, -1)))
    for lag in LAGS:
        squares = [
            (frames.narrow(axis, lag, size - lag) - frames.narrow(axis, 0, size - lag)).square().flatten(-2)
            for axis, size in zip((-2, -1), grid, strict=True)
            if size > lag
        ]
        if squares:
            moments.append(observed_mean(torch.cat(squares, dim=-1), (-1,)))
    return torch.cat(moments, dim=-1)


def mean_and_trend(values: Tensor, times: Tensor) -> Tensor:
    """Temporal mean of each value and its slope by least squares, over the frames in which it was observed.

    Args:
        values: [..., frame, value].
        times: [..., frame].

    Returns:
        [..., 2 * value]: means, then slopes a unit of time; NaN where there are none.
    """
    seen = ~values.isnan()
    count = seen.sum(-2)
    at = times[..., None].nan_to_num() * seen
    mean = values.nan_to_num().sum(-2) / count
    middle = at.sum(-2) / count
    apart = (at - middle[..., None, :]) * seen
    slope = (apart * (values.nan_to_num() - mean[..., None, :])).sum(-2) / apart.square().sum(-2)
    return torch.cat([mean, slope], dim=-1)


def responses(frames: Tensor, times: Tensor) -> Tensor:
    """How fast frames change, by least squares on local terms of them.

    Rates of change between consecutive frames, taken at the middle of both, are fitted by several short lists of terms:
    the channels; these and each times the sum of all squares; these and all products of two; on a grid each of them
    with the channels' Laplacians. It is sparse regression without the sparsity, for what tells two environments apart
    rather than for the equations themselves. A coefficient is in units of its term, so that it does not depend on how
    large the states happen to be.

    Args:
        frames: normalised [batch, frame, channel, y, x].
        times: [batch, frame].

    Returns:
        [batch, coefficient]: NaN where fewer points were observed in two consecutive frames than a fit has terms.
    """
    gap = times[:, 1:] - times[:, :-1]
    rate = (frames[:, 1:] - frames[:, :-1]) / gap[..., None, None, None]  # [batch, pair, channel, y, x]
    middle = 0.5 * (frames[:, 1:] + frames[:, :-1])
    channels, *grid = frames.shape[-3:]
    pairs = itertools.combinations_with_replacement(range(channels), 2)
    first, second = (list(each) for each in zip(*pairs, strict=True))
    energy = middle.square().sum(2, keepdim=True)
    linear = torch.cat([torch.ones_like(energy), middle], 2)
    cubic = torch.cat([linear, middle * energy], 2)
    local = torch.cat([cubic, middle[:, :, first] * middle[:, :, second]], 2)
    fitted = [_least_squares(terms, rate) for terms in (linear, cubic, local)]
    spacings = [spacing for spacing in LAGS if all(size > 2 * spacing for size in grid[grid[0] == 1 :])]
    # Of the finest Laplacian that was observed, and of the next one, in which noise counts for less.
    for kinds, usable in (((linear, cubic, local), spacings), ((cubic,), spacings[1:])):
        for terms in kinds:
            found = None
            for spacing in usable:
                y, x = _within(grid, spacing)
                with_laplacian = torch.cat([terms[..., y, x], _laplacian(middle, spacing)], 2)
                fit = _least_squares(with_laplacian, rate[..., y, x])
                found = fit if found is None else torch.where(found.isnan(), fit, found)
                if not bool(found.isnan().any()):
                    break
            if found is not None:
                fitted.append(found)
    return torch.cat(fitted, dim=-1)


def _laplacian(fields: Tensor, spacing: int) -> Tensor:
    """Laplacian of fields [..., y, x] between points so far apart, per square of the grid's own spacing: of five
    points, along a line of three."""
    rows, columns = fields.shape[-2:]
    y, x = _within((rows, columns), spacing)
    if rows == 1:
        around = fields[..., 2 * spacing :] + fields[..., : columns - 2 * spacing]
        return (around - 2.0 * fields[..., x]) / spacing**2
    around = (
        fields[..., 2 * spacing :, x]
        + fields[..., : rows - 2 * spacing, x]
        + fields[..., y, 2 * spacing :]
        + fields[..., y, : columns - 2 * spacing]
    )
    return (around - 4.0 * fields[..., y, x]) / spacing**2


def _within(grid: Sequence[int], spacing: int) -> tuple[slice, slice]:
    """The points (y, x) that have neighbours so far away on all sides; a line has none along y."""
    y, x = (slice(spacing, size - spacing) for size in grid)
    return (slice(None) if grid[0] == 1 else y), x


def _least_squares(terms: Tensor, rate: Tensor) -> Tensor:
    """Coefficients [batch, term * channel] of terms [batch, pair, term, y, x] in rates [batch, pair, channel, y, x]."""
    terms, rate = (each.transpose(1, 2).flatten(2).transpose(1, 2) for each in (terms, rate))  # [batch, point, ...]
    seen = ~(terms.isnan().any(-1) | rate.isnan().any(-1))
    count = seen.sum(1)
    terms, rate = (torch.where(seen[..., None], each, 0.0) for each in (terms, rate))
    size = (terms.square().sum(1) / count.clamp(min=1)[:, None]).sqrt().clamp(min=1e-6)
    terms = terms / size[:, None]
    gram = terms.transpose(1, 2) @ terms / count.clamp(min=1)[:, None, None]
    gram = gram + RIDGE * torch.eye(terms.shape[-1], dtype=terms.dtype, device=terms.device)
    moment = terms.transpose(1, 2) @ rate / count.clamp(min=1)[:, None, None]
    coefficients = torch.linalg.solve(gram, moment) / size[..., None]
    return coefficients.flatten(1).masked_fill((count < terms.shape[-1])[:, None], torch.nan)


def low_spectra(frames: Tensor, modes: int) -> Tensor:
    """Real and imaginary parts of each frame's lowest Fourier modes, from the points that were observed.

    A mode is the mean over observed points of the field times a wave: the discrete Fourier transform over the number of
    points where all were observed, and that of every other point where every other one was.

    Args:
        frames: [..., channel, y, x].
        modes: along each axis, at most half the grid.

    Returns:
        [..., channel * mode * 2]: 0 where nothing was observed.
    """
    rows, columns = frames.shape[-2:]
    below, along = (min(modes, size // 2 + 1) for size in (rows, columns))
    along_y = torch.arange(1 - below, below, device=frames.device)
    along_x = torch.arange(along, device=frames.device)
    angle_y = 2.0 * math.pi / rows * along_y[:, None] * torch.arange(rows, device=frames.device)
    angle_x = 2.0 * math.pi / columns * along_x[:, None] * torch.arange(columns, device=frames.device)
    angle = (angle_y[:, None, :, None] + angle_x[None, :, None, :]).flatten(0, 1)  # [mode, y, x]
    waves = torch.cat([angle.cos(), -angle.sin()]).flatten(1).T  # [point, 2 * mode]
    values = frames.flatten(-2)
    seen = ~values.isnan()
    spectrum = values.nan_to_num() @ waves / seen.sum(-1, keepdim=True).clamp(min=1)
    return spectrum.flatten(-2)


def describe_frames(frames: Tensor, times: Tensor) -> Tensor:
    """Moments' mean and trend of a trajectory's observed frames, how many there were and how much of them was seen.

    Args:
        frames: normalised [batch, frame, channel, y, x].
        times: [batch, frame], NaN for frames that there are not.

    Returns:
        [batch, statistic].
    """
    there = ~times.isnan()
    count = there.sum(1)
    covered = (~frames.isnan()).flatten(2).float().mean(2).sum(1) / count.clamp(min=1)
    return torch.cat(
        [mean_and_trend(frame_moments(frames), times), count.float().log1p()[:, None], covered[:, None]], dim=-1
    )
