"""The scale on which methods see parameters: the one that the visible environments' values speak for."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike

from weightcast.core.environment_table import EnvironmentTable

LEAST_RATIO = 3.0
"""Greatest over least value from which on the two scales differ enough to matter."""
FEWEST_VALUES = 3


def logarithmic_parameters(table: EnvironmentTable) -> list[str]:
    """Parameters whose logarithm methods are to see: those whose visible values are spread evenly on that scale.

    Of unseen environments it matters alone whether they have logarithms.
    """
    visible = table.parameter_array([environment.id for environment in table.visible])
    return [
        name
        for name, values in zip(table.parameter_names, visible.T, strict=True)
        if all(environment.parameters[name] > 0 for environment in table) and is_logarithmic(values)
    ]


def is_logarithmic(values: ArrayLike) -> bool:
    """Whether numbers are spread evenly over their range in their logarithms rather than as they are.

    Between the least value a and the greatest b, values that are uniform in their logarithm have the density
    1 / (x ln(b / a)), uniform ones 1 / (b - a). The first is the likelier where the geometric mean of the values
    between lies below (b - a) / ln(b / a), the logarithmic mean of a and b. Values of a grid, which many environments
    share, count once.
    """
    distinct = np.unique(np.asarray(values, dtype=np.float64))
    if len(distinct) < FEWEST_VALUES or distinct[0] <= 0 or distinct[-1] < LEAST_RATIO * distinct[0]:
        return False
    logarithms = np.log(distinct)
    width = logarithms[-1] - logarithms[0]
    return bool(logarithms[1:-1].mean() < np.log((distinct[-1] - distinct[0]) / width))
