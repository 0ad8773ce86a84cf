"""Random numbers of a computation: drawn on the CPU and moved, so that every device sees the same ones."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.core.seeds import derive_seed


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
        return torch.randn(shape, generator=self.generator, dtype=dtype, device="cpu").to(self.device)

    def uniform(self, *shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        """Numbers of this shape, evenly distributed from 0 to 1."""
        return torch.rand(shape, generator=self.generator, dtype=dtype, device="cpu").to(self.device)

    def integers(self, high: int, *shape: int) -> Tensor:
        """Whole numbers of this shape, from 0 to ``high`` - 1."""
        return torch.randint(high, shape, generator=self.generator, device="cpu").to(self.device)

    def integer(self, low: int, high: int) -> int:
        """One whole number from ``low`` to ``high`` - 1."""
        return int(torch.randint(low, high, (), generator=self.generator, device="cpu"))

    def permutation(self, count: int) -> Tensor:
        """The numbers 0 to ``count`` - 1 in random order."""
        return torch.randperm(count, generator=self.generator, device="cpu").to(self.device)
