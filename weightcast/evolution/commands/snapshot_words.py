"""Samples at several times in words, as ``weightcast init`` and ``weightcast check`` print them."""

from __future__ import annotations

from weightcast.samples.checks import listed
from weightcast.samples.record import TimedSamples

SHOWN_DIMENSIONS = 6


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


def describe_times(times: int, observed_every: int) -> str:
    """Which times are seen."""
    if observed_every == 1:
        return f"observed: all {times} times"
    snapshots = len(range(0, times, observed_every))
    ordinal = {2: "2nd", 3: "3rd"}.get(observed_every, f"{observed_every}th")
    return f"observed: {snapshots} of {times} times, every {ordinal} (data.observed_every); the others only evaluate"
