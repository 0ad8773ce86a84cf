"""The size of a population at each time: what a study is told of it, and what its samples say."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.samples.record import TimedSamples
from weightcast.samples.settings import SnapshotSettings


def masses_of(samples: TimedSamples, settings: SnapshotSettings, source: str) -> NDArray[np.float64] | None:
    """Sizes of the population [time], in any unit; None where the study does not ask for them.

    Args:
        samples: as read.
        settings: ``mass`` is used.
        source: file, named in messages.

    Raises:
        InputError: there is no column of masses, or not one mass for each time.
    """
    if settings.mass is None:
        return None
    if settings.mass == "samples":
        return np.array([len(values) for values in samples.samples], dtype=np.float64)
    if settings.mass == "column":
        if samples.masses is None:
            raise InputError(
                f"{source}: data.mass: found column, expected the name of that column in data.settings.mass_column "
                "(CSV tables)"
            )
        return samples.masses
    if len(settings.mass) != len(samples.times):
        raise InputError(
            f"{source}: data.mass: found {len(settings.mass)} numbers, expected {len(samples.times)}, one for each of "
            "the data's times"
        )
    return np.array(settings.mass, dtype=np.float64)


def masses_of_rows(
    path: object, column: str, times: NDArray[np.float64], masses: NDArray[np.float64]
) -> NDArray[np.float64]:
    """The mass of each time, in increasing order of times, of a column that repeats it in each of the time's rows.

    Args:
        path: the file, named in messages.
        column: its name.
        times: of the rows [row].
        masses: in the rows [row].

    Raises:
        InputError: a mass is not above 0, or rows of one time have several.
    """
    found, first = np.unique(times, return_index=True)
    expected = masses[first][np.searchsorted(found, times)]
    wrong = np.flatnonzero((masses != expected) | (masses <= 0))
    if wrong.size:
        time, mass, other = times[wrong[0]], masses[wrong[0]], expected[wrong[0]]
        if mass <= 0:
            raise InputError(f"{path}: column {column}, time {time:g}: found {mass:g}, expected a mass above 0")
        raise InputError(
            f"{path}: column {column}, time {time:g}: found {mass:g} and {other:g}, expected one mass for each time"
        )
    return masses[first]
