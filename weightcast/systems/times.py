"""Times at which trajectories are recorded."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError


def checked_times(times: NDArray[np.float64]) -> NDArray[np.float64]:
    """Times [time] in double precision.

    Raises:
        InputError: they have more than one dimension, are negative or not finite, or do not ascend.
    """
    times = np.asarray(times, np.float64)
    if times.ndim != 1:
        raise InputError(f"times: found an array of {times.ndim} dimensions, expected 1")
    unusable = ~(np.isfinite(times) & (times >= 0))
    if unusable.any():
        raise InputError(f"times: found {times[unusable][0]:g}, expected finite times of at least 0")
    if (np.diff(times) < 0).any():
        position = int(np.argmax(np.diff(times) < 0))
        raise InputError(f"times: found {times[position + 1]:g} after {times[position]:g}, expected ascending times")
    return times
