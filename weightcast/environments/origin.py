"""What a generator models weights relative to: those that the base gives in the same environment.

Experts start from their base, so most of what distinguishes environments is in the base already, and a generator has
only the experts' deviations from it to learn. Between and beyond the visible environments it inherits how the base
interpolates and extrapolates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import Tensor, nn

from weightcast.core.graph import WeightGraph
from weightcast.environments.base import BaseNetwork, described_weight_map
from weightcast.environments.conditions import Condition
from weightcast.environments.weight_maps import PooledWeights, WeightMap


class Origin(nn.Module):
    """A trained base behind a change of coordinates: it stays as it is when an environment joins the table, the
    generator's condition does not.

    A pooled base is the same everywhere: it needs no coordinates, and goes with any condition.

    Args:
        weight_map: of the base; not trained any more.
        condition: the generator's.

    Attributes:
        is_pooled: whether it is the same in every environment.
    """

    def __init__(self, weight_map: WeightMap, condition: Condition) -> None:
        super().__init__()
        self.weight_map = weight_map.requires_grad_(False)
        self.is_pooled = isinstance(weight_map, PooledWeights)
        self.coordinates = nn.Identity() if self.is_pooled else condition.towards(weight_map.condition)

    @classmethod
    def of(cls, base: BaseNetwork, condition: Condition) -> Origin:
        """The origin that a base is to a generator with this condition."""
        return cls(base.weight_map, condition)

    def forward(self, prepared: Tensor) -> Tensor:
        """The generator's coordinates [environment, coordinate] -> weights [environment, weight]."""
        return self.weight_map(self.coordinates(prepared))


def build_origin(description: Mapping[str, Any] | None, condition: Condition, graph: WeightGraph) -> Origin | None:
    """An origin whose tensors are still to be loaded, from the description of the base's weight map; None from None."""
    return None if description is None else Origin(described_weight_map(description, graph), condition)
