"""What ``weightcast init --kind time`` chooses for samples that it found."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from weightcast.core.errors import InputError
from weightcast.samples.record import TimedSamples
from weightcast.samples.settings import StateKind
from weightcast.samples.snapshots import FEWEST_TO_FORECAST
from weightcast.samples.split import MOST_STATES

MOST_SNAPSHOTS = 20
MANY_COUNTS = 1000
"""From here on counts are real numbers to a density: it would learn the probability of each by itself."""
FEW_SNAPSHOTS = 12
MANY_DIMENSIONS = 10
HELD_OUT = 0.2
HELD_OUT_OF_MANY = 0.1
MANY_SAMPLES = 1000
EVALUATED_BETWEEN = 14
MOST_LEFT_OUT_OF = 5
BATCH = 128


@dataclass(frozen=True)
class Choices:
    """Settings that depend on the data.

    Attributes:
        state: what values are.
        states: of counts: more than the largest, with a little room; None for real values.
        observed_every: every so many of the times is a snapshot.
        snapshots: how many those are.
        held_out: part of the trajectories or samples.
        evaluated_every: every so many of the times is evaluated, besides the snapshots.
        hidden: width of the densities.
        per_interval: bridged anchors an interval between snapshots is divided into.
        batch: samples of a snapshot in a training step.
        leave_out: snapshots to train without once.
        forecast: whether to train without the last snapshot once.
    """

    state: StateKind
    states: int | None
    observed_every: int
    snapshots: int
    held_out: float
    evaluated_every: int
    hidden: int
    per_interval: int
    batch: int
    leave_out: list[int]
    forecast: bool


def choose(samples: TimedSamples, state: StateKind | None = None) -> Choices:
    """Settings for these samples.

    Args:
        samples: as read.
        state: what values are; None: counts if all are whole numbers from 0 to below 1000.

    Raises:
        InputError: they cannot be the counts that they are said to be.
    """
    times = len(samples.times)
    state = state or ("counts" if _are_counts(samples) else "real")
    every = choose_stride(times)
    snapshots = len(range(0, times, every))
    fewest = min(len(values) for values in samples.samples)
    held_out = HELD_OUT_OF_MANY if fewest >= MANY_SAMPLES else HELD_OUT
    return Choices(
        state=state,
        states=choose_states(samples.range[1]) if state == "counts" else None,
        observed_every=every,
        snapshots=snapshots,
        held_out=held_out,
        evaluated_every=max(1, round(times / EVALUATED_BETWEEN)),
        hidden=32 if len(samples.dimensions) > MANY_DIMENSIONS else 16,
        per_interval=5 if snapshots <= FEW_SNAPSHOTS else 2,
        batch=max(1, min(BATCH, fewest - round(held_out * fewest))),
        leave_out=[1] if state == "real" and 3 <= snapshots <= MOST_LEFT_OUT_OF else [],
        forecast=snapshots >= FEWEST_TO_FORECAST,
    )


def choose_stride(times: int) -> int:
    """Such that there are at most twenty snapshots, and no fewer than eight of more than twenty times.

    Of the strides that do so, the one whose last snapshot is the nearest to the last time, and the smallest of these.
    """
    least = max(1, math.ceil((times - 1) / (MOST_SNAPSHOTS - 1)))
    return min(range(least, 2 * least if least > 1 else 2), key=lambda stride: ((times - 1) % stride, stride))


def choose_states(largest: float) -> int:
    """A twentieth more than the counts that were seen.

    Raises:
        InputError: that is more than a density can have.
    """
    if largest >= MOST_STATES:
        raise InputError(
            f"--state: found counts up to {largest:.15g}, expected at most {MOST_STATES - 1}: use --state real"
        )
    return min(MOST_STATES, max(2, math.ceil(1.05 * (largest + 1))))


def _are_counts(samples: TimedSamples) -> bool:
    least, most = samples.range
    return least >= 0 and most < MANY_COUNTS and are_whole(samples)


def are_whole(samples: TimedSamples) -> bool:
    """Whether all values are whole numbers."""
    return all(bool((values == np.round(values)).all()) for values in samples.samples)
