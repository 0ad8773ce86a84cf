"""The kit of all benchmarks: ways that take turns, rows of one table, and the machine that they were measured on.

What runs on a busy machine says little in seconds. Ways of doing the same therefore take turns in rounds, each round in
another order, and what counts is the ratio of two ways in one round: its median, and its range over the rounds. Seconds
are of processor time where everything happens in one process, of the clock where processes are compared.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import platform
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import astuple, dataclass, fields, replace
from importlib.util import find_spec
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

from weightcast.core.files import written_whole
from weightcast.core.report.number_formats import number
from weightcast.core.report.versions import versions

ROOT = Path(__file__).resolve().parents[1]
SHORTEST = 0.02
"""Seconds that one look at the clock should cover: what is quicker is repeated within its turn."""
FEWEST_ROUNDS = 2
"""However long they take: one round has no range."""
SKIPPED = "not measured: "
"""What the measure of a row begins with that says why there is no number."""
OF_JOBS = {
    "OMP_NUM_THREADS": "1",
    "OMP_WAIT_POLICY": "PASSIVE",
    "MALLOC_MMAP_MAX_": "0",
    "MALLOC_TRIM_THRESHOLD_": str(4 * 1024**3),
}
"""Environment of the pipeline's jobs."""
UNITS = {"s": 1.0, "ms": 1e3, "us": 1e6}


@dataclass(frozen=True)
class Effort:
    """How much measuring may take.

    Attributes:
        quick: whether cases that take minutes are left out.
        rounds: in which ways take turns.
        seconds: of the clock after which turns of one size end, though rounds are left.
    """

    quick: bool = False
    rounds: int = 7
    seconds: float = 60.0


QUICK = Effort(quick=True, rounds=3, seconds=4.0)


