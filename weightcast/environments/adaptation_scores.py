"""Errors as the published codes of CoDA and GEPS average them, so that their tables can stand beside ours.

CoDA: M. Kirchmeyer et al., Generalizing to New Physical Systems via Context-Informed Dynamics Model, ICML 2022. GEPS:
A. Kassai Koupai et al., Boosting Generalization in Parametric PDE Neural Solvers through Adaptive Conditioning,
NeurIPS 2024. Both count the first frame, which is given and has no error: a mean over 20 frames holds 19 forecasts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

MEAN_SQUARED = "mse"
MEAN_RELATIVE = "relative_error"
RELATIVE_L2 = "relative_l2"
RELATIVE_L2_BEYOND = "relative_l2_beyond"
SCORES = (MEAN_SQUARED, MEAN_RELATIVE, RELATIVE_L2, RELATIVE_L2_BEYOND)
"""Names in metrics.csv, in the order of printing."""


def adaptation_scores(
    forecast: Tensor, truth: Tensor, start: Tensor, trained_horizon: int, horizons: Sequence[int]
) -> Iterator[tuple[str, int, float]]:
    """Compare forecasts of one environment with its true trajectories.

    Args:
        forecast: [trajectory, step, channel, y, x], in physical units; step 0 is the first frame forecast.
        truth: the same shape and units.
        start: the frames that the forecasts start from [trajectory, channel, y, x].
        trained_horizon: in frames; what lies beyond is scored by itself.
        horizons: in frames, each at most the number of steps.

    Yields:
        (score, horizon, value). Over the frames 0..horizon, of which 0 is the start:

        - ``mse``: mean square error, channels together (CoDA).
        - ``relative_error``: mean of abs(error) / abs(truth) (CoDA); infinite where the truth alone is 0, and frames
          and points where both are 0 do not count.
        - ``relative_l2``: L2 norm of a trajectory's error over that of the trajectory, mean over trajectories (GEPS,
          "in-t" at the trained horizon).

        and, for horizons beyond the trained one, over the frames after that:

        - ``relative_l2_beyond``: the same (GEPS, "out-t").

        A forecast that is not finite has infinite errors. What of the truth is missing (NaN) does not count, nor does a
        trajectory of which nothing is there.
    """
    import torch  # the report reads names from here, and needs no networks

    exact = torch.cat([start[:, None], truth], 1).double()
    error = torch.cat([torch.zeros_like(start)[:, None], forecast - truth], 1).double().abs()
    error = torch.nan_to_num(error, nan=math.inf, posinf=math.inf)
    lost = exact.isnan()
    missing = bool(lost.any())
    if missing:
        error = error.masked_fill(lost, math.nan)
    for horizon in horizons:
        upto = slice(horizon + 1)
        squares = error[:, upto].square()
        yield MEAN_SQUARED, horizon, float(squares.nanmean() if missing else squares.mean())
        yield MEAN_RELATIVE, horizon, float((error[:, upto] / exact[:, upto].abs()).nanmean())
        yield RELATIVE_L2, horizon, _relative_l2(error[:, upto], exact[:, upto])
        if horizon > trained_horizon:
            beyond = slice(trained_horizon + 1, horizon + 1)
            yield RELATIVE_L2_BEYOND, horizon, _relative_l2(error[:, beyond], exact[:, beyond])


def _relative_l2(error: Tensor, exact: Tensor) -> float:
    error, exact = error.flatten(1), exact.flatten(1)
    missing = exact.isnan()
    if bool(missing.any()):
        there = ~missing.all(1)
        error, exact = error[there].nan_to_num(nan=0.0, posinf=math.inf), exact[there].nan_to_num()
    return float((error.norm(dim=1) / exact.norm(dim=1)).mean())
