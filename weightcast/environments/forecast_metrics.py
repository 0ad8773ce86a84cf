"""Errors of forecasts against the truth, as they stand in metrics.csv (defined in docs/metrics.md)."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from weightcast.environments.error_units import error_units
from weightcast.environments.missing_values import any_missing


def forecast_metrics(forecast: Tensor, truth: Tensor, horizons: Sequence[int]) -> Iterator[tuple[str, int, float]]:
    """Compare forecasts of one environment with its true trajectories.

    Args:
        forecast: [trajectory, step, channel, y, x], in physical units; step 0 is the first frame forecast.
        truth: the same shape and units.
        horizons: in frames, each at most the number of steps.

    Yields:
        (metric, horizon, value). With errors over the frames 1..horizon of all trajectories:

        - ``rmse``: root mean square error, each channel in units of its own true standard deviation (over all
          trajectories and steps given): 1 is about as good as a constant. A channel that is the same number everywhere
          has no such unit, and does not count beside others; where none is another, errors are in units of that
          number's size (:mod:`weightcast.environments.error_units`).
        - ``rmse_physical``: the same in physical units.
        - ``nmse``: sum of squared errors over the sum of squared truths, in physical units.

        and of the frame at the horizon alone:

        - ``ssim``: mean structural similarity (Wang et al., 2004), with the true channel's range as data range; not
          of states without a grid (1 x 1), which have no structure.

        A forecast that is not finite has an infinite error and a similarity of 0.

        Where values of the truth are missing (NaN), those that are there are compared: errors and squares of each frame
        are means over them, and frames count alike, however much of each is missing, so that a horizon of which the
        end is missing more often does not look easier; a similarity is of the trajectories whose frame is whole.
        Nothing is said of a horizon that nothing can be compared at.
    """
    if any_missing(truth):
        yield from _of_observed(forecast, truth, horizons)
        return
    channels = truth.movedim(2, 0).flatten(1)  # [channel, everything else]
    spread = error_units(channels)[:, None, None]
    squared = torch.nan_to_num((forecast - truth).double().square(), nan=math.inf, posinf=math.inf)
    scaled = squared / spread.double().square()
    width = channels.amax(1) - channels.amin(1)
    varies = width > 0
    if bool(varies.any()) and not bool(varies.all()):
        lost = torch.isinf(squared).any(2, keepdim=True)  # wherever a forecast is no number, it is infinitely wrong
        scaled = scaled[:, :, varies].masked_fill(lost, math.inf)
    similarity_range = width.clamp(min=1e-12)
    for horizon in horizons:
        error = squared[:, :horizon]
        yield "rmse", horizon, math.sqrt(float(scaled[:, :horizon].mean()))
        yield "rmse_physical", horizon, math.sqrt(float(error.mean()))
        yield "nmse", horizon, float(error.sum() / truth[:, :horizon].double().square().sum().clamp(min=1e-24))
        if min(truth.shape[-2:]) > 1:
            yield "ssim", horizon, _similarity(forecast[:, horizon - 1], truth[:, horizon - 1], similarity_range)


def _of_observed(forecast: Tensor, truth: Tensor, horizons: Sequence[int]) -> Iterator[tuple[str, int, float]]:
    """The same where values are missing."""
    channels, seen = truth.movedim(2, 0).flatten(1), torch.isfinite(truth)
    spread = error_units(channels)[:, None, None]
    squared = torch.nan_to_num((forecast - truth).double().square(), nan=math.inf, posinf=math.inf)

    def of_frames(values: Tensor) -> Tensor:
        """Mean over what is there, frame by frame [step]; NaN where nothing is."""
        return values.masked_fill(~seen, math.nan).movedim(1, 0).flatten(1).nanmean(1)

    known = channels.nan_to_num(nan=-math.inf).amax(1) - channels.nan_to_num(nan=math.inf).amin(1)
    scaled, error = squared / spread.double().square(), of_frames(squared)
    still = known == 0
    if bool((known > 0).any()):
        lost = (torch.isinf(squared) & seen).any(2, keepdim=True)  # a missing truth is no lost forecast
        scaled = scaled.masked_fill(lost, math.inf).masked_fill(still[:, None, None], math.nan)
    scaled = of_frames(scaled)
    size = of_frames(truth.double().square())
    similarity_range = known.clamp(min=1e-12)
    for horizon in horizons:
        upto = slice(horizon)
        if bool(error[upto].isnan().all()):
            continue
        yield "rmse", horizon, math.sqrt(float(scaled[upto].nanmean()))
        yield "rmse_physical", horizon, math.sqrt(float(error[upto].nanmean()))
        yield "nmse", horizon, float(error[upto].nanmean() / size[upto].nanmean().clamp(min=1e-24))
        whole = seen[:, horizon - 1].flatten(1).all(1)
        if min(truth.shape[-2:]) > 1 and bool(whole.any()):
            compared = forecast[whole, horizon - 1], truth[whole, horizon - 1]
            yield "ssim", horizon, _similarity(*compared, similarity_range)


def _similarity(forecast: Tensor, truth: Tensor, channel_range: Tensor) -> float:
    """Mean over trajectories and channels; fields [trajectory, channel, y, x]."""
    # Takes a second to import, which jobs without fields, or without errors, need not wait for.
    from torchmetrics.functional.image import structural_similarity_index_measure

    if not torch.isfinite(forecast).all():
        return 0.0
    scale = channel_range[:, None, None]
    window = min(11, *truth.shape[-2:])
    value = structural_similarity_index_measure(
        (forecast / scale).clamp(-1e3, 1e3),
        truth / scale,
        gaussian_kernel=window == 11,
        kernel_size=window if window % 2 else window - 1,  # a small grid has no room for the usual Gaussian window
        data_range=1.0,
    )
    assert isinstance(value, Tensor)
    return float(value)
