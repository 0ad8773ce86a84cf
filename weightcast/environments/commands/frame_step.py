"""The time between frames: what a model was trained with against what a file of observed frames says."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from weightcast.core.console.warning import warn
from weightcast.environments.commands.observed_frames import ObservedFrames
from weightcast.trajectories.time_units import in_unit

TOLERANCE = 1e-3


def agreed_frame_step(frames: ObservedFrames, file: Path, trained: Mapping[str, Any]) -> float:
    """The time from a frame to the next forecast one, in the file's unit; 1 where nobody knows.

    A predictor steps by the time that it was trained with, whatever frames it is given. So where the file disagrees,
    in the same unit as far as is known, that is a warning, and the trained step holds.

    Args:
        frames: observed.
        file: that they were read from, for the warning.
        trained: metadata of the model: ``frame_step`` and ``units``, where known.
    """
    expected, found = trained.get("frame_step"), frames.frame_step
    if expected is None or found is None:
        return float(next((step for step in (found, expected) if step is not None), 1.0))
    usual, unit = trained.get("units", {}).get("time"), frames.attributes.get("time", {}).get("units")
    wanted = in_unit(float(expected), usual, unit)
    if wanted is None:  # units that nobody can compare: the file's frames are taken to be a step apart
        return found
    if math.isclose(found, wanted, rel_tol=TOLERANCE):
        return found
    warn(f"{file}: time: found frames {found:g} apart, expected {wanted:g} as in the study's data")
    return wanted
