"""Adaptation of a code alone, as CoDA adapts (Kirchmeyer et al., ICML 2022): from the mean of the visible codes, by
least squares on the observed frames; no prior, no other starts.

CoDA descends the gradient for many small steps; Levenberg-Marquardt reaches the same optimum in few.
"""

from __future__ import annotations

from torch import Tensor

from weightcast.core.least_squares import levenberg_marquardt
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.weight_maps import WeightMap
from weightcast.environments.windows import Windows


def adapt_codes(
    weight_map: WeightMap, predictor: StackedPredictor, codes: Tensor, windows: Windows | None, count: int, steps: int
) -> Tensor:
    """The codes of least residual that are reached from the mean code.

    Args:
        weight_map: codes -> weights.
        predictor: whose weights they are.
        codes: of the visible environments [environment, dimension].
        windows: observed; None where no frames follow each other, of which nothing can be learned.
        count: of environments.
        steps: of Levenberg-Marquardt.

    Returns:
        [environment, dimension].
    """
    start = codes.mean(0).expand(count, -1).clone()
    if windows is None:
        return start

    def residuals(trial: Tensor, of: Tensor) -> Tensor:
        return windows.residuals(weight_map(trial), of, predictor)

    return levenberg_marquardt(residuals, start, steps).unknowns
