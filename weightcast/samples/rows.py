"""Rows that each belong to a time, in any order."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray


def group_rows(
    times: NDArray[np.float64], values: NDArray[np.float64]
) -> tuple[NDArray[np.float64], tuple[NDArray[np.float64], ...]]:
    """Gather the rows of each time.

    Args:
        times: [row], finite, in any order.
        values: [row, dimension].

    Returns:
        the times there are, increasing, and for each its rows [sample, dimension] in their order in the file.
    """
    found, number = np.unique(times, return_inverse=True)
    return found.astype(np.float64), tuple(values[number == position] for position in range(len(found)))
