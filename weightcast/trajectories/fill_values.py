"""Numbers that usually stand for missing values, where nobody has declared them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

USUAL = (
    *(-99.0, -99.9, -999.0, -999.9, -999.99, -9999.0, -9999.9, -99999.0, -999999.0, -8888.0, -7777.0),
    *(999.0, 999.9, 9999.0, 9999.9, 99999.0, 99999.9, 999999.0),
    *(-32768.0, -32767.0, 32767.0, 65535.0, -2147483648.0, 2147483647.0),
    *(9.969209968386869e36, 1e15, 1e20, -1e20, 1e30, -1e30, 1e34, -1e34, 1e35, -1e35, 1e36, 1e37),
)
"""Of instruments, archives and data formats."""
APART = 1.0
"""Ranges of all other values that such a number lies away from them, from which on it is taken for a mark."""


@dataclass(frozen=True)
class UsualMark:
    """Such a number among values.

    Attributes:
        value: as it is stored.
        count: how often it is there.
        low: least of the values that are no such number.
        high: greatest of them.
    """

    value: float
    count: int
    low: float
    high: float


def usual_mark(values: NDArray[np.floating]) -> UsualMark | None:
    """The first of the usual marks that values hold more than once and far from all others.

    Where all others are positive or 0, a negative one need not be far. Several may be there at once, and then none of
    them counts among the others.

    Args:
        values: of any shape; NaN and Inf do not count.
    """
    known = values[np.isfinite(values)]
    if not known.size:
        return None
    least, most = known.min(), known.max()
    marks = np.array(USUAL).astype(known.dtype)
    there = marks[(marks >= least) & (marks <= most)]
    if not len(there):
        return None
    is_mark = np.isin(known, there)
    others = known[~is_mark]
    if not is_mark.any() or not others.size:
        return None
    low, high = float(others.min()), float(others.max())
    for mark, count in zip(*np.unique(known[is_mark], return_counts=True), strict=True):
        distance = max(low - float(mark), float(mark) - high)
        apart = distance > 0 and distance >= APART * (high - low)
        if count > 1 and (apart or (mark < 0 <= low)):
            return UsualMark(float(mark), int(count), low, high)
    return None
