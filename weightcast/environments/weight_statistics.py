"""Statistics of many networks' weights, in one pass: of some networks after the others, none of them seen twice."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Self

import torch
from torch import Tensor

from weightcast.core.graph import WeightGraph


@dataclass(frozen=True)
class WeightStatistics:
    """Mean and mean square of all networks of some blocks; of a single block to the bit what torch makes of it.

    Attributes:
        count: of the networks.
        mean: of each weight [weight].
        square: mean square of the deviations from it, of each layer's entries together [layer], of each weight
            [weight], or of all together.
    """

    count: int
    mean: Tensor
    square: Tensor

    @classmethod
    def of(cls, blocks: Iterable[Tensor], squared: Callable[[Tensor], Tensor]) -> Self:
        """Statistics of blocks of weights [network, ...], merged as by Chan, Golub and LeVeque (1979).

        Args:
            blocks: in which no network is twice.
            squared: mean squares of deviations [network, ...], over networks and whatever is taken together.
        """
        count, mean, square, kind = 0, torch.zeros(()), torch.zeros(()), torch.get_default_dtype()
        for block in blocks:
            own = block.mean(0)
            within = squared(block - own)
            if count == 0:
                count, mean, square, kind = len(block), own, within, block.dtype
                continue
            whole, shift = count + len(block), own.double() - mean.double()
            share = len(block) / whole
            between = share * (1.0 - share) * squared(shift[None].to(kind)).double()
            square = (1.0 - share) * square.double() + share * within.double() + between
            mean, count = mean.double() + share * shift, whole
        return cls(count, mean.to(kind), square.to(kind))


def by_layer_of(graph: WeightGraph) -> Callable[[Tensor], Tensor]:
    """Mean squares that take each layer's entries together."""
    return partial(mean_squares, graph=graph)


def of_each_weight(deviations: Tensor) -> Tensor:
    """Mean squares of each weight [weight] over networks [network, weight]."""
    return deviations.square().mean(0)


def of_all(deviations: Tensor) -> Tensor:
    """The mean square of all entries."""
    return deviations.square().mean()


def mean_squares(deviations: Tensor, graph: WeightGraph) -> Tensor:
    """Mean square of each layer's entries [layer] over networks [network, weight]."""
    return torch.stack([tokens.square().mean() for tokens in graph.tokens(deviations)])  # each [network, node, width]


def extremes(blocks: Iterable[Tensor], graph: WeightGraph) -> tuple[Tensor, Tensor]:
    """The least and the greatest entry of each layer, each [layer], over blocks of weights [network, weight]."""
    ends = [
        (torch.stack([layer.amin() for layer in tokens]), torch.stack([layer.amax() for layer in tokens]))
        for tokens in map(graph.tokens, blocks)
    ]
    return torch.stack([low for low, _ in ends]).amin(0), torch.stack([high for _, high in ends]).amax(0)
