"""Visible environments that are left out of a training, to judge what it makes of them."""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.environments.code_priors import CodePrior

MOST_JUDGES = 32
"""Environments of a fold at most: more would cost as much each, and say little more."""


@dataclass(frozen=True)
class LeftOut:
    """Visible environments that judge what was trained on the others, by position.

    Attributes:
        edge: those that lie farthest outside of the others.
        inside: as many of the others, at random.
    """

    edge: list[int]
    inside: list[int]

    @property
    def judges(self) -> list[int]:
        """All, those at the edge first."""
        return [*self.edge, *self.inside]

    def others(self, count: int) -> list[int]:
        """Those of ``count`` environments that are trained on."""
        return [one for one in range(count) if one not in self.judges]


def number_of_judges(share: float, count: int) -> int:
    """How many of so many environments a fold leaves out: a share of them, at least one, at most all but two, and
    ``MOST_JUDGES``."""
    return max(1, min(round(share * count), count - 2, MOST_JUDGES))


def left_out_environments(codes: Tensor, wanted: int, draws: Draws, folds: int = 1) -> list[LeftOut]:
    """Which environments judge: those whose codes lie farthest outside, and as many of the others at random.

    Args:
        codes: of all visible environments [environment, dimension].
        wanted: how many of them each fold leaves out (`number_of_judges`).
        draws: source of the others.
        folds: so often others are left out, those farther inside with every fold, as far as there are environments.
    """
    count = len(codes)
    edge = (wanted + 1) // 2
    prior = CodePrior.of(codes, 1.0)
    order = prior.whitened(codes).norm(dim=1).argsort(descending=True).tolist()
    inside = order[edge:]
    shuffled = [inside[position] for position in draws.permutation(len(inside)).tolist()]
    found = []
    for fold in range(max(1, min(folds, count // wanted))):
        outside = order[fold * edge : (fold + 1) * edge]
        rest = [one for one in shuffled if one not in outside]
        found.append(LeftOut(sorted(outside), sorted(rest[fold * (wanted - edge) :][: wanted - edge])))
    return found
