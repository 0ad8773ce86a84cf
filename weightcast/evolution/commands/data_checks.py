"""Checks of the data of a study across time: a file whole, a simulator by its settings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.names import listed
from weightcast.evolution.atoms import repeated_values
from weightcast.evolution.commands.snapshot_words import describe_samples, suggested_growth
from weightcast.evolution.commands.source_file import refuse_own_file
from weightcast.evolution.config.study import TimeStudy
from weightcast.evolution.simulated_system import simulated_system
from weightcast.samples.point_masses import PointMass, point_masses
from weightcast.samples.read import read_samples
from weightcast.samples.settings import SampleFormat
from weightcast.samples.snapshots import FEWEST_TO_FORECAST, Snapshots
from weightcast.samples.split import split_snapshots
from weightcast.systems.jump_process import JumpProcess
from weightcast.systems.stochastic import default_times


@dataclass(frozen=True)
class TimeData:
    """What a plan says about the data.

    Attributes:
        times: [time], all of them.
        snapshots: how many of them training sees.
        numbers: of samples times dimensions, in the pipeline's copy.
        words: lines.
        warnings: what can be used but is probably not meant.
    """

    times: NDArray[np.float64]
    snapshots: int
    numbers: int
    words: list[str]
    warnings: list[str]


def check_file(study: TimeStudy, config: str | Path) -> TimeData:
    """Read the study's own file as the pipeline will.

    Args:
        study: with a file of its own.
        config: file that the configuration was read from, for messages.

    Raises:
        InputError: the file cannot be used, or settings do not fit it.
    """
    data = study.data
    assert data.file is not None  # parse_time_study has seen to it
    refuse_own_file(data.file, study.snapshots, f"{config}: data.file")
    samples = read_samples(data.file, cast(SampleFormat, data.source), data.settings, data.dimensions)
    snapshots = split_snapshots(samples, data, study.seed)
    for number in study.evaluation.leave_out:
        try:
            snapshots.without(number)
        except InputError as error:
            raise InputError(f"{config}: {error}") from None
    if study.evaluation.forecast:
        _check_forecast(len(snapshots.observed_times), config)
    growth = suggested_growth(samples)
    repeated = (
        [] if snapshots.counts else repeated_words(snapshots.dimensions, snapshots.observed_train, study.density.atoms)
    )
    train, held_out = ([len(values) for values in part] for part in (snapshots.train, snapshots.held_out))
    return TimeData(
        times=snapshots.times,
        snapshots=len(snapshots.observed_times),
        numbers=(sum(train) + sum(held_out)) * len(data.dimensions),
        words=[
            f"{data.source} file {data.file}",
            *describe_samples(samples),
            f"{min(train)} samples or more of each time to train, {min(held_out)} or more held out",
            *_masses(snapshots),
            *_points(point_masses(snapshots.observed_times, snapshots.observed_train), study),
        ],
        warnings=[
            *_warnings(study, snapshots.times, snapshots.observed),
            *([growth] if growth and not study.anchors.bridge.growth else []),
            *_masses_alone(study),
            *repeated,
        ],
    )


def check_simulator(study: TimeStudy, config: str | Path) -> TimeData:
    """Check the settings of the study's simulator, without running it.

    Raises:
        InputError: a setting that it does not have or that is out of its bounds, or dimensions that are not its own.
    """
    data, counts = study.data, study.data.trajectories
    assert counts is not None  # parse_time_study has seen to it
    process = simulated_system(data, config)
    times = default_times(process, counts.times)
    observed = np.array(data.seen(len(times)))
    if study.evaluation.forecast:
        _check_forecast(int(observed.sum()), config)
    starts = [PointMass(0.0, 1.0, np.array(process.initial))] if isinstance(process, JumpProcess) else []
    return TimeData(
        times=times,
        snapshots=int(observed.sum()),
        numbers=(counts.train + counts.held_out) * len(times) * len(data.dimensions),
        words=[
            f"simulator {data.source}: {counts.train} trajectories to train, {counts.held_out} held out",
            f"{len(times)} times from {times[0]:g} to {times[-1]:g}",
            f"{len(data.dimensions)} dimensions: {', '.join(data.dimensions)}",
            *_points(starts, study),
        ],
        warnings=_warnings(study, times, observed),
    )


def _masses(snapshots: Snapshots) -> list[str]:
    """Sizes of the population, where the study is told them."""
    if snapshots.masses is None:
        return []
    low, high = snapshots.masses.min(), snapshots.masses.max()
    return [f"sizes of the population from {low:g} to {high:g}, which are learned and evolved as well (data.mass)"]


def _masses_alone(study: TimeStudy) -> list[str]:
    """Sizes that change, and pairs that do not know of it."""
    if study.data.mass is None or study.anchors.bridge.growth:
        return []
    return [
        "anchors.bridge.growth: found false beside data.mass, expected true: samples between snapshots are made as if "
        "nothing grew or died"
    ]


def _points(points: list[PointMass], study: TimeStudy) -> list[str]:
    """Snapshots without a spread, and what helps where counts fall from there."""
    lines = [point.describe(study.data.dimensions) for point in points]
    if lines and study.data.state == "counts" and study.anchors.bridge.jumps == "free":
        lines.append("if counts mostly die out from there, see anchors.bridge.jumps: thinned (docs/across-time.md)")
    return lines


def _check_forecast(snapshots: int, config: str | Path) -> None:
    if snapshots < FEWEST_TO_FORECAST:
        raise InputError(
            f"{config}: evaluation.forecast: found true for {snapshots} snapshots, expected false, or "
            f"{FEWEST_TO_FORECAST} snapshots or more: the last one is left out"
        )


def repeated_words(names: Sequence[str], samples: Sequence[NDArray[np.float64]], share: float) -> list[str]:
    """A line about real dimensions in which values repeat, if there are any.

    Args:
        names: of the dimensions.
        samples: of each snapshot [sample, dimension].
        share: ``density.atoms``.
    """
    named = [
        f"{name} ({listed([f'{value:g}' for value in values], 3)})"
        for name, values in zip(names, repeated_values(samples, share), strict=True)
        if values
    ]
    if not named:
        return []
    return [
        f"values repeat in {listed(named, 6)}: they have a probability of their own (density.atoms), and "
        "log-likelihoods are of points and lengths together, to be compared with each other alone"
    ]


def _warnings(study: TimeStudy, times: NDArray[np.float64], observed: NDArray[np.bool_]) -> list[str]:
    if observed[-1]:
        return []
    last, data = times[observed][-1], study.data
    which = (
        f"observed_every: found {data.observed_every}" if data.observed is None else f"observed: found {data.observed}"
    )
    return [
        f"data.{which}, with which the last snapshot is at {last:g}, "
        f"expected one at {times[-1]:g}, the data's last time: times after the last snapshot are extrapolated"
    ]
