"""How many environments' trajectories an evaluation holds at once.

Light modules alone are imported: planning reads this too.
"""

from __future__ import annotations

STACKED = 12
"""Networks rolled out at once on a CPU: enough to fill a core, few enough to stay in its cache."""
COPIES = 5
"""Of test trajectories, at most: as they are read, joined, chosen, repeated, and compared in double precision."""

SEEN_COPIES = 3
"""Of training frames: as they are read, joined, and made a mean of."""


def environments_together(numbers_each: int, budget: int) -> int:
    """So many that what is made of their trajectories fits.

    It is a multiple of the networks that are rolled out at once: these are then the same, however many environments
    there are at once, and so are all digits.

    Args:
        numbers_each: of the trajectories of one environment.
        budget: numbers that may be in memory.
    """
    return STACKED * max(1, budget // (STACKED * COPIES * max(1, numbers_each)))


def seen_together(numbers_each: int, budget: int) -> int:
    """Environments whose training frames fit, as they are read and joined; at least one.

    Args:
        numbers_each: of the frames of one environment.
        budget: numbers that may be in memory.
    """
    return max(1, budget // (SEEN_COPIES * max(1, numbers_each)))
