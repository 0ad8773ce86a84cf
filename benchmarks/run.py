"""All benchmarks in one run: one table, with the machine that it was measured on, and a picture of growth.

    python benchmarks/run.py [--only NAME ...] [--quick] [-o results/benchmarks]

Writes benchmarks.csv (a row a number: benchmark, case, size, measure, value, low, high) and growth.svg. With ``--only``
some benchmarks are measured anew, and the rows of others stay as they are in the table. A benchmark that fails has a
row that says so, and the others go on; the exit status is then 1. ``--quick`` takes some ten minutes of two idle cores,
all of it an hour or more. `python docs/write_benchmarks.py` puts the table into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
import time
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from growth_plot import draw
from side_by_side import (
    Effort,
    Row,
    add_options,
    as_a_job,
    effort_of,
    machine,
    read_table,
    shown,
    write_table,
)

from weightcast.core.files import written_whole
from weightcast.core.plots.export import render

BENCHMARKS = {
    "experts": "stacked_training",
    "shards": "shards",
    "sampler": "sampler",
    "code search": "code_search",
    "densities": "density_cost",
    "families": "family_cost",
    "flow": "flow_steps",
    "simulators": "simulation",
    "generator memory": "generator_memory",
    "planning": "planning",
    "whole run": "whole_run",
}
"""Modules, by the name that their rows have."""
TABLE, PICTURE = "benchmarks.csv", "growth.svg"


def measured(name: str, effort: Effort) -> Iterator[Row]:
    """Rows of one benchmark; if it fails, the last one says why."""
    try:
        yield from importlib.import_module(BENCHMARKS[name]).rows(effort)
    except Exception as error:
        print(f"{name}: {error}", file=sys.stderr)
        yield Row.skipped(name, "-", 0, f"failed: {' '.join(str(error).split())[-200:]}")


def failed(rows: list[Row]) -> bool:
    """Whether some benchmark has failed."""
    return any("failed: " in row.measure for row in rows)


def run(names: list[str], effort: Effort, folder: Path) -> list[Row]:
    """Measure some benchmarks, and write the table after each.

    Args:
        names: of the benchmarks.
        effort: of the measurements.
        folder: of the results; rows of other benchmarks that are there stay.

    Returns:
        All rows of the table.
    """
    table = folder / TABLE
    rows, described = read_table(table) if table.is_file() else ([], {})
    for name in names:
        began, load = datetime.now(), os.getloadavg()[0]
        started = time.monotonic()
        own = list(shown(measured(name, effort)))
        minutes = (time.monotonic() - started) / 60
        words = f"{began:%Y-%m-%d %H:%M}, {minutes:.1f} minutes{', quick' if effort.quick else ''}, load {load:.1f}"
        described = {**described, **machine(), f"measured, {name}": words}
        rows = [row for row in rows if row.benchmark != name] + own
        rows.sort(key=lambda row: list(BENCHMARKS).index(row.benchmark))
        write_table(table, rows, described)
    with written_whole(folder / PICTURE) as partial:
        partial.write_bytes(render(draw(rows)).content)
    return rows


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--only", nargs="+", choices=list(BENCHMARKS), metavar="NAME", help=", ".join(BENCHMARKS))
    add_options(parser)
    parser.add_argument("-o", "--output", type=Path, default=Path("results/benchmarks"), metavar="FOLDER")
    arguments = parser.parse_args()
    as_a_job()
    if failed(run(arguments.only or list(BENCHMARKS), effort_of(arguments), arguments.output)):
        sys.exit(1)


if __name__ == "__main__":
    main()
