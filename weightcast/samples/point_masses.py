"""Snapshots whose samples are all the same, or nearly all: laws without a spread, as experiments begin with."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from weightcast.core.names import listed

NEARLY = 0.9
"""Part of the samples from which on a snapshot is nearly a point."""
SHOWN_DIMENSIONS = 4


@dataclass(frozen=True)
class PointMass:
    """A snapshot whose samples are at one point.

    Attributes:
        time: of the snapshot.
        share: part of its samples that are there, 1 if all are.
        point: [dimension].
    """

    time: float
    share: float
    point: NDArray[np.float64]

    def describe(self, dimensions: Sequence[str]) -> str:
        """Say it in words, with the names of the dimensions."""
        place = listed(
            [f"{name} {value:g}" for name, value in zip(dimensions, self.point, strict=True)], SHOWN_DIMENSIONS
        )
        if self.share == 1:
            return f"time {self.time:g}: all samples are at {place}: a point"
        return f"time {self.time:g}: {self.share:.0%} of the samples are at {place}: nearly a point"


def point_masses(times: NDArray[np.float64], samples: Sequence[NDArray[np.float64]]) -> list[PointMass]:
    """The snapshots that are points, or nearly.

    Args:
        times: of the snapshots [snapshot].
        samples: of each [sample, dimension].
    """
    found = []
    for time, part in zip(times, samples, strict=True):
        values, counts = np.unique(part, axis=0, return_counts=True)
        most = int(counts.argmax())
        share = float(counts[most]) / len(part)
        if len(part) > 1 and share >= NEARLY:
            found.append(PointMass(float(time), share, values[most]))
    return found
