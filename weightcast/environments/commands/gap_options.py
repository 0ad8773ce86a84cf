"""What ``--gaps`` of ``weightcast init`` says, and what is taken where it says nothing."""

from __future__ import annotations

from collections.abc import Sequence

from weightcast.core.config.gap_settings import GapSettings
from weightcast.core.errors import InputError

SHARE = 0.25
"""Of a window that may be missing, where nobody says so."""
RUN = 4
"""Part of a window's steps, one over it, that may be missing in a row, likewise."""
NONE = "none"


def stated_gaps(asked: Sequence[str] | None) -> list[float] | None:
    """What ``--gaps`` says: nothing of none, a share, and a number of steps; None where it is to be chosen."""
    if asked is None:
        return None
    if list(asked) == [NONE]:
        return []
    expected = "expected none, or a share between 0 and 1 and a number of steps in a row, 0.25 12 say"
    try:
        numbers = [float(word) for word in asked]
    except ValueError:
        raise InputError(f"--gaps: found {' '.join(asked)}, {expected}") from None
    whole = len(numbers) < 2 or (numbers[1] >= 1 and numbers[1] == int(numbers[1]))
    if len(numbers) > 2 or not 0 < numbers[0] < 1 or not whole:
        raise InputError(f"--gaps: found {' '.join(asked)}, {expected}")
    return numbers


def limit_of(limits: Sequence[float], frames: int) -> GapSettings:
    """A share and a number of steps in a row, if any was said, of trajectories of so many frames."""
    return GapSettings(share=limits[0], run=int(limits[1]) if len(limits) > 1 else run_of(frames))


def run_of(frames: int) -> int:
    """Steps in a row that may be missing in a window of so many."""
    return max(1, frames // RUN)
