"""Numbers that stand for missing values where somebody says so, and no file declares them (``data.missing``)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray


def are_marks(values: NDArray[np.floating], marks: Sequence[float]) -> NDArray[np.bool_]:
    """Where values, of any shape, are one of some numbers, in single precision, in which the pipeline has both."""
    return np.isin(values.astype(np.float32), np.asarray(marks, np.float32))


def without_marks(values: NDArray[np.float32], marks: Sequence[float] | None) -> NDArray[np.float32]:
    """Values with NaN in the place of each such number; the same object where there is none of these numbers."""
    if not marks:
        return values
    found = are_marks(values, marks)
    return np.where(found, np.float32(np.nan), values) if found.any() else values


def marks_there(values: NDArray[np.floating], marks: Sequence[float]) -> set[float]:
    """Those of some numbers that values hold."""
    return {mark for mark in marks if are_marks(values, [mark]).any()}
