"""Exact stochastic simulation of systems whose state is a vector of counts, many trajectories at once.

Reactions fire at rates that depend on the counts, and each changes the counts by a fixed vector. Gillespie's direct
method draws the time to the next jump and then which reaction it is (D. T. Gillespie, J. Phys. Chem. 81 (1977) 2340).
Rates that depend on time as well are thinned: jumps are proposed at a rate that is never too low, and accepted with
probability rate / bound (P. A. W. Lewis and G. S. Shedler, Nav. Res. Logist. Q. 26 (1979) 403; Y. Ogata, IEEE Trans.
Inf. Theory 27 (1981) 23). Both draw from the master equation's exact distribution: there is no time step.

In each numpy step every trajectory that still runs takes one jump, each at its own time.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.systems.exact_law import ExactLaw
from weightcast.systems.times import checked_times

Rates = Callable[[NDArray[np.int64], NDArray[np.float64]], NDArray[np.float64]]


@dataclass(frozen=True, eq=False)
class JumpProcess:
    """A continuous-time Markov chain on vectors of counts.

    Attributes:
        name: of the system, for errors and for its random numbers.
        species: names of what is counted.
        initial: [species], counts at time 0.
        changes: [reaction, species], what one jump adds to the counts.
        rates: (counts [trajectory, species], time [trajectory]) -> [trajectory, reaction], jumps per unit of time. A
            reaction that lacks what it consumes must have rate 0.
        horizon: the time up to which the system is of interest, in the units of the rates.
        rate_bound: as `rates`, but what no rate exceeds from that time on while the counts stay the same. None where
            the rates depend on the counts alone; needed where they depend on time.
        law: of the counts at any time, where theory knows it.

    Raises:
        InputError: a negative count at the start, or a horizon that is not positive and finite.
        ValueError: lengths that do not fit together.
    """

    counts: ClassVar[bool] = True

    name: str
    species: tuple[str, ...]
    initial: tuple[int, ...]
    changes: NDArray[np.int64]
    rates: Rates
    horizon: float
    rate_bound: Rates | None = None
    law: ExactLaw | None = None

    def __post_init__(self) -> None:
        if self.changes.ndim != 2 or not self.changes.shape[1] == len(self.species) == len(self.initial):
            raise ValueError(f"{self.name}: changes {self.changes.shape}, species {self.species}, start {self.initial}")
        for species, count in zip(self.species, self.initial, strict=True):
            if count < 0:
                raise InputError(f"system {self.name}: start of {species}: found {count}, expected at least 0")
        if not 0 < self.horizon < np.inf:
            raise InputError(f"system {self.name}: horizon: found {self.horizon}, expected a positive number")


def simulate_jumps(
    process: JumpProcess, times: NDArray[np.float64], trajectories: int, seed: int, max_jumps: int = 1_000_000
) -> NDArray[np.int64]:
    """Simulate independent trajectories, and record their counts at the given times.

    The trajectories draw from one stream: another number of them, or another last time, gives other trajectories.

    Args:
        process: what to simulate, from its start at time 0.
        times: [time], at least 0 and ascending, in the units of the rates.
        trajectories: how many.
        seed: of the study; the same arguments give the same counts.
        max_jumps: the most jumps of one trajectory; thinned ones, which change nothing, count as well.

    Returns:
        [trajectory, time, species]. At time t: the counts after all jumps at or before t.

    Raises:
        InputError: a negative number of trajectories; times that cannot be used; a rate that is negative, not finite
            or above its bound; a count that falls below 0; more than `max_jumps` jumps.
    """
    times = checked_times(times)
    if trajectories < 0:
        raise InputError(f"trajectories of {process.name}: found {trajectories}, expected at least 0")
    generator = np.random.default_rng(derive_seed(seed, "jumps", process.name))
    changes = np.vstack([process.changes, np.zeros_like(process.changes[:1])])  # the last row: a proposal thinned away
    next_times = np.append(times, np.inf)
    record = np.empty((trajectories, len(times), len(process.species)), np.int64)

    # what follows is of the trajectories that still run
    index = np.arange(trajectories if len(times) else 0)
    recorded = np.zeros(len(index), np.int64)  # how many of the times have their counts
    time = np.zeros(len(index))
    counts = np.tile(np.array(process.initial, np.int64), (len(index), 1))
    jumps = 0
    while len(index):
        if jumps == max_jumps:
            raise InputError(
                f"system {process.name}: found more than {max_jumps} jumps by time {time.min():g}, expected fewer up "
                f"to time {times[-1]:g}"
            )
        jumps += 1
        bounds = _checked_rates(process, process.rate_bound or process.rates, counts, time)
        cumulative = bounds.cumsum(axis=1)
        total = cumulative[:, -1]
        waiting = np.full(len(index), np.inf)  # nothing can happen any more where the total is 0
        np.divide(generator.standard_exponential(len(index)), total, out=waiting, where=total > 0)
        time += waiting

        passing = np.flatnonzero(next_times[recorded] < time)
        if len(passing):
            reached = np.searchsorted(times, time[passing], side="left")  # at a jump's own time it has happened
            rows, columns = _rows_and_columns(recorded[passing], reached)
            record[index[passing[rows]], columns] = counts[passing[rows]]
            recorded[passing] = reached
            if reached.max() == len(times):
                running = recorded < len(times)
                index, recorded, time, counts = index[running], recorded[running], time[running], counts[running]
                bounds, cumulative, total = bounds[running], cumulative[running], total[running]

        level = generator.random(len(index)) * total  # below the total, even rounded
        if process.rate_bound is not None:
            rates = _checked_rates(process, process.rates, counts, time)
            _check_bounds(process, rates, bounds, time)
            cumulative = rates.cumsum(axis=1)
        reaction = np.count_nonzero(cumulative <= level[:, None], axis=1)  # never one whose rate is 0
        counts += changes[reaction]
        if (counts < 0).any():
            row, species = np.argwhere(counts < 0)[0]
            raise InputError(
                f"system {process.name}: {process.species[species]} at time {time[row]:g}: found count "
                f"{counts[row, species]} after reaction {reaction[row]}, expected at least 0"
            )
    return record


def _rows_and_columns(first: NDArray[np.int64], last: NDArray[np.int64]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of the ranges first[i] <= column < last[i]: every i as often as its range is long, and the columns."""
    lengths = last - first
    rows = np.repeat(np.arange(len(first)), lengths)
    starts = np.cumsum(lengths) - lengths
    return rows, np.arange(len(rows)) - starts[rows] + first[rows]


def _checked_rates(
    process: JumpProcess, rates_of: Rates, counts: NDArray[np.int64], time: NDArray[np.float64]
) -> NDArray[np.float64]:
    rates = rates_of(counts, time)
    usable = (rates >= 0) & (rates < np.inf)
    if not usable.all():
        row, reaction = np.argwhere(~usable)[0]
        raise InputError(
            f"system {process.name}: rate of reaction {reaction} at time {time[row]:g}: found "
            f"{rates[row, reaction]:g}, expected a finite number of at least 0"
        )
    return rates


def _check_bounds(
    process: JumpProcess, rates: NDArray[np.float64], bounds: NDArray[np.float64], time: NDArray[np.float64]
) -> None:
    exceeded = rates > bounds * (1 + 1e-12)  # room for rounding
    if exceeded.any():
        row, reaction = np.argwhere(exceeded)[0]
        raise InputError(
            f"system {process.name}: rate of reaction {reaction} at time {time[row]:g}: found "
            f"{rates[row, reaction]:g}, expected at most its bound {bounds[row, reaction]:g}"
        )