class Spread(NamedTuple):
    """A median, and the least and the largest of what it is of."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        """Of measured values, one or more."""
        return cls(median(values), min(values), max(values))

    @classmethod
    def exact(cls, value: float) -> Spread:
        """Of a number that was counted, or measured once."""
        return cls(value, value, value)


@dataclass(frozen=True)
class Row:
    """One number of the table.

    Attributes:
        benchmark: its name.
        case: what is measured, in words.
        size: of the case, which grows from row to row: members, steps, environments.
        measure: ``<way>, <unit>`` of an amount, ``<way> / <way>`` of a ratio, or why there is none (`SKIPPED`).
        value: the median, NaN where there is none.
        low: the least.
        high: the largest.
    """

    benchmark: str
    case: str
    size: int
    measure: str
    value: float
    low: float
    high: float

    @classmethod
    def of(cls, benchmark: str, case: str, size: int, measure: str, spread: Spread) -> Row:
        """A row of a measured number."""
        return cls(benchmark, case, size, measure, *spread)

    @classmethod
    def skipped(cls, benchmark: str, case: str, size: int, why: str) -> Row:
        """A row that says why there is no number."""
        return cls(benchmark, case, size, SKIPPED + why, math.nan, math.nan, math.nan)

    def __str__(self) -> str:
        shown = "" if math.isnan(self.value) else number(self.value)
        if self.low != self.high and shown:
            shown += f" ({number(self.low)} to {number(self.high)})"
        return f"{self.benchmark:18s} {self.case:44s} {self.size:7d}  {self.measure}  {shown}"


Rows = Callable[[Effort], Iterator[Row]]
"""What a benchmark is: a generator of its rows, one after the other."""


@dataclass(frozen=True)
class Turns:
    """Seconds of each way, a number a round, in the order of rounds."""

    seconds: Mapping[str, Sequence[float]]

    def spread(self, way: str) -> Spread:
        """Seconds of a way."""
        return Spread.of(self.seconds[way])

    def ratios(self, way: str, over: str) -> list[float]:
        """Seconds of one way over those of another, of each round."""
        return [one / other for one, other in zip(self.seconds[way], self.seconds[over], strict=True)]

    def only(self, ways: Iterable[str]) -> Turns:
        """Some of the ways alone."""
        return Turns({way: self.seconds[way] for way in ways})

    def rows(self, benchmark: str, case: str, size: int, unit: str = "ms", per: float = 1.0) -> Iterator[Row]:
        """How long each way takes, and each but the first over the first.

        Args:
            benchmark: of the rows.
            case: likewise.
            size: likewise.
            unit: s, ms or us.
            per: what the seconds are divided by, steps for instance.
        """
        first = next(iter(self.seconds))
        for way, seconds in self.seconds.items():
            scaled = [UNITS[unit] * value / per for value in seconds]
            yield Row.of(benchmark, case, size, f"{way}, {unit}", Spread.of(scaled))
            if way != first:
                yield Row.of(benchmark, case, size, f"{way} / {first}", Spread.of(self.ratios(way, first)))


def take_turns(
    ways: Mapping[str, Callable[[], object]],
    effort: Effort,
    clock: Callable[[], float] = time.process_time,
    parts: Mapping[str, float] | None = None,
) -> Turns:
    """Time ways of doing the same, in turns.

    Each is called once before, which fills caches and compiles, and is not counted.

    Args:
        ways: by name; the first is what others are compared with.
        effort: rounds, and the seconds after which there are no more.
        clock: seconds of processor time, or of the wall.
        parts: how many times as much the whole of a way is, of which only a part is done here: a loop over a thousand
            networks takes a thousand times as long as one round of it.
    """
    parts = parts or {}
    calls = {name: _calls(way, clock) for name, way in ways.items()}
    seconds: dict[str, list[float]] = {name: [] for name in ways}
    names, began = list(ways), time.monotonic()
    for turn in range(max(FEWEST_ROUNDS, effort.rounds)):
        if turn >= FEWEST_ROUNDS and time.monotonic() - began > effort.seconds:
            break
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            started = clock()
            for _ in range(calls[name]):
                ways[name]()
            seconds[name].append(parts.get(name, 1.0) * (clock() - started) / calls[name])
    return Turns(seconds)


def _calls(way: Callable[[], object], clock: Callable[[], float]) -> int:
    """How often a way is called in a turn; the first call warms up."""
    for _ in range(2):
        started = clock()
        way()
        if (spent := clock() - started) >= SHORTEST:
            return 1
    return math.ceil(SHORTEST / max(spent, 1e-7))


def machine() -> dict[str, str]:
    """What was measured on: processor, cores, memory, load, threads of torch, versions."""
    import torch

    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    found = {
        "processor": _processor(),
        "instructions": torch.backends.cpu.get_cpu_capability(),
        "cores": f"{len(os.sched_getaffinity(0))} of {os.cpu_count()}",
        "memory": f"{memory / 2**30:.0f} GB",
        "load": ", ".join(f"{load:.1f}" for load in os.getloadavg()) + " (1, 5, 15 minutes)",
        "torch threads": str(torch.get_num_threads()),
    }
    if find_spec("jax") is not None:
        from importlib.metadata import version

        found["jax"] = version("jax")
    return found | versions()


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor()


def available_memory() -> float:
    """Bytes that may be taken without others having to give some back."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return math.inf
    return next((1024.0 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:")), math.inf)


def write_table(path: Path, rows: Iterable[Row], described: Mapping[str, str]) -> None:
    """Write rows as CSV, below lines that begin with ``#`` and describe the machine."""
    with written_whole(path) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        for name, value in described.items():
            file.write(f"# {name}: {value}\n")
        table = csv.writer(file, lineterminator="\n")
        table.writerow([field.name for field in fields(Row)])
        for row in rows:
            *words, value, low, high = astuple(row)
            table.writerow([*words, *("" if math.isnan(one) else f"{one:.6g}" for one in (value, low, high))])


def read_table(path: Path) -> tuple[list[Row], dict[str, str]]:
    """Read what :func:`write_table` wrote: rows, and the machine."""
    lines = path.read_text(encoding="utf-8").splitlines()
    described = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    rows = []
    for cells in csv.DictReader(line for line in lines if not line.startswith("# ")):
        numbers = {name: float(cells[name] or "nan") for name in ("value", "low", "high")}
        rows.append(Row(cells["benchmark"], cells["case"], int(cells["size"]), cells["measure"], **numbers))
    return rows, described


def shown(rows: Iterable[Row]) -> Iterator[Row]:
    """Rows, each printed as it comes."""
    for row in rows:
        print(row, flush=True)
        yield row


def add_options(parser: argparse.ArgumentParser) -> None:
    """Options that every benchmark has."""
    parser.add_argument("--quick", action="store_true", help="fewer rounds, and no case that takes minutes")
    parser.add_argument("--rounds", type=int, metavar="NUMBER", help="in which ways take turns")
    parser.add_argument("--seconds", type=float, metavar="NUMBER", help="after which turns of one size end")


def effort_of(arguments: argparse.Namespace) -> Effort:
    """The effort that these options ask for."""
    chosen: dict[str, Any] = {
        name: value for name in ("rounds", "seconds") if (value := getattr(arguments, name)) is not None
    }
    return replace(QUICK if arguments.quick else Effort(), **chosen)


def alone(rows: Rows, description: str | None) -> None:
    """Run one benchmark as a program of its own, with a line for each row."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    add_options(parser)
    parser.add_argument("-o", "--output", type=Path, metavar="FILE", help="CSV to write")
    arguments = parser.parse_args()
    as_a_job()
    found = list(shown(rows(effort_of(arguments))))
    if arguments.output is not None:
        write_table(arguments.output, found, machine())


def as_a_job() -> None:
    """Go on as the pipeline's jobs do: on one thread, with what rules/common.smk says of memory to the C library, which
    reads it when a program starts; so this program is started anew where it has not been said."""
    missing = {name: value for name, value in OF_JOBS.items() if name not in os.environ}
    if missing:
        os.execve(sys.executable, sys.orig_argv, os.environ | missing)
    import torch

    torch.set_num_threads(1)
