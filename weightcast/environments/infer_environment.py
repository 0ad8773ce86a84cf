"""The environment behind observed frames: the coordinates whose predictor leaves the smallest one-step residual."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from weightcast.environments.predictor import StackedPredictor

REFINEMENT_STEPS = 40
REFINEMENT_RATE = 0.05


def infer_environment(
    weights_of: Callable[[Tensor], Tensor], predictor: StackedPredictor, frames: Tensor, candidates: Tensor
) -> Tensor:
    """Search, then refine by gradient, through the weights of a conditioned method.

    A coarse search over the candidates finds the basin, and Adam on the coordinates themselves finds its bottom;
    refining helped most outside the visible range, where the search alone stops at the edge.

    Args:
        weights_of: coordinates [candidate, coordinate] -> weights [candidate, weight]; differentiable.
        predictor: whose weights they are.
        frames: normalised [trajectory, time, channel, y, x].
        candidates: coordinates to start from [candidate, coordinate] (`Condition.candidates`).

    Returns:
        Coordinates [coordinate].
    """
    pairs = torch.stack([frames[:, :-1], frames[:, 1:]], dim=2).flatten(0, 1)  # [pair, 2, channel, y, x]
    candidates = candidates.to(frames.device)

    def residual(candidates: Tensor) -> Tensor:
        windows = pairs[None].expand(len(candidates), *pairs.shape)
        return predictor.rollout_error(weights_of(candidates), windows).mean(1)  # [candidate]

    with torch.no_grad():
        errors = torch.cat([residual(chunk) for chunk in candidates.split(16)])
        best = candidates[errors.argmin()].clone()
    refined = best[None].clone().requires_grad_()
    optimiser = torch.optim.Adam([refined], lr=REFINEMENT_RATE)
    lowest = float("inf")
    for _ in range(REFINEMENT_STEPS):
        error = residual(refined)[0]
        value = float(error.detach())
        if value < lowest:
            lowest, best = value, refined.detach()[0].clone()
        optimiser.zero_grad()
        error.backward()
        optimiser.step()
    return best
