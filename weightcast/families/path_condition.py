"""What a diffusion over paths is told of an environment: parameters, what a network says of its samples, or both."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.environments.conditions.condition import Embedding


class PathCondition(Embedding):
    """Numbers and, of each part, whether it is known; nothing is learned here.

    Args:
        parameters: of an environment; 0 where there are none.
        said: numbers that the network says which reads samples; 0 without one.
    """

    def __init__(self, parameters: int, said: int) -> None:
        super().__init__()
        self.of_parameters, self.of_samples = parameters, said
        self.coordinates = self.width = parameters + said + 2

    def prepare(self, parameters: Tensor | None, said: Tensor | None, count: int) -> Tensor:
        """What is known of so many environments.

        Args:
            parameters: scaled [environment, parameter]; None: they are not known.
            said: of samples [environment, number]; None: none are shown.
            count: of the environments.

        Returns:
            coordinates [environment, coordinate], zeros where nothing is known.
        """
        prepared = torch.zeros(count, self.coordinates)
        of_samples = self.of_parameters + 1
        for values, first, width in ((parameters, 0, self.of_parameters), (said, of_samples, self.of_samples)):
            if values is not None and width:
                prepared = prepared.to(values.device)
                prepared[:, first : first + width] = values
                prepared[:, first + width] = 1.0
        return prepared

    def without(self, prepared: Tensor, parameters: Tensor, said: Tensor) -> Tensor:
        """The same where the parameters, or what is said, of some environments are not known, bool [environment]."""
        first = torch.arange(self.coordinates, device=prepared.device) <= self.of_parameters
        return prepared.masked_fill((parameters[:, None] & first) | (said[:, None] & ~first), 0.0)

    def forward(self, prepared: Tensor) -> Tensor:
        return prepared
