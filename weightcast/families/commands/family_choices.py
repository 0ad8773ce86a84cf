"""What ``weightcast init --kind environments-time`` chooses for samples of many environments that it found."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.evolution.commands.sample_choices import (
    HELD_OUT,
    HELD_OUT_OF_MANY,
    MANY_COUNTS,
    MANY_DIMENSIONS,
    MANY_SAMPLES,
    are_whole,
)
from weightcast.samples.record import TimedSamples
from weightcast.samples.settings import StateKind
from weightcast.samples.split import MOST_STATES

ROOM = 1.25
"""Times as many states as the largest count asks for: another environment may have larger ones."""
EARLY = (0.1, 0.2)
"""Parts of the whole duration at which a new environment is shown."""
FEW, MANY = 20, 100
"""Samples of each snapshot that are shown in a case."""
SCORED_TIMES = 5
LARGEST_CODE = 4
LARGEST_RANK = 32
MOST_LEFT_OUT = 6


@dataclass(frozen=True)
class FamilyChoices:
    """Settings that depend on the data.

    Attributes:
        state: what values are.
        states: of counts: a quarter more than the largest asks for; None for real values.
        held_out: part of each environment's trajectories or samples.
        hidden: width of the densities.
        code: numbers of a code.
        rank: directions that a map moves weights in.
        left_out: visible environments that choose.
        shown: the cases, by name.
        times: that are scored; None: all.
    """

    state: StateKind
    states: int | None
    held_out: float
    hidden: int
    code: int
    rank: int
    left_out: int
    shown: dict[str, dict[str, Any]]
    times: list[float] | None


def choose_for_family(
    samples: Mapping[str, TimedSamples], table: EnvironmentTable, state: StateKind | None = None
) -> FamilyChoices:
    """Settings for these samples.

    Args:
        samples: of each environment by id, as read.
        table: of the environments.
        state: what values are; None: counts if all are whole numbers from 0 to below 1000.

    Raises:
        InputError: they cannot be the counts that they are said to be, or too few environments can be tested.
    """
    least = min(one.range[0] for one in samples.values())
    largest = max(one.range[1] for one in samples.values())
    counts = least >= 0 and largest < MANY_COUNTS and all(are_whole(one) for one in samples.values())
    state = state or ("counts" if counts else "real")
    dimensions = len(next(iter(samples.values())).dimensions)
    fewest = min(len(values) for one in samples.values() for values in one.samples)
    held_out = HELD_OUT_OF_MANY if fewest >= MANY_SAMPLES else HELD_OUT
    visible = [samples[environment.id] for environment in table.visible]
    snapshots = sum(len(one.times) for one in visible)
    times, count = shown_times(samples, table)
    scored = _scored_times(samples, times)
    return FamilyChoices(
        state=state,
        states=_states(largest) if state == "counts" else None,
        held_out=held_out,
        hidden=16 if dimensions == 1 else 24 if dimensions <= MANY_DIMENSIONS else 32,
        code=max(1, min(LARGEST_CODE, len(visible) // 4)),
        rank=max(1, min(LARGEST_RANK, snapshots)),
        left_out=max(1, min(MOST_LEFT_OUT, round(len(visible) / 4))),
        shown=_cases(samples, table, times, count, held_out),
        times=scored,
    )


def shown_times(samples: Mapping[str, TimedSamples], table: EnvironmentTable) -> tuple[list[float] | None, int]:
    """Which early snapshots of a new environment are shown.

    Of times that all environments have: the two nearest to a tenth and a fifth of the way, at which their laws are not
    all the same point, such that each has another one after them. Where there are no such times, the first two
    snapshots of each environment, or the first.

    Returns:
        the times, or None; and how many snapshots.

    Raises:
        InputError: an environment that is tested on has one time alone.
    """
    common = _common_times(list(samples.values()))
    informative = [time for time in common[:-1] if not _same_point(samples.values(), time)]
    if informative:
        first, last = common[0], common[-1]
        places = [int(np.argmin(np.abs(np.array(informative) - (first + part * (last - first))))) for part in EARLY]
        if places[1] <= places[0]:
            places[1] = min(places[0] + 1, len(informative) - 1)
        times = sorted({informative[place] for place in places})
        return times, len(times)
    for environment in table.unseen:
        if len(samples[environment.id].times) < 2:
            raise InputError(
                f"{environment.id}: found one time, expected two or more of an environment that is tested on: one is "
                "shown, later ones are scored (--held-out names others)"
            )
    tested = [samples[environment.id] for environment in table.unseen]
    return None, max(1, min(2, min(len(one.times) for one in tested) - 1))


def _common_times(samples: Sequence[TimedSamples]) -> list[float]:
    """Times that all environments have, increasing."""
    common = set(samples[0].times.tolist())
    for one in samples[1:]:
        common &= set(one.times.tolist())
    return sorted(common)


def _same_point(samples: Any, time: float) -> bool:
    """Whether all samples of all environments are the same at a time."""
    found = [one.samples[int(np.flatnonzero(one.times == time)[0])] for one in samples]
    return bool(all((values == found[0][0]).all() for values in found))


def _scored_times(samples: Mapping[str, TimedSamples], shown: list[float] | None) -> list[float] | None:
    """A few of the times after what is shown, evenly apart in their order, the last among them; None: all."""
    if shown is None:
        return None
    later = [time for time in _common_times(list(samples.values())) if time > shown[-1]]
    if len(later) <= SCORED_TIMES:
        return None
    return [later[place] for place in np.unique(np.linspace(0, len(later) - 1, SCORED_TIMES).round().astype(int))]


def _cases(
    samples: Mapping[str, TimedSamples],
    table: EnvironmentTable,
    times: list[float] | None,
    count: int,
    held_out: float,
) -> dict[str, dict[str, Any]]:
    """Twenty samples of each snapshot and a hundred, as far as environments that are tested on have so many."""
    numbers = []
    for environment in table.unseen:
        one = samples[environment.id]
        places = range(count) if times is None else [int(np.flatnonzero(one.times == time)[0]) for time in times]
        for place in places:
            own = len(one.samples[place])
            own -= round(held_out * own)
            numbers.append(own // count if one.trajectories else own)
    there = int(np.median(numbers))
    sizes = [size for size in (FEW, MANY) if size <= there]
    if not sizes or (there >= 2 * sizes[-1] and sizes[-1] < MANY):
        sizes.append(max(1, there))
    at: dict[str, Any] = {"times": times} if times is not None else {"snapshots": count}
    return {f"{size}-samples": at | {"samples": size} for size in sizes}


def _states(largest: float) -> int:
    """More states than the largest count asks for.

    Raises:
        InputError: that is more than a density can have.
    """
    if largest >= MOST_STATES:
        raise InputError(
            f"--state: found counts up to {largest:.15g}, expected at most {MOST_STATES - 1}: use --state real"
        )
    return min(MOST_STATES, max(2, math.ceil(ROOM * (largest + 1))))
