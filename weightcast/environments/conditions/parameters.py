"""The condition ``parameters``: known numbers of an environment, scaled to [-1, 1] over the visible range."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from weightcast.core.errors import InputError
from weightcast.environments.conditions.condition import Condition, Known
from weightcast.environments.config.condition import ConditionSettings
from weightcast.environments.scaling import ParameterScaling

GRID_POINTS = 5
"""Of the grid that a search starts from, along each of up to three parameters."""
SPREAD_POINTS = 128
"""Points that a search starts from where there are more parameters."""


class ParametersCondition(Condition):
    """Scaled parameters, as they are: nothing is learned here, and an embedding is the coordinates themselves.

    Attributes:
        scaling: names and visible ranges.
    """

    def __init__(self, scaling: ParameterScaling) -> None:
        super().__init__()
        self.scaling = scaling
        self.coordinates = self.width = len(scaling.names)

    @classmethod
    def of(
        cls, visible: Sequence[Known], logarithmic: Sequence[str] = (), settings: ConditionSettings | None = None
    ) -> ParametersCondition:
        names = list(_parameters(visible[0]))
        return cls(ParameterScaling.of(names, _values(visible, names), logarithmic))

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> ParametersCondition:
        return cls(ParameterScaling.from_metadata(description["scaling"]))

    def describe(self) -> dict[str, Any]:
        return {"kind": "parameters", "scaling": self.scaling.metadata()}

    def prepare(self, known: Sequence[Known]) -> Tensor:
        return self.scaling.apply(_values(known, self.scaling.names))

    def forward(self, prepared: Tensor) -> Tensor:
        return prepared

    def towards(self, other: Condition) -> nn.Module:
        same = isinstance(other, ParametersCondition) and (
            (other.scaling.names, set(other.scaling.logarithmic)) == (self.scaling.names, set(self.scaling.logarithmic))
        )
        if not same:
            raise InputError(
                "condition: found one of another kind, with other parameters or with other logarithms, expected the "
                "same ones"
            )
        assert isinstance(other, ParametersCondition)
        with torch.device("cpu"):  # also where a network is built without numbers, for its sizes alone
            ends = [torch.full((1, self.coordinates), end) for end in (0.0, 1.0)]
            zero, one = (other.scaling.apply(self.scaling.invert(end).numpy())[0] for end in ends)
        return _Affine(one - zero, zero)  # either scaling is linear in the same numbers

    def candidates(self) -> Tensor:
        if self.coordinates <= 3:
            axis = torch.linspace(-1.0, 1.0, GRID_POINTS)
            return torch.cartesian_prod(*[axis] * self.coordinates).reshape(-1, self.coordinates)
        return 2.0 * torch.quasirandom.SobolEngine(self.coordinates, seed=0).draw(SPREAD_POINTS) - 1.0

    def named(self, prepared: Tensor) -> dict[str, float]:
        return dict(zip(self.scaling.names, self.scaling.invert(prepared.cpu()).tolist(), strict=True))

    def check(self, known: Known, source: str) -> list[str]:
        parameters = _parameters(known)
        warnings = self.scaling.check(parameters, source)
        if not all(np.isfinite(value) for value in parameters.values()):
            raise InputError(f"{source}: found {dict(parameters)}, expected finite numbers")
        return warnings


CONDITION = ParametersCondition


class _Affine(nn.Module):
    """Another scale and origin of every coordinate."""

    scale: Tensor
    shift: Tensor

    def __init__(self, scale: Tensor, shift: Tensor) -> None:
        super().__init__()
        self.register_buffer("scale", scale)
        self.register_buffer("shift", shift)

    def forward(self, prepared: Tensor) -> Tensor:
        return prepared * self.scale + self.shift


def _parameters(known: Known) -> Mapping[str, float]:
    if known.parameters is None:
        raise InputError("condition: found an environment without parameters, expected their values")
    return known.parameters


def _values(known: Sequence[Known], names: Sequence[str]) -> NDArray[np.float64]:
    """[environment, parameter] in the user's units."""
    rows = [[_parameters(one)[name] for name in names] for one in known]
    return np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
