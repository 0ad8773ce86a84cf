"""Which stretches of a record with missing values are good enough to be a trajectory.

Nothing is put in the place of what is missing. So a trajectory must begin with what a predictor sees - its first frame,
the frames before it, and the inputs of the first step - and be followed by something that a forecast of one step can be
compared with; and of what is to be forecast not too much may be missing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from weightcast.core.config.gap_settings import GapSettings
from weightcast.trajectories.record import Trajectories

REASONS = {
    "begin": "without a whole first frame and a step that can be judged",
    "share": "with more missing",
    "run": "with more missing in a row",
}
"""Why stretches are not used, in the order in which it is asked."""


def usable_starts(
    values: NDArray[np.floating], states: int, frames: int, history: int, limit: GapSettings
) -> NDArray[np.bool_]:
    """Where trajectories may begin.

    Args:
        values: of the state, then inputs [step, value]; NaN where one is missing.
        states: how many of the values are the state's.
        frames: of a trajectory that have a whole history.
        history: frames that a predictor sees; so many less one come before the first.
        limit: of what may be missing.

    Returns:
        [step - frames - history + 2]: whether a trajectory may begin at each step, with the first of the frames before.
    """
    return ~np.logical_or.reduce(list(refused_starts(values, states, frames, history, limit).values()))


def refused_starts(
    values: NDArray[np.floating], states: int, frames: int, history: int, limit: GapSettings
) -> dict[str, NDArray[np.bool_]]:
    """The same, reason by reason (:data:`REASONS`): where it keeps trajectories from beginning."""
    steps, window = len(values), frames + history - 1
    count = max(0, steps - window + 1)
    state, unknown = np.isnan(values[:, :states]), np.isnan(values[:, states:]).any(axis=1)
    missing = state | unknown[:, None]  # a step whose inputs are not known leads nowhere
    begins = np.arange(count)
    first = begins + history - 1
    whole, known = ~state.any(axis=1), ~unknown
    seen = np.logical_and.reduce([whole[begins + before] for before in range(history)])
    judged = known[first] & known[first + 1] & ~state[first + 1].all(axis=1) if count else seen
    total = np.concatenate([[0], missing.sum(axis=1).cumsum()])
    lost = (total[begins + window] - total[first + 1]) / max(1, (frames - 1) * states) if count else np.zeros(0)
    every = np.arange(steps)[:, None]
    there = np.maximum.accumulate(np.where(missing, -1, every), axis=0)  # the last step up to each that is
    too_long = (every - there > limit.run).any(axis=1)
    # A run counts as far as it lies in the trajectory, where the first frame is whole: none reaches in from before.
    over = np.concatenate([[0], too_long.cumsum()])
    return {
        "begin": ~(seen & judged),
        "share": lost > limit.share,
        "run": (over[begins + window] - over[first + 1]) > 0 if count else np.zeros(0, bool),
    }


def without_too_many_gaps(
    file: Path, trajectories: Trajectories, channels: Sequence[str], frames: int, history: int, limit: GapSettings
) -> Trajectories:
    """Trajectories of a file without those that lack too much, of which a line is printed.

    Args:
        file: that they come from.
        trajectories: of one environment.
        channels: those of the state, the first ones; the others are inputs.
        frames: of a trajectory that are used, those before the first frame among them.
        history: frames that a predictor sees.
        limit: of what may be missing.
    """
    values = trajectories.values[:, :frames]
    points = values.shape[-1] * values.shape[-2]
    kept, lost = list[int](), dict.fromkeys(REASONS, 0)
    for number, one in enumerate(values.reshape(*values.shape[:2], -1)):
        refused = refused_starts(one, len(channels) * points, frames - history + 1, history, limit)
        why = next((reason for reason, found in refused.items() if bool(found[0])), None)
        if why is None:
            kept.append(number)
        else:
            lost[why] += 1
    if len(kept) == len(values):
        return trajectories
    reasons = ", ".join(f"{count} {REASONS[reason]}" for reason, count in lost.items() if count)
    print(
        f"{file}: {len(values) - len(kept)} of {len(values)} trajectories are left out for missing values: {reasons} "
        f"(data.gaps: {limit.words})",
        flush=True,
    )
    return replace(trajectories, values=trajectories.values[kept])
