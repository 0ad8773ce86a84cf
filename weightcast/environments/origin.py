"""What a generator models weights relative to: those that the base gives in the same environment.

Experts start from their base, so most of what distinguishes environments is in the base already, and a generator has
only the experts' deviations from it to learn. Between and beyond the visible environments it inherits how the base
interpolates and extrapolates.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from weightcast.core.graph import WeightGraph
from weightcast.environments.base import Base
from weightcast.environments.scaling import ParameterScaling
from weightcast.environments.weight_maps import build_weight_map


class Origin(nn.Module):
    """A trained base behind a change of scale: it stays as it is when an environment joins the table, scaling does not.

    Args:
        weight_map: of the base; not trained any more.
        parameters: how many an environment has.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, weight_map: nn.Module, parameters: int) -> None:
        super().__init__()
        self.weight_map = weight_map.requires_grad_(False)
        self.register_buffer("scale", torch.ones(parameters))
        self.register_buffer("shift", torch.zeros(parameters))

    @classmethod
    def of(cls, base: Base, scaling: ParameterScaling) -> Origin:
        """From a base, for parameters that are scaled by ``scaling``."""
        count = len(scaling.names)
        origin = cls(base.weight_map, count)
        zero, one = (base.scaling.apply(scaling.invert(torch.full((1, count), end)).numpy())[0] for end in (0.0, 1.0))
        origin.shift.copy_(zero)
        origin.scale.copy_(one - zero)  # either scaling is linear in the same numbers
        return origin

    def forward(self, parameters: Tensor) -> Tensor:
        """Scaled parameters [environment, parameter] -> weights [environment, weight]."""
        return self.weight_map(parameters * self.scale + self.shift)


def build_origin(description: Mapping[str, Any] | None, graph: WeightGraph) -> Origin | None:
    """An origin whose tensors are still to be loaded, from the description of the base's weight map; None from None."""
    if description is None:
        return None
    weight_map = build_weight_map(dict(description), torch.zeros(graph.num_parameters), graph)
    return Origin(weight_map, int(description["parameters"]))
