"""Maps of one architecture side by side on a leading axis: trained together, and asked together."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy

from torch import Tensor
from torch.func import functional_call, stack_module_state, vmap

from weightcast.families.path_map import PathMap
from weightcast.families.path_vae import PathVAE
from weightcast.families.zoo_map import ZooMap


class StackedMaps:
    """Several maps, each with first weights and a training of its own; a deep ensemble, where it is of one family.

    Args:
        maps: of one architecture, on one device.

    Attributes:
        state: of all maps, by the name of the part: [map, ...].
    """

    def __init__(self, maps: Sequence[PathMap | ZooMap | PathVAE]) -> None:
        self._plain = maps[0]  # whose own state is never used
        stacked, _ = stack_module_state(list(maps))
        self.state = {name: part.detach() for name, part in stacked.items()}

    def __len__(self) -> int:
        return len(next(iter(self.state.values())))

    def __call__(self, times: Tensor, codes: Tensor) -> Tensor:
        """Times [map, member], scaled to -1 to 1, and codes [map, member, number] -> weights [map, member, weight]."""
        return vmap(lambda state, *told: functional_call(self._plain, state, told))(self.state, times, codes)

    def apart(self) -> list[PathMap | ZooMap | PathVAE]:
        """Each map as a module of its own, which is not trained on."""
        found = []
        for place in range(len(self)):
            one = deepcopy(self._plain)
            one.load_state_dict({name: part[place].detach() for name, part in self.state.items()})
            found.append(one.requires_grad_(False))
        return found
