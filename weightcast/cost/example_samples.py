"""Samples to time a study across time with: as many as it has, and spread as its own are."""

from __future__ import annotations

from math import sqrt
from typing import Any

import numpy as np
from numpy.typing import NDArray

from weightcast.cost.measure import processor_seconds
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.simulated_system import simulated_system
from weightcast.samples.read import import_snapshots
from weightcast.samples.snapshots import Snapshots
from weightcast.systems.stochastic import default_times, simulate

SIMULATED = 20
"""Trajectories that are simulated to see how long that takes, and where the samples lie."""
SIDE_BY_SIDE = 1000
"""Trajectories up to which a numpy step of the simulator grows slower than their number: about as its root (measured
from 20 to 1000, for every system here)."""
MOST_SAMPLES = 5000
"""Samples of a time that are made at most."""


def example_samples(study: TimeStudy) -> tuple[Snapshots, float]:
    """A file's samples themselves; for a simulator, a kernel estimate from a few of its trajectories.

    How they are spread matters: exact optimal transport of counts is the faster, the more of them are alike.

    Args:
        study: its configuration.

    Returns:
        the snapshots, and how many seconds the study's simulations would take; 0 where a file is read.

    Raises:
        InputError: the file or the simulator cannot be used.
    """
    data, counts = study.data, study.data.trajectories
    if counts is None:
        return import_snapshots(data, study.seed), 0.0
    process = simulated_system(data)
    times = default_times(process, counts.times)
    simulated: list[NDArray[Any]] = []
    few = processor_seconds(lambda: simulated.append(simulate(process, times, SIMULATED, study.seed)))
    random = np.random.default_rng(study.seed)
    train, held_out = (
        tuple(
            _spread(simulated[0][:, position], min(number, MOST_SAMPLES), data.states, random)
            for position in range(len(times))
        )
        for number in (counts.train, counts.held_out)
    )
    observed = np.array(data.seen(len(times)))
    snapshots = Snapshots(times, observed, train, held_out, process.species, data.states)
    return snapshots, few * (_growth(counts.train) + _growth(counts.held_out))


def _growth(trajectories: int) -> float:
    """How many times as long this many trajectories take as ``SIMULATED``."""
    return sqrt(min(trajectories, SIDE_BY_SIDE) / SIMULATED) * max(1.0, trajectories / SIDE_BY_SIDE)


def _spread(values: NDArray[Any], number: int, states: int | None, random: np.random.Generator) -> NDArray[np.float64]:
    """More samples than there are, by a kernel with the samples' own covariance and Scott's bandwidth.

    Args:
        values: [sample, dimension].
        number: of samples wanted.
        states: counts are below it; None for real numbers.
        random: to draw with.

    Returns:
        [number, dimension].
    """
    bandwidth = len(values) ** (-1 / (values.shape[1] + 4))
    start, first, second = (values[random.integers(len(values), size=number)].astype(np.float64) for _ in range(3))
    spread: NDArray[np.float64] = start + bandwidth * (first - second) / sqrt(2)
    return spread if states is None else np.round(spread).clip(0, states - 1)
