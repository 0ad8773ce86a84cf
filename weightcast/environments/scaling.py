"""Environment parameters as networks see them: scaled to [-1, 1] over the visible environments.

Every method that uses parameters uses these, so none gains by the scale that the study chose.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.errors import InputError


@dataclass(frozen=True)
class ParameterScaling:
    """Names and visible ranges of the parameters; outside the range, scaled values go beyond [-1, 1].

    Attributes:
        names: of the parameters.
        low: least visible value of each, in the user's units.
        high: greatest.
        logarithmic: names of those whose logarithm is scaled; all their values are above 0.
    """

    names: tuple[str, ...]
    low: tuple[float, ...]
    high: tuple[float, ...]
    logarithmic: tuple[str, ...] = ()

    @classmethod
    def of(cls, names: Sequence[str], values: NDArray[np.float64], logarithmic: Sequence[str] = ()) -> ParameterScaling:
        """The scaling that the visible environments' parameters [environment, parameter] make."""
        return cls(tuple(names), tuple(values.min(0).tolist()), tuple(values.max(0).tolist()), tuple(logarithmic))

    @classmethod
    def from_metadata(cls, stored: dict[str, Any]) -> ParameterScaling:
        logarithmic = stored.get("logarithmic", ())  # not in artifacts from before there was a choice
        return cls(tuple(stored["names"]), tuple(stored["low"]), tuple(stored["high"]), tuple(logarithmic))

    def metadata(self) -> dict[str, Any]:
        return {
            "names": list(self.names),
            "low": list(self.low),
            "high": list(self.high),
            "logarithmic": list(self.logarithmic),
        }

    def apply(self, values: NDArray[np.float64]) -> Tensor:
        """[environment, parameter] in the user's units -> float32 scaled. A parameter that never varies becomes 0."""
        low, high = self._even(np.array(self.low)), self._even(np.array(self.high))
        width = np.where(high > low, high - low, 1.0)
        scaled = np.where(high > low, 2.0 * (self._even(values) - low) / width - 1.0, 0.0)
        return torch.from_numpy(scaled).float()

    def invert(self, scaled: Tensor) -> Tensor:
        """[..., parameter] scaled -> the user's units, float64."""
        low, high = (torch.from_numpy(self._even(np.array(bound))) for bound in (self.low, self.high))
        even = low + (scaled.double() + 1.0) / 2.0 * (high - low)
        return torch.where(torch.tensor(self._is_logarithmic, dtype=torch.bool), even.exp(), even)

    @property
    def _is_logarithmic(self) -> list[bool]:
        return [name in self.logarithmic for name in self.names]

    def _even(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """[..., parameter] in the user's units -> where equal steps count equally."""
        even = values.astype(np.float64)
        chosen = np.array(self._is_logarithmic, dtype=bool)  # also of no parameters
        even[..., chosen] = np.log(even[..., chosen])
        return even

    def check(self, parameters: Mapping[str, float], source: str) -> list[str]:
        """Check the parameters of an environment that is asked for.

        Returns:
            A warning for each parameter that lies outside the visible range.

        Raises:
            InputError: a parameter is missing or unknown, or has no logarithm where that is needed; the message names
                ``source`` and what was expected.
        """
        for name in parameters:
            if name not in self.names:
                raise InputError(f"{source}: parameter {name!r}: unknown, expected {', '.join(self.names) or 'none'}")
        for name in self.names:
            if name not in parameters:
                raise InputError(f"{source}: parameter {name!r}: missing, expected all of {', '.join(self.names)}")
        for name in self.logarithmic:
            if parameters[name] <= 0:
                raise InputError(
                    f"{source}: parameter {name!r}: found {parameters[name]:g}, expected a number above 0: the methods "
                    "see its logarithm"
                )
        warnings = []
        for name, low, high in zip(self.names, self.low, self.high, strict=True):
            value = parameters[name]
            if not low <= value <= high:
                warnings.append(f"{source}: {name}={value:g} lies outside the visible range {low:g}..{high:g}")
        return warnings
