"""The environment behind observed frames: the parameters whose predictor leaves the smallest one-step residual."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from weightcast.environments.predictor import StackedPredictor

GRID_POINTS = 5
REFINEMENT_STEPS = 40
REFINEMENT_RATE = 0.05


def infer_environment(
    weights_of: Callable[[Tensor], Tensor], predictor: StackedPredictor, frames: Tensor, parameters: int
) -> Tensor:
    """Search, then refine by gradient, through the generated weights.

    A coarse search over the visible range (a grid for up to three parameters, a Sobol sequence above) finds the
    basin, and Adam on the parameters themselves finds its bottom; refining helped most outside the visible range,
    where the search alone stops at the edge.

    Args:
        weights_of: scaled parameters [candidate, parameter] -> weights [candidate, weight]; differentiable.
        predictor: whose weights they are.
        frames: normalised [trajectory, time, channel, y, x].
        parameters: how many the environment has.

    Returns:
        Scaled parameters [parameter].
    """
    pairs = torch.stack([frames[:, :-1], frames[:, 1:]], dim=2).flatten(0, 1)  # [pair, 2, channel, y, x]

    def residual(candidates: Tensor) -> Tensor:
        windows = pairs[None].expand(len(candidates), *pairs.shape)
        return predictor.rollout_error(weights_of(candidates), windows).mean(1)  # [candidate]

    with torch.no_grad():
        candidates = _candidates(parameters)
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


def _candidates(parameters: int) -> Tensor:
    if parameters <= 3:
        axis = torch.linspace(-1.0, 1.0, GRID_POINTS)
        return torch.cartesian_prod(*[axis] * parameters).reshape(-1, parameters)
    return 2.0 * torch.quasirandom.SobolEngine(parameters, seed=0).draw(128) - 1.0
