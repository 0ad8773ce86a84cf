"""Count errors of a channel in these units: its spread, where it has one."""

from __future__ import annotations

import math

import torch
from torch import Tensor

from weightcast.environments.missing_values import observed_spread


def error_units(channels: Tensor) -> Tensor:
    """The unit of each channel's errors.

    Args:
        channels: true values of one environment, each channel's in a row [channel, value]; NaN where one is missing.

    Returns:
        [channel]: the standard deviation. What is the same number everywhere has none: its size then, which says how
        much of it a forecast is off by; 1 where that number is 0.
    """
    known = torch.isfinite(channels)
    least, most = channels.masked_fill(~known, math.inf).amin(1), channels.masked_fill(~known, -math.inf).amax(1)
    size = torch.where(least.abs() > 0, least.abs(), torch.ones_like(least))
    return torch.where(least == most, size, observed_spread(channels).clamp(min=1e-12))
