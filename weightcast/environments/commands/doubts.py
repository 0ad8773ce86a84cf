"""What can be used but is probably not meant: roles that parameters do not bear out, channels that never change."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from weightcast.core.environment_table import EnvironmentTable
from weightcast.trajectories import Trajectories

DIGITS = 1e-5
"""Spread over size, below which single precision, which has seven digits, keeps less than two of what varies."""
SHOWN = 3


def doubts_of_table(table: EnvironmentTable) -> list[str]:
    """Parameters that never vary, and rows for interpolation that lie outside of the visible range."""
    lines = []
    visible = table.parameter_array([environment.id for environment in table.visible])
    for number, name in enumerate(table.parameter_names):
        low, high = visible[:, number].min(), visible[:, number].max()
        if low == high:
            lines.append(
                f"{table.path}: column {name}: found {low:g} in every visible row, expected a parameter that varies: "
                "nothing can be learned of it"
            )
            continue
        outside = [row.id for row in table.interpolation if not low <= row.parameters[name] <= high]
        if outside:
            more = f" and {len(outside) - SHOWN} more" if len(outside) > SHOWN else ""
            lines.append(
                f"{table.path}: column role: found interpolation for {', '.join(outside[:SHOWN])}{more}, expected "
                f"extrapolation: {name} lies outside of the visible {low:g} to {high:g}"
            )
    return lines


def doubts_of_values(file: Path, trajectories: Trajectories, states: int | None = None) -> list[str]:
    """Channels that never change in an environment, or whose changes single precision does not hold: of the first
    ``states``, which are forecast; of all if None."""
    lines = []
    for channel, name in enumerate(trajectories.channels[:states]):
        values = trajectories.values[:, :, channel]
        least, most = float(values.min()), float(values.max())
        if least == most:
            lines.append(
                f"{file}: {name}: found {least:g} everywhere, expected a channel that changes: relative errors are "
                "divided by almost nothing"
            )
        elif most - least < DIGITS * max(abs(least), abs(most)):
            lines.append(
                f"{file}: {name}: found {least:.9g} to {most:.9g}, of which single precision loses digits: subtract a "
                f"constant before (about {np.round((least + most) / 2):g})"
            )
    return lines
