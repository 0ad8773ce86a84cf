"""How far codes of an ensemble are moved apart for bands: little between the visible environments, more outside.

What samples leave open of a code is not all that may be wrong: the map is off, too, the more the farther outside of the
visible codes. By how much left-out visible environments say, those at the edge and those inside apart; between these a
new environment's factor follows from how far outside its codes lie.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from weightcast.core.errors import InputError
from weightcast.environments.code_priors import CodePrior


@dataclass(frozen=True)
class Inflation:
    """A factor of the distances of an ensemble's codes from their mean.

    Attributes:
        inside, edge: of environments whose codes lie as far outside as those that judged.
        near, far: how far these lay from the mean of the visible codes, in standard deviations.
    """

    inside: float = 1.0
    edge: float = 1.0
    near: float = 0.0
    far: float = 1.0

    def factor(self, distance: Tensor) -> Tensor:
        """At so many standard deviations from the mean of the visible codes [...]; straight between ``near`` and
        ``far``, and constant elsewhere."""
        if self.far <= self.near:  # judges tell no difference
            return torch.full_like(distance, 0.5 * (self.inside + self.edge))
        share = ((distance - self.near) / (self.far - self.near)).clamp(0.0, 1.0)
        return self.inside + share * (self.edge - self.inside)

    def moved_apart(self, codes: Tensor, visible: Tensor) -> Tensor:
        """Codes of an ensemble [..., draw, number], farther from their mean.

        Args:
            codes: of one map.
            visible: the visible environments' codes under it [visible, number].
        """
        centre = codes.mean(-2, keepdim=True)
        return centre + self.factor(outside(codes, visible))[..., None, None] * (codes - centre)

    def describe(self) -> dict[str, float]:
        """JSON values to build it again from."""
        return asdict(self)

    @classmethod
    def described(cls, values: Mapping[str, Any]) -> Inflation:
        """The inverse of :meth:`describe`.

        Raises:
            InputError: a number is missing, not finite or not above 0.
        """
        if set(values) != set(cls.__dataclass_fields__):
            raise InputError(f"inflation: expected the keys {', '.join(cls.__dataclass_fields__)}")
        found = cls(**{name: float(value) for name, value in values.items()})
        if not np.isfinite(list(asdict(found).values())).all() or min(found.inside, found.edge) <= 0:
            raise InputError("inflation: expected finite numbers, and factors above 0")
        return found


def outside(codes: Tensor, visible: Tensor) -> Tensor:
    """How far the mean of an ensemble's codes [..., draw, number] lies from that of the visible ones [visible, number],
    in their standard deviations [...]."""
    return CodePrior.of(visible, 1.0).whitened(codes.mean(-2)).norm(dim=-1)
