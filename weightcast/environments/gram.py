"""Inner products of many long vectors, some of their numbers at a time: what their principal components, and the
distances between them, are made of where the vectors do not fit into memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
from scipy.linalg import eigh
from torch import Tensor


def gram_matrix(blocks: Iterable[Tensor]) -> Tensor:
    """Inner products of points' deviations from their mean [point, point], in double precision, on the CPU.

    Args:
        blocks: some numbers of all points after the others [point, number].
    """
    gram = torch.zeros(())
    for block in map(_centred, blocks):
        gram = gram + block @ block.T if gram.ndim == 0 else gram.addmm_(block, block.T)
    return gram


def squared_distances(gram: Tensor) -> Tensor:
    """Squares of the distances between points [point, point], from the inner products of their deviations."""
    sizes = gram.diagonal()
    return (sizes[:, None] + sizes - 2.0 * gram).clamp(min=0.0)


def principal_plane(blocks: Callable[[], Iterator[Tensor]]) -> tuple[Tensor, Tensor]:
    """The first two principal components of three points or more.

    Args:
        blocks: begins again with each call: some numbers of all points after the others [point, number].

    Returns:
        Coordinates of the points [point, 2], the largest entry of each direction being positive, and the share of the
        variance that each has [2].
    """
    gram = gram_matrix(blocks())
    last = len(gram) - 1
    found, vectors = eigh(gram.numpy(), subset_by_index=[last - 1, last])
    sizes = torch.from_numpy(np.sqrt(np.clip(found[::-1], 0.0, None)).copy())
    left = torch.from_numpy(vectors[:, ::-1].copy())
    largest = torch.zeros(2, dtype=torch.float64)
    for block in map(_centred, blocks()):
        directions = left.T @ block  # [2, number], each as long as its component is large
        ends = directions.gather(1, directions.abs().argmax(1, keepdim=True))[:, 0]
        largest = torch.where(ends.abs() > largest.abs(), ends, largest)
    return left * sizes * torch.sign(largest), sizes.square() / gram.trace()


def _centred(block: Tensor) -> Tensor:
    block = block.cpu().double()
    return block.sub_(block.mean(0))
