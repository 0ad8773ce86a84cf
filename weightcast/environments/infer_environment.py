"""The environment behind observed frames, for methods that ask for its parameters: the coordinates whose predictor
explains the frames best, by the search that learned codes take (:mod:`weightcast.environments.refinement`)."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from weightcast.environments.code_priors import CodePrior
from weightcast.environments.config.context import RefineSettings
from weightcast.environments.context import PRIOR_WIDENED
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.missing_values import without_land
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.refinement import infer_codes
from weightcast.environments.windows import Windows

LEAST_NOISE = 1e-3
"""Residual that a conditioned method is taken to leave, in standard deviations: it has no calibration of its own."""
FEW_ITERATIONS = 3
"""Where a search begins near its end."""
TOGETHER = 8
"""Environments that are searched for in one batch."""


def infer_environments(
    weights_of: Callable[[Tensor], Tensor],
    predictor: StackedPredictor,
    frames: Tensor,
    candidates: Tensor,
    space: FrameSpace | None = None,
    begun: Tensor | None = None,
    prior: CodePrior | None = None,
    land: Tensor | None = None,
) -> Tensor:
    """Search from the best candidates, then refine.

    Refining helps most outside the visible range, where a search alone stops at the edge.

    Args:
        weights_of: coordinates [candidate, coordinate] -> weights [candidate, weight].
        predictor: whose weights they are.
        frames: normalised [environment, trajectory, frame, channel, y, x], two frames or more; NaN in gaps.
        candidates: coordinates to start from [candidate, coordinate] (`Condition.candidates`).
        space: how frames vary, to fill gaps; None where there are none.
        begun: coordinates that something cheaper found [environment, coordinate], from the best of which a few steps
            are then enough; None searches from the candidates.
        prior: of coordinates; None: that of the candidates, widened.
        land: where a channel of frames never has a value, and forecasts are not compared, bool [channel, y, x], or
            [environment, 1, 1, channel, y, x]; None: nowhere.

    Returns:
        Coordinates [environment, coordinate].
    """
    search, candidates = RefineSettings(), candidates.to(frames.device)
    prior = CodePrior.of(candidates, PRIOR_WIDENED) if prior is None else prior
    starts, iterations = (search.starts, search.iterations) if begun is None else (1, FEW_ITERATIONS)
    found = []
    own_land = None if land is None else land.expand(len(frames), 1, 1, *land.shape[-3:])
    for first in range(0, len(frames), TOGETHER):
        part = frames[first : first + TOGETHER]
        whole = part if space is None else space.complete(part)
        compared = without_land(part, None if own_land is None else own_land[first : first + TOGETHER])
        posterior = infer_codes(
            weights_of,
            predictor,
            Windows.of(compared, whole, search.unroll, search.windows, predictor.layout.shown, predictor.history),
            prior,
            candidates if begun is None else begun,
            starts=starts,
            iterations=iterations,
            temper=1.0,
            least_noise=LEAST_NOISE,
        )
        found.append(posterior.best)
    return torch.cat(found)
