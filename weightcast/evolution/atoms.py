"""Real dimensions in which values repeat: zeros of genes that are not expressed, a detection limit, a few counts.

A density has no bound where samples repeat exactly: its likelihood is as high as its Gaussians may be narrow, and says
nothing. Such a value has a probability of its own here, and the law of a dimension is a mixture of it and a density.
Log-likelihoods are then with regard to lengths and points together: they compare such laws with each other alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.evolution.state_space import Reals, drawn_position

MOST_ATOMS = 32
"""Values of a dimension that have a probability of their own, at most: those that repeat most."""
FEWEST_REPEATS = 3
"""Samples of a snapshot that must agree, however few there are."""

Atoms = tuple[tuple[float, ...], ...]


def repeated_values(samples: Sequence[NDArray[np.float64]], share: float) -> Atoms:
    """Values of each dimension that at least this share of some snapshot's samples takes exactly.

    Args:
        samples: of each snapshot [sample, dimension].
        share: above 0; from 1 on there are none.

    Returns:
        for each dimension its values, increasing; none where none repeats so often.
    """
    if share >= 1:
        return ((),) * samples[0].shape[1]
    found = []
    for dimension in range(samples[0].shape[1]):
        most: dict[float, float] = {}
        for part in samples:
            values, counts = np.unique(part[:, dimension], return_counts=True)
            often = counts >= max(FEWEST_REPEATS, share * len(part))
            for value, count in zip(values[often], counts[often], strict=True):
                most[float(value)] = max(most.get(float(value), 0.0), float(count) / len(part))
        found.append(tuple(sorted(sorted(most, key=lambda value: (-most[value], value))[:MOST_ATOMS])))
    return tuple(found)


@dataclass(frozen=True)
class RealsWithAtoms(Reals):
    """Real numbers, some of whose values have a probability of their own.

    Attributes:
        atoms: for each dimension the values that do [atom], in the data's units.
    """

    atoms: Atoms = ()

    @property
    def most(self) -> int:
        """The number of atoms of the dimension that has most."""
        return max(len(values) for values in self.atoms)

    @property
    def features(self) -> int:
        return 2

    @property
    def outputs(self) -> int:
        return 3 * self.components + self.most

    def encode(self, values: Tensor) -> Tensor:
        return torch.cat([super().encode(values), self._is_atom(values).any(-1, keepdim=True).float()], dim=-1)

    def encode_one(self, values: Tensor, dimension: int) -> Tensor:
        repeated = values[..., None] == self._table(values)[dimension]
        return torch.cat([super().encode_one(values, dimension), repeated.any(-1, keepdim=True).float()], dim=-1)

    def log_prob(self, outputs: Tensor, values: Tensor) -> Tensor:
        """Log probability of a value that is an atom, log density of any other."""
        every, continuous = self._logits(outputs, self._table(values).isnan()), outputs[..., : 3 * self.components]
        total = every.logsumexp(-1)
        is_atom = self._is_atom(values)
        found = torch.where(is_atom, every[..., self.components :], -torch.inf).logsumexp(-1) - total
        share = every[..., : self.components].logsumexp(-1) - total
        return torch.where(is_atom.any(-1), found, share + super().log_prob(continuous, values))

    def draw(self, outputs: Tensor, dimension: int, noise: Tensor) -> Tensor:
        table = self._table(noise)[dimension]
        every = self._logits(outputs, table.isnan())
        chosen = drawn_position(every, noise[0])
        _, means, scales = self._mixture(outputs[..., : 3 * self.components])
        component = chosen.clamp(max=self.components - 1)[..., None]
        drawn = self.drawn_value(means.gather(-1, component), scales.gather(-1, component), dimension, noise[1])
        atom = table[(chosen - self.components).clamp(min=0)]
        return torch.where(chosen < self.components, drawn, atom)

    def describe(self) -> dict[str, Any]:
        return super().describe() | {"atoms": [list(values) for values in self.atoms]}

    def _table(self, like: Tensor) -> Tensor:
        """Values [dimension, atom], NaN where a dimension has no further one, where another tensor is."""
        rows = [[*values, *[float("nan")] * (self.most - len(values))] for values in self.atoms]
        return torch.tensor(rows, dtype=torch.float64, device=like.device)

    def _is_atom(self, values: Tensor) -> Tensor:
        """Values [..., dimension] -> which atom each is [..., dimension, atom]."""
        return values[..., None] == self._table(values)

    def _logits(self, outputs: Tensor, missing: Tensor) -> Tensor:
        """Of components and atoms together [..., component + atom]; atoms that are missing [..., atom] have none."""
        atoms = torch.where(missing, -torch.inf, outputs[..., 3 * self.components :])
        return torch.cat([outputs[..., : self.components], atoms], dim=-1)
