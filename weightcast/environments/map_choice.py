"""Which kind of map a conditioned base is: what serves visible environments that it has not seen."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.environments.left_out import left_out_environments, number_of_judges

WORST = 10.0
"""Error in standard deviations of the channels from which on a forecast is as bad as any."""
AS_GOOD = 0.05
"""Difference of scores (mean logarithms of errors) that a few left-out environments do not decide."""


@dataclass(frozen=True)
class MapChoice:
    """What left-out environments chose.

    Attributes:
        chosen: name of the kind.
        errors: of every kind: medians at the edge and inside, and the score, which decides.
        edge: positions of the environments at the edge.
        inside: of the others that were left out.
    """

    chosen: str
    errors: Mapping[str, Mapping[str, float]]
    edge: Sequence[int]
    inside: Sequence[int]

    @property
    def judges(self) -> int:
        """How many environments were left out."""
        return len(self.edge) + len(self.inside)

    def metadata(self, ids: Sequence[str]) -> dict[str, Any]:
        """JSON values; ``ids`` are those of all visible environments."""
        errors = {kind: dict(of_kind) for kind, of_kind in self.errors.items()}
        edge, inside = ([ids[one] for one in rows] for rows in (self.edge, self.inside))
        return {"chosen": self.chosen, "candidates": errors, "edge": edge, "inside": inside}


def mean_logarithm(errors: Tensor) -> float:
    """Score of errors [environment] in standard deviations: factors count, not differences, and what blows up is as bad
    as ten standard deviations."""
    return float(errors.clamp(1e-9, WORST).log().mean())


def choose_map(
    kinds: Sequence[str],
    errors_of: Callable[[str, Sequence[int], Sequence[int]], Tensor],
    prepared: Tensor,
    left_out: float,
    draws: Draws,
) -> MapChoice:
    """Choose among kinds of maps by their forecasts for visible environments that they were not trained on.

    Args:
        kinds: their names.
        errors_of: (kind, environments to train on, environments that judge), by position -> error of the forecasts of
            each that judges, in standard deviations of the channels.
        prepared: coordinates of all visible environments [environment, coordinate]: a few numbers, which say which of
            them lie outside of the others.
        left_out: share of the environments that judge, half of them at the edge.
        draws: source of those that are not at the edge.
    """
    (fold,) = left_out_environments(prepared, number_of_judges(left_out, len(prepared)), draws)
    edge, inside = fold.edge, fold.inside
    seen = fold.others(len(prepared))
    errors = {}
    for kind in kinds:
        of_kind = errors_of(kind, seen, fold.judges)
        errors[kind] = {
            "edge": float(of_kind[: len(edge)].median()),
            "inside": float(of_kind[len(edge) :].median()) if inside else float("nan"),
            "score": mean_logarithm(of_kind),
        }
    return MapChoice(min(kinds, key=lambda kind: errors[kind]["score"]), errors, edge, inside)
