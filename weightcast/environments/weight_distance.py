"""How far apart the weights of networks are, measured by a zoo of experts."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.graph import WeightGraph
from weightcast.environments.weight_statistics import WeightStatistics, by_layer_of, mean_squares

_LEAST = 1e-6
"""Of a layer's spread, relative to the mean of all layers': one that no expert moves must not divide by zero."""


@dataclass(frozen=True)
class WeightDistance:
    """A root mean square over all weights, each in units of its layer's spread over a zoo.

    The spread of a layer is the root mean square of its weights' deviations from the zoo's mean expert: two experts of
    unrelated environments are about 1.4 apart, whatever the layers' sizes.

    Attributes:
        centre: mean expert [weight].
        scale: of each weight [weight].
    """

    centre: Tensor
    scale: Tensor

    @classmethod
    def of(cls, blocks: Iterable[Tensor], graph: WeightGraph) -> WeightDistance:
        """Measured by experts, block by block [member, weight]; a spread of zero is one of all layers alike."""
        found = WeightStatistics.of(blocks, by_layer_of(graph))
        return cls(found.mean, of_layers(found.square, graph))

    def coordinates(self, weights: Tensor, columns: slice = slice(None)) -> Tensor:
        """Weights [..., weight], or some columns of them, as points whose Euclidean distance is that of the weights."""
        return (weights - self.centre[columns]) / (self.scale[columns] * self.scale.numel() ** 0.5)

    def between(self, first: Tensor, second: Tensor) -> Tensor:
        """Distances [...] of weights [..., weight] that broadcast."""
        return ((first - second) / self.scale).square().mean(-1).sqrt()


def by_layer(deviations: Tensor, graph: WeightGraph, degrees: int | None = None) -> Tensor:
    """Root mean square of deviations [member, weight] over members and the entries of each layer: [weight].

    Args:
        deviations: from a mean, or from several.
        graph: of the predictor.
        degrees: of freedom of the members, as many as there are if None.
    """
    share = len(deviations) / (len(deviations) if degrees is None else degrees)
    return of_layers(mean_squares(deviations, graph) * share, graph)


def of_layers(squares: Tensor, graph: WeightGraph) -> Tensor:
    """Roots of the layers' mean squares [layer], for each weight [weight]; none is zero."""
    spreads = squares.sqrt()
    spreads = spreads.clamp(min=float(_LEAST * spreads.mean())) if spreads.any() else torch.ones_like(spreads)
    return graph.flat(
        [spread.expand(1, layer.nodes, layer.width) for spread, layer in zip(spreads, graph.layers, strict=True)]
    )[0]


def within(points: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Mean squared distance of the members of a group from each other, for each group.

    Args:
        points: coordinates [member, ...].
        groups: positions of the members of each group.

    Returns:
        [group]. Of a group of one member, where others have several, their median; where none has, the squared distance
        to the nearest member of another group, so that there is something to compare with. NaN where there is nothing.
    """
    flat = points.flatten(1)

    def apart() -> Tensor:
        centred = flat - flat.mean(0)  # distances are differences of products, which lose what all have in common
        return torch.cdist(centred, centred).square()

    return completed(spreads_of_groups(flat, groups), groups, apart)


def spreads_of_groups(points: Tensor, groups: Sequence[Sequence[int]]) -> Tensor:
    """Mean squared distances within groups of several members [group]; NaN of the others. See :func:`within`."""
    squares = torch.full((len(groups),), torch.nan)
    for number, group in enumerate(groups):
        if len(group) > 1:  # the mean square of pairs is twice the variance
            squares[number] = 2 * float(points[list(group)].var(0).sum())
    return squares


def completed(squares: Tensor, groups: Sequence[Sequence[int]], apart: Callable[[], Tensor]) -> Tensor:
    """Mean squared distances with something in the place of those that there are not; see :func:`within`.

    Args:
        squares: of groups of several members [group]; NaN of the others.
        groups: positions of the members of each group.
        apart: squared distances of all members from each other [member, member], if they are needed.
    """
    several = ~squares.isnan()
    if several.any():
        return torch.where(several, squares, squares[several].median())
    if len(groups) > 1:
        others = apart().fill_diagonal_(torch.inf).amin(1)
        return torch.stack([others[list(group)].mean() for group in groups]).float().cpu()
    return squares
