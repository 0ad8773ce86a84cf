"""Environment parameters as networks see them: scaled to [-1, 1] over the visible environments."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.errors import InputError


@dataclass(frozen=True)
class ParameterScaling:
    """Names and visible ranges of the parameters; outside the range, scaled values go beyond [-1, 1]."""

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]

    @classmethod
    def of(cls, names: Sequence[str], values: NDArray[np.float64]) -> ParameterScaling:
        """From the visible environments' parameters [environment, parameter]."""
        return cls(tuple(names), tuple(values.min(0).tolist()), tuple(values.max(0).tolist()))

    @classmethod
    def from_metadata(cls, stored: dict[str, Any]) -> ParameterScaling:
        return cls(tuple(stored["names"]), tuple(stored["low"]), tuple(stored["high"]))

    def metadata(self) -> dict[str, Any]:
        return {"names": list(self.names), "low": list(self.low), "high": list(self.high)}

    def apply(self, values: NDArray[np.float64]) -> Tensor:
        """[environment, parameter] in the user's units -> float32 scaled. A parameter that never varies becomes 0."""
        low, high = np.array(self.low), np.array(self.high)
        width = np.where(high > low, high - low, 1.0)
        scaled = np.where(high > low, 2.0 * (values - low) / width - 1.0, 0.0)
        return torch.from_numpy(scaled).float()

    def invert(self, scaled: Tensor) -> Tensor:
        """[..., parameter] scaled -> the user's units, float64."""
        low, high = torch.tensor(self.low, dtype=torch.double), torch.tensor(self.high, dtype=torch.double)
        return low + (scaled.double() + 1.0) / 2.0 * (high - low)

    def check(self, parameters: Mapping[str, float], source: str) -> list[str]:
        """Check the parameters of an environment that is asked for.

        Returns:
            A warning for each parameter that lies outside the visible range.

        Raises:
            InputError: a parameter is missing or unknown; the message names ``source`` and the known ones.
        """
        for name in parameters:
            if name not in self.names:
                raise InputError(f"{source}: parameter {name!r}: unknown, expected {', '.join(self.names)}")
        for name in self.names:
            if name not in parameters:
                raise InputError(f"{source}: parameter {name!r}: missing, expected all of {', '.join(self.names)}")
        warnings = []
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            value = parameters[name]
            if not low <= value <= high:
                warnings.append(f"{source}: {name}={value:g} lies outside the visible range {low:g}..{high:g}")
        return warnings
