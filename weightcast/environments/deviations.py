"""How a zoo's weights deviate from their origins, in memory where they fit, else made when they are asked for."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor

from weightcast.core.run import Run
from weightcast.core.stored_tensor import Rows
from weightcast.environments.vae import WeightVAE

COPIES = 5
"""Of a zoo's weights, while statistics of them are made: themselves, deviations, and what comes on the way."""


class Deviations:
    """Members of a zoo as a weight VAE is shown them.

    Args:
        run: whose device they come to, and whose memory says whether all of them are there at once.
        vae: whose origins they deviate from.
        weights: the zoo [member, weight].
        prepared: coordinates of the environments [environment, coordinate], on the device.
        environment_of: long [member]; position of each member's environment in ``prepared``, on the device.
    """

    def __init__(self, run: Run, vae: WeightVAE, weights: Rows, prepared: Tensor, environment_of: Tensor) -> None:
        self._run, self._vae, self._prepared, self._environment_of = run, vae, prepared, environment_of
        self._weights = weights
        members, self._width = weights.shape
        self._origins: Tensor | None = None
        if run.holds((COPIES * members + len(prepared)) * self._width):
            self._weights = run.place(weights[:])
            with torch.no_grad():
                self._origins = vae.origins(prepared)

    def __len__(self) -> int:
        return len(self._weights)

    def weights(self, members: Tensor) -> Tensor:
        """Weights of some members [member, weight], on the device."""
        return self._run.place(self._weights[members])

    @torch.no_grad()
    def origins(self, members: Tensor) -> Tensor:
        """What they deviate from [member, weight]."""
        environments = self._environment_of[members]
        if self._origins is not None:
            return self._origins[environments]
        which, place = environments.unique(return_inverse=True)
        return self._vae.origins(self._prepared[which])[place]

    @torch.no_grad()
    def latents(self) -> Rows:
        """Latents of all members [member, node, latent], on the device, or in a file if they do not fit."""
        vae, first = self._vae, 0
        room = self._run.room(len(self), vae.graph.num_nodes, vae.latent)
        found = self._run.place(room) if isinstance(room, Tensor) else room
        for block in self.blocks(vae.coding_numbers):
            found[first : first + len(block)] = vae.encode_deviations(block)
            first += len(block)
        return found

    def blocks(self, numbers_each: int = 0) -> Iterator[Tensor]:
        """Deviations [member, weight] of all members, some after the others.

        Args:
            numbers_each: that are made of each, beside copies of its weights.
        """
        together = self._run.together(COPIES * self._width + numbers_each)
        for members in torch.arange(len(self), device=self._environment_of.device).split(together):
            yield self.weights(members) - self.origins(members)
