"""The stage ``simulate_snapshots``: samples of a simulated stochastic system."""

from __future__ import annotations

import numpy as np

from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.evolution.jobs import SimulateSnapshots
from weightcast.evolution.simulated_system import simulated_system
from weightcast.samples.settings import SnapshotSettings
from weightcast.samples.snapshots import Snapshots, check_snapshots
from weightcast.systems.stochastic import default_times, simulate


@stage("simulate_snapshots")
def simulate_snapshots(run: Run, settings: SimulateSnapshots) -> Snapshots:
    """Simulate trajectories for training and others for evaluation, and take their states at the study's times."""
    return simulated_snapshots(settings.data, settings.seed)


def simulated_snapshots(settings: SnapshotSettings, seed: int) -> Snapshots:
    """Simulate trajectories for training and others for evaluation.

    Args:
        settings: source, its rates, trajectories and times.
        seed: of the study.

    Raises:
        InputError: a setting is unknown, names of the dimensions differ, or a count reaches ``states``.
    """
    process = simulated_system(settings)
    assert settings.trajectories is not None  # parse_time_study has seen to it
    times = default_times(process, settings.trajectories.times)
    parts = []
    for part, trajectories in (("train", settings.trajectories.train), ("held-out", settings.trajectories.held_out)):
        values = simulate(process, times, trajectories, derive_seed(seed, "simulate", part))
        parts.append(tuple(values[:, position].astype(np.float64) for position in range(len(times))))
    observed = np.array(settings.seen(len(times)))
    snapshots = Snapshots(times, observed, parts[0], parts[1], process.species, settings.states)
    check_snapshots(snapshots, "config: data")
    return snapshots
