"""Small long tables for tests: oscillations of a few places, in the forms in which people keep them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

PLACES = ("north", "east", "south", "west")
ENVIRONMENTS = Path("my-environments.csv")
TIDY = ("--environment", "station", "--state", "ozone", "--history", "1")
"""How `init` is to read `tidy_lines`."""
STEPS = 300


def hours(steps: int = STEPS, start: str = "2020-01-01") -> list[str]:
    """So many hours, as text."""
    return [str(stamp) for stamp in pd.date_range(start, periods=steps, freq="h")]


def series(place: int, steps: int = STEPS) -> np.ndarray:
    """A quantity of a place, with two decimals: [step]."""
    time = np.arange(steps)
    return np.round(10 + place + np.sin(2 * np.pi * time / (20 + place)) + 0.3 * np.cos(1.7 * time), 2)


def tidy_lines(
    times: Sequence[str] | None = None,
    places: Sequence[str] = PLACES,
    separator: str = ",",
    cell: Callable[[float], str] = str,
    header: Sequence[str] = ("station", "datetime", "ozone"),
) -> list[str]:
    """The lines of a table with a row a place and a time, header first."""
    times = hours() if times is None else times
    rows = [
        separator.join([place, time, cell(float(value))])
        for number, place in enumerate(places)
        for time, value in zip(times, series(number, len(times)), strict=True)
    ]
    return [separator.join(header), *rows]


def wide_lines(steps: int = STEPS, places: Sequence[str] = PLACES, times: Sequence[str] | None = None) -> list[str]:
    """The lines of a table with a column a place."""
    columns = [list(map(str, series(number, steps))) for number in range(len(places))]
    names = list(places)
    if times is not None:
        columns, names = [list(times), *columns], ["date", *names]
    return [",".join(names), *(",".join(row) for row in zip(*columns, strict=True))]


def write(path: Path, lines: Sequence[str], encoding: str = "utf-8") -> Path:
    """Write lines of text."""
    path.write_bytes(("\n".join(lines) + "\n").encode(encoding))
    return path


def init(*options: str, data: str = "air.csv") -> list[str]:
    """Arguments of `weightcast init` for a study of a table in the current folder."""
    return ["init", "--kind", "environments", "--data", data, *options, "-o", "my.yaml", "--force"]
