"""What weights of environments forecast wrongly: where a map was trained, and where it is judged."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.environments.config.context import RefineSettings
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.missing_values import (
    any_missing,
    comparable,
    observed_mean,
    usual_over_steps,
    without_land,
)
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import WeightMap
from weightcast.environments.windows import Windows


@torch.no_grad()
def forecast_errors(weights: Tensor, predictor: StackedPredictor, frames: Tensor) -> Tensor:
    """Root mean square error of whole rollouts from first frames, environment by environment.

    Args:
        weights: [environment, weight].
        predictor: whose weights they are.
        frames: normalised [environment, trajectory, frame, channel, y, x].

    Returns:
        [environment]; infinite where a rollout is not finite.
    """
    errors = predictor.rollout_error(weights, frames, any_missing(frames)).mean(1).sqrt()
    return torch.nan_to_num(errors, nan=torch.inf, posinf=torch.inf)


@torch.no_grad()
def own_errors(weights: Tensor, predictor: StackedPredictor, frames: Tensor) -> Tensor:
    """Error of forecasts for environments that were trained on, step by step of the horizon: the median environment's
    root mean square.

    Args:
        weights: [environment, weight].
        predictor: whose weights they are.
        frames: normalised [environment, trajectory, frame, channel, y, x].

    Returns:
        [step, channel].
    """
    forecast, truth = predictor.forecast(weights, frames), predictor.newest(frames)[:, :, 1:]
    squares = torch.nan_to_num(forecast - truth, nan=torch.inf).square()
    if any_missing(frames):
        seen = comparable(frames, predictor.layout, predictor.history)
        return usual_over_steps(observed_mean(squares.masked_fill(~seen, torch.nan), (1, 4, 5)).sqrt()).clamp(1e-9, 1e9)
    return squares.mean((1, 4, 5)).sqrt().median(0).values.clamp(1e-9, 1e9)


def trained_residuals(
    weight_map: WeightMap,
    codes: Tensor,
    predictor: StackedPredictor,
    frames: Tensor,
    settings: RefineSettings,
    space: FrameSpace | None = None,
    land: Tensor | None = None,
) -> list[float]:
    """What a map leaves of its own environments' frames under their own codes: the median environment's root mean
    square residual, for rollouts of 1, 2, ... steps.

    Args:
        weight_map: codes -> weights.
        codes: of the environments that it was trained on.
        predictor: whose weights they are.
        frames: normalised [environment, trajectory, frame, channel, y, x].
        settings: of the search.
        space: of frames, by which searches fill gaps of those that they start from; None where there are none.
        land: where channels never have a value, see :func:`without_land`.
    """
    whole = frames if space is None else space.complete(frames)
    frames = without_land(frames, land)
    missing = any_missing(frames)
    of = torch.arange(len(codes), device=codes.device)
    longest = frames.shape[2] - 1 if settings.unroll is None else min(settings.unroll, frames.shape[2] - 1)
    residuals = []
    with torch.no_grad():
        weights = weight_map(codes)
        for steps in range(1, longest + 1):
            windows = Windows.of(frames, whole, steps, settings.windows, predictor.layout.shown, predictor.history)
            squares = windows.residuals(weights, of, predictor).square()
            errors = (squares.sum(1) / windows.counts if missing else squares.mean(1)).sqrt()
            residuals.append(float(errors.nanmedian() if missing else errors.median()))
    return residuals
