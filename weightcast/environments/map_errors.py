"""What weights of environments forecast wrongly: where a map was trained, and where it is judged."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.environments.config.context import RefineSettings
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
    errors = predictor.rollout_error(weights, frames).mean(1).sqrt()
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
    forecast = predictor.forecast(weights, frames)
    errors = (
        torch.nan_to_num(forecast - predictor.newest(frames)[:, :, 1:], nan=torch.inf).square().mean((1, 4, 5)).sqrt()
    )
    return errors.median(0).values.clamp(1e-9, 1e9)


def trained_residuals(
    weight_map: WeightMap,
    codes: Tensor,
    predictor: StackedPredictor,
    frames: Tensor,
    settings: RefineSettings,
) -> list[float]:
    """What a map leaves of its own environments' frames under their own codes: the median environment's root mean
    square residual, for rollouts of 1, 2, ... steps.

    Args:
        weight_map: codes -> weights.
        codes: of the environments that it was trained on.
        predictor: whose weights they are.
        frames: normalised [environment, trajectory, frame, channel, y, x].
        settings: of the search.
    """
    of = torch.arange(len(codes), device=codes.device)
    longest = frames.shape[2] - 1 if settings.unroll is None else min(settings.unroll, frames.shape[2] - 1)
    residuals = []
    with torch.no_grad():
        weights = weight_map(codes)
        for steps in range(1, longest + 1):
            windows = Windows.of(frames, frames, steps, settings.windows, predictor.layout.shown, predictor.history)
            errors = windows.residuals(weights, of, predictor).square().mean(1).sqrt()
            residuals.append(float(errors.median()))
    return residuals
