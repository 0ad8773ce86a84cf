"""The stage ``simulate``: one environment's trajectories from a simulator, or cut from a package's data."""

from __future__ import annotations

from typing import TYPE_CHECKING

from weightcast.core.stage import stage
from weightcast.environments.jobs import Simulate
from weightcast.systems import load_system
from weightcast.trajectories import TrajectoryFile

if TYPE_CHECKING:
    from weightcast.core.run import Run


@stage("simulate")
def simulate(run: Run, settings: Simulate) -> TrajectoryFile:
    """Simulate one environment; simulators compute on the CPU."""
    (trajectories,) = load_system(settings.source).trajectories(settings.environments, settings.settings, settings.seed)
    return TrajectoryFile(trajectories)
