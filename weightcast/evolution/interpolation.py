"""Paths through weight space without a model of their motion: curves through anchors. The baselines of every flow."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline, PchipInterpolator
from torch import Tensor

from weightcast.evolution.config.evaluation import PathInterpolation


def interpolate_weights(
    times: NDArray[np.float64], weights: Tensor, at: NDArray[np.float64], kind: PathInterpolation
) -> Tensor:
    """Weights at any times.

    Args:
        times: of the anchors [anchor], increasing.
        weights: [anchor, parameter].
        at: times wanted [time]; outside the anchors' range the nearest anchor's weights are given.
        kind: linear; cubic (natural spline); pchip (monotone between anchors); nearest (in time).

    Returns:
        [time, parameter].
    """
    inside = np.clip(at, times[0], times[-1])
    if kind == "nearest":
        nearest = np.abs(inside[:, None] - times[None]).argmin(1)
        return weights[torch.from_numpy(nearest)]
    values = weights.double().numpy()
    if kind == "linear" or len(times) == 2:
        upper = np.clip(np.searchsorted(times, inside, side="right"), 1, len(times) - 1)
        share = ((inside - times[upper - 1]) / (times[upper] - times[upper - 1]))[:, None]
        found = (1 - share) * values[upper - 1] + share * values[upper]
    elif kind == "cubic":
        found = CubicSpline(times, values, bc_type="natural")(inside)
    else:
        found = PchipInterpolator(times, values)(inside)
    return torch.from_numpy(found).to(weights.dtype)
