"""Random numbers of a computation: drawn on the CPU and moved, so that every device sees the same ones."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.core.seeds import derive_seed
from weightcast.core.share import Share


class Draws:
    """A stream of random numbers for one purpose.

    torch's generators give other numbers on every kind of device. So each stream is drawn on the CPU, whatever device
    its numbers are for, and a computation on a GPU agrees with one on the CPU within rounding.

    Args:
        device: where the numbers are needed.
        purpose: names and numbers that the seed is derived from (:func:`weightcast.core.seeds.derive_seed`); a single
            number is taken for the seed itself.
    """

    def __init__(self, device: torch.device | str, *purpose: str | int) -> None:
        self.device = torch.device(device)
        seed = purpose[0] if len(purpose) == 1 and isinstance(purpose[0], int) else derive_seed(*purpose)
        self.generator = torch.Generator().manual_seed(int(seed))

    def normal(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Standard normal numbers of this shape."""
        return self._given(torch.randn(self._drawn(shape), generator=self.generator, dtype=dtype, device="cpu"))

    def uniform(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Numbers of this shape, evenly distributed from 0 to 1."""
        return self._given(torch.rand(self._drawn(shape), generator=self.generator, dtype=dtype, device="cpu"))

    def integers(self, high: int, *shape: int) -> Tensor:
        """Whole numbers of this shape, from 0 to ``high`` - 1."""
        return self._given(torch.randint(high, self._drawn(shape), generator=self.generator, device="cpu"))

    def integer(self, low: int, high: int) -> int:
        """One whole number from ``low`` to ``high`` - 1."""
        return int(torch.randint(low, high, (), generator=self.generator, device="cpu"))

    def permutation(self, count: int) -> Tensor:
        """The numbers 0 to ``count`` - 1 in random order."""
        return torch.randperm(count, generator=self.generator, device="cpu").to(self.device)

    def _drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        """The shape in which numbers are drawn, for a shape that is asked for."""
        return shape

    def _given(self, drawn: Tensor) -> Tensor:
        """Of what was drawn, what was asked for, where it is needed."""
        return drawn.to(self.device)


class DrawsOfRows(Draws):
    """A stream that goes on for a whole batch, whoever computes which of its rows; see `Share.draws`.

    Single numbers and permutations are the same for all.

    Args:
        draws: the stream that goes on.
        share: the rows that are given.
    """

    def __init__(self, draws: Draws, share: Share) -> None:
        self.device, self.generator, self.share = draws.device, draws.generator, share

    def _drawn(self, shape: tuple[int, ...]) -> tuple[int, ...]:
        if shape[:1] != (len(self.share),):
            raise ValueError(f"draws of a share: found the shape {shape}, expected {len(self.share)} rows first")
        return (self.share.whole, *shape[1:])

    def _given(self, drawn: Tensor) -> Tensor:
        return self.share.take(drawn).to(self.device)
