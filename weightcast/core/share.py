"""The rows of a step's batch that one of several processes computes, or one process at a time."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor

    from weightcast.core.draws import Draws


@dataclass(frozen=True)
class Share:
    """Consecutive rows of a whole.

    A loss that is a mean over the whole is the sum of the shares' own means, each times its ``weight``. So processes
    that compute a share each, and add up what they get, have the loss and the gradient of the whole batch, also where
    rows do not divide evenly.

    Attributes:
        first: row of the share.
        end: the row after its last one.
        whole: rows of all shares together.
    """

    first: int
    end: int
    whole: int

    @classmethod
    def of(cls, whole: int, number: int, count: int) -> Share:
        """One of ``count`` shares that differ by a row at most."""
        return cls(whole * number // count, whole * (number + 1) // count, whole)

    @classmethod
    def all_of(cls, whole: int) -> Share:
        """All rows."""
        return cls(0, whole, whole)

    def pieces(self, most: int | None) -> list[Share]:
        """This share in the fewest pieces of at most so many rows that differ by a row at most; None: in one.

        A process that computes them one after the other holds what one of them takes.
        """
        count = 1 if most is None else max(1, -(-len(self) // most))
        ends = [self.first + len(self) * number // count for number in range(count + 1)]
        return [Share(first, end, self.whole) for first, end in pairwise(ends)]

    def __len__(self) -> int:
        return self.end - self.first

    @property
    def rows(self) -> slice:
        """The share's rows, for indexing the whole."""
        return slice(self.first, self.end)

    @property
    def weight(self) -> float:
        """What the share's mean counts in the mean of the whole; 1 for all of it."""
        return len(self) / self.whole

    def draws(self, draws: Draws) -> Draws:
        """The same stream of random numbers, of which only this share's rows are given.

        Each call draws for the whole and asks for as many rows as the share has, on the leading axis. So a row's
        numbers do not depend on how many shares there are.
        """
        if len(self) == self.whole:
            return draws
        from weightcast.core.draws import DrawsOfRows

        return DrawsOfRows(draws, self)

    def take(self, whole: Tensor) -> Tensor:
        """This share's rows of a tensor [whole, ...]."""
        return whole[self.first : self.end]
