"""Samples at several times in words, as ``weightcast init`` and ``weightcast check`` print them."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from weightcast.core.names import listed
from weightcast.samples.record import TimedSamples

SHOWN_DIMENSIONS = 6
GROWN = 4 / 3
"""Times as many samples, from which on they may be sizes."""


def describe_samples(samples: TimedSamples) -> list[str]:
    """Times, samples, dimensions and values, a line each."""
    counts = [len(values) for values in samples.samples]
    number = f"{min(counts)}" if min(counts) == max(counts) else f"{min(counts)} to {max(counts)}"
    rows = "trajectories, the same at every time" if samples.trajectories else "samples at each time"
    unit = f" ({samples.time_unit})" if samples.time_unit else ""
    how = ", ".join(f"{key} {value}" for key, value in samples.settings.items())
    names, (least, most) = listed(samples.dimensions, SHOWN_DIMENSIONS), samples.range
    return [
        f"{len(samples.times)} times from {samples.times[0]:g} to {samples.times[-1]:g}{unit}, {number} {rows}"
        + (f" ({how})" if how else ""),
        f"{len(samples.dimensions)} dimensions: {names}; values from {least:.6g} to {most:.6g}",
    ]


def suggested_growth(samples: TimedSamples) -> str:
    """A line where numbers of samples look like sizes of a population; empty where they do not."""
    numbers = [len(values) for values in samples.samples]
    steps = [after - before for before, after in pairwise(numbers)]
    steady = all(step >= 0 for step in steps) or all(step <= 0 for step in steps)
    if samples.trajectories or not steady or max(numbers) < GROWN * min(numbers):
        return ""
    return (
        f"numbers of samples go from {numbers[0]} to {numbers[-1]}: if they are sizes of a population that grows or "
        "dies, set anchors.bridge.growth: true and data.mass: samples (docs/which-snapshots.md)"
    )


def describe_times(times: int, observed_every: int, observed: Sequence[int] | None = None) -> str:
    """Which times are seen."""
    if observed is not None:
        return f"observed: {len(observed)} of {times} times (data.observed); the others only evaluate"
    if observed_every == 1:
        return f"observed: all {times} times"
    snapshots = len(range(0, times, observed_every))
    ordinal = {2: "2nd", 3: "3rd"}.get(observed_every, f"{observed_every}th")
    return f"observed: {snapshots} of {times} times, every {ordinal} (data.observed_every); the others only evaluate"
