"""How long simulating a study's environments takes one core of this machine."""

from __future__ import annotations

from statistics import mean
from typing import Any

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.cost.measure import LONG, processor_seconds
from weightcast.environments.config.study import Study
from weightcast.environments.plan import source_settings
from weightcast.systems import System, load_system

FEW_FRAMES, SOME_FRAMES = 2, 10
"""Frames of the trajectories from which a long one's time is extended."""


def simulation_seconds(study: Study, table: EnvironmentTable) -> float:
    """Seconds of one environment's simulation, on average; 0 where data is read rather than simulated.

    A trajectory's time grows with its frames along a straight line, after a spin-up. Where an environment takes long,
    it is estimated from two short trajectories of the first, the middle and the last environment of the table, which
    may take different times; otherwise the first is simulated.
    """
    if not study.data.simulated:
        return 0.0
    system, settings = load_system(study.data.source), source_settings(study.data)
    environments, count = list(table), int(settings["trajectories"])
    try:
        first = _extended_seconds(system, settings, environments[0], study.seed) * count
    except InputError:  # not a simulator: what it reads has its own number of trajectories
        return 0.0
    if first < LONG:
        return _seconds(system, settings, environments[0], study.seed)
    others = {len(environments) // 2, len(environments) - 1} - {0}
    spread = (_extended_seconds(system, settings, environments[other], study.seed) * count for other in others)
    return mean([first, *spread])


def _extended_seconds(system: System, settings: dict[str, Any], environment: Environment, seed: int) -> float:
    """Of one trajectory."""

    def of_frames(frames: int) -> float:
        return _seconds(system, settings | {"trajectories": 1, "frames": frames}, environment, seed)

    frames = int(settings["frames"])
    if frames <= SOME_FRAMES:
        return of_frames(frames)
    few, some = of_frames(FEW_FRAMES), of_frames(SOME_FRAMES)
    return some + max(some - few, 0.0) / (SOME_FRAMES - FEW_FRAMES) * (frames - SOME_FRAMES)


def _seconds(system: System, settings: dict[str, Any], environment: Environment, seed: int) -> float:
    made = system.trajectories([environment], settings, seed)
    return processor_seconds(lambda: next(made))
