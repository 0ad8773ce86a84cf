"""Conditions on known parameters, as tests need them without a table of environments."""

from __future__ import annotations

from typing import Any

from numpy.typing import ArrayLike

from weightcast.environments.conditions import Known
from weightcast.environments.conditions.parameters import ParametersCondition
from weightcast.environments.scaling import ParameterScaling


def on_parameters(**ranges: tuple[float, float]) -> ParametersCondition:
    """A condition on parameters of these names and visible ranges."""
    return ParametersCondition(
        ParameterScaling(tuple(ranges), *map(tuple, zip(*ranges.values(), strict=True)))  # type: ignore[arg-type]
    )


def describing(**ranges: tuple[float, float]) -> dict[str, Any]:
    """The description of :func:`on_parameters`, as artifacts hold it."""
    return on_parameters(**ranges).describe()


def known_of(names: tuple[str, ...], values: ArrayLike) -> list[Known]:
    """Environments of which parameters [environment, parameter] are known."""
    import numpy as np

    return [Known(parameters=dict(zip(names, map(float, row), strict=True))) for row in np.asarray(values)]
