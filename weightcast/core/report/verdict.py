"""What every verdict is made of: a headline, a paragraph, and the best method of each family."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd

from weightcast.core.methods import method
from weightcast.core.significance import best_method


@dataclass(frozen=True)
class Verdict:
    """A headline and the paragraph below it."""

    headline: str
    paragraph: str


def best_of_family(rmse: pd.DataFrame, family: str) -> str | None:
    """The method of a family with the lowest median, among rows of the summary for RMSE in one split; None of none."""
    medians = zip(rmse["method"], rmse["median"], strict=True)
    return best_method({name: median for name, median in medians if method(name).family == family}, "rmse")
