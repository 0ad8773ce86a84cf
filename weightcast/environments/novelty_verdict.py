"""Whether a method's weights are new, or copies of experts: novelty.csv, paired by environment and judged."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd

from weightcast.core.significance import FEWEST_PAIRS, paired_p, value_grid

SIGNIFICANT = 0.05

Side = Literal["below", "above", "level"]
Standing = Literal["memorised", "new", "undecided"]


@dataclass(frozen=True)
class Pairs:
    """A method's values beside their yardsticks; a pair an environment, each averaged over seeds.

    Attributes:
        value: median over environments.
        yardstick: median over environments.
        above: environments in which the value is above its yardstick.
        below: environments in which it is below.
        count: of environments.
        p: of the two-sided signed-rank test; NaN with fewer than six environments.
    """

    value: float
    yardstick: float
    above: int
    below: int
    count: int
    p: float

    @classmethod
    def of(cls, values: np.ndarray, yardsticks: np.ndarray) -> Pairs:
        """Both [environment], in the same order."""
        return cls(
            value=float(np.median(values)),
            yardstick=float(np.median(yardsticks)),
            above=int((values > yardsticks).sum()),
            below=int((values < yardsticks).sum()),
            count=len(values),
            p=paired_p(values, yardsticks),
        )

    @property
    def side(self) -> Side:
        """Where the values are, seen from the yardstick: significantly so, or, of too few to test, all of them."""
        sure = self.p < SIGNIFICANT if self.count >= FEWEST_PAIRS else self.count in (self.above, self.below)
        if not sure or self.above == self.below:
            return "level"
        return "above" if self.above > self.below else "below"


@dataclass(frozen=True)
class Judgement:
    """What novelty.csv says of one method.

    Attributes:
        method: its name.
        unseen: whether of unseen environments, else of the visible ones, since there are no others.
        pairs: by reference and measure.
    """

    method: str
    unseen: bool
    pairs: Mapping[tuple[str, str], Pairs]

    @property
    def standing(self) -> Standing:
        """Memorised: nearer to an expert, in weights or behaviour, than experts of one environment are to each other.

        New: farther in both. A copy whose neurons are permuted is far in weights and the same in behaviour.
        """
        sides = {self.pairs["nearest", "weights"].side, self.pairs["alike", "behaviour"].side}
        if "below" in sides:
            return "memorised"
        return "new" if sides == {"above"} else "undecided"

    @property
    def references(self) -> list[str]:
        """Those that there are."""
        return [reference for reference, measure in self.pairs if measure == "rmse"]

    @property
    def not_beaten(self) -> list[str]:
        """References whose error is not significantly above the method's."""
        return [reference for reference in self.references if self.pairs[reference, "rmse"].side != "below"]


def judge(novelty: pd.DataFrame) -> list[Judgement]:
    """Judge every method on unseen environments; on visible ones if there are no others.

    Args:
        novelty: columns ``NOVELTY_COLUMNS`` of weightcast/core/tables.py.

    Raises:
        InputError: a value occurs twice, or an environment lacks a seed that others have.
    """
    of_unseen = novelty["split"] != "visible"
    chosen = novelty[of_unseen] if of_unseen.any() else novelty
    judged = []
    for name, of_method in chosen.groupby("method", sort=False):
        pairs = {
            (str(reference), str(measure)): _pairs(rows, str(measure))
            for (reference, measure), rows in of_method.groupby(["reference", "measure"], sort=False)
        }
        judged.append(Judgement(str(name), bool(of_unseen.any()), pairs))
    return judged


def _pairs(rows: pd.DataFrame, measure: str) -> Pairs:
    values = value_grid(rows, measure).mean(axis=1)
    yardsticks = value_grid(rows.assign(value=rows["yardstick"]), measure).mean(axis=1)
    return Pairs.of(values.to_numpy(), yardsticks.to_numpy())
