"""Put a run of the benchmarks into docs/benchmarks.md: the machine, a table a benchmark, the picture of growth.

python docs/write_benchmarks.py [results/benchmarks]    after `make benchmark`; replaces what stands between the markers
"""

from __future__ import annotations

import csv
import math
import shutil
import sys
import textwrap
from collections.abc import Iterator, Sequence
from pathlib import Path

from write_results import ROOT, fill

from weightcast.cli.errors import exit_on_input_error
from weightcast.core.errors import InputError
from weightcast.core.report.number_formats import number

RESULTS = ROOT / "results" / "benchmarks"
PAGE, PICTURE = ROOT / "docs" / "benchmarks.md", ROOT / "docs" / "benchmarks.svg"
SKIPPED = "not measured: "
WHEN = "measured, "
STEPS = "ms"
"""The unit of ways of which the first one's time is shown, and of others how many times as long they take."""
ROOFLINE = ("multiply-adds", "moved by", "products of", "copy, ", "bound by ")
"""What measures begin with that have a table of their own, below the ways that are compared."""
COLUMNS = ("benchmark", "case", "size", "measure", "value", "low", "high")

Cells = dict[str, str]
"""One row of the table, as text by column."""


def read(path: Path) -> tuple[list[Cells], dict[str, str]]:
    """Rows of a table of benchmarks, and what its first lines say of the machine.

    Raises:
        InputError: there is no such table.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file, expected a table of benchmarks, as of `make benchmark`")
    lines = path.read_text(encoding="utf-8").splitlines()
    machine = dict(line[2:].split(": ", 1) for line in lines if line.startswith("# "))
    table = csv.DictReader(line for line in lines if not line.startswith("# "))
    if tuple(table.fieldnames or ()) != COLUMNS:
        raise InputError(f"{path}: found columns {table.fieldnames}, expected {', '.join(COLUMNS)}")
    return list(table), machine


def machine_block(machine: dict[str, str]) -> str:
    """What was measured on, and when each benchmark was."""
    facts = ", ".join(f"{name} {value}" for name, value in machine.items() if not name.startswith(WHEN))
    times = "; ".join(f"{name.removeprefix(WHEN)} {value}" for name, value in machine.items() if name.startswith(WHEN))
    return "\n\n".join(
        textwrap.fill(text, 120, break_on_hyphens=False) for text in (f"{facts}.", f"Measured: {times}.")
    )


def table_blocks(rows: Sequence[Cells]) -> Iterator[str]:
    """A heading and a table for each benchmark: a line a case and size, then what was not measured."""
    for benchmark in dict.fromkeys(row["benchmark"] for row in rows):
        own = [row for row in rows if row["benchmark"] == benchmark]
        yield f"## {benchmark[0].upper()}{benchmark[1:]}"
        for case in dict.fromkeys(row["case"] for row in own):
            yield "\n".join(case_table(case, [row for row in own if row["case"] == case])).strip()


def case_table(case: str, rows: Sequence[Cells]) -> Iterator[str]:
    """Markdown of one case: columns are measures, then those of the roofline, then what was not measured."""
    measured = [row for row in rows if not row["measure"].startswith(SKIPPED)]
    found = dict.fromkeys(row["measure"] for row in measured)
    compared = {way for way, _, other in (one.partition(" / ") for one in found) if f"{other}, {STEPS}" in found}
    measures = [
        one for one in found if one.removesuffix(f", {STEPS}") == one or one.rpartition(", ")[0] not in compared
    ]
    cells = {(row["size"], row["measure"]): shown(row) for row in measured}
    roofline = [measure for measure in measures if measure.startswith(ROOFLINE) or measure.endswith("/ roofline")]
    for heading, chosen in (case, [one for one in measures if one not in roofline]), (f"{case}, roofline", roofline):
        sizes = dict.fromkeys(size for size, measure in cells if measure in chosen)
        if sizes:
            yield f"| {heading} | {' | '.join(chosen)} |"
            yield "|---" * (1 + len(chosen)) + "|"
        for size in sizes:
            yield f"| {int(size):,} | {' | '.join(cells.get((size, measure), '') for measure in chosen)} |"
        if sizes:
            yield ""
    skipped = [row for row in rows if row["measure"].startswith(SKIPPED)]
    for row in skipped:
        yield f"- {case}, {int(row['size']):,}: {row['measure']}."


def shown(row: Cells) -> str:
    """A number, with its range over the rounds where it has one."""
    value, low, high = (float(row[name] or "nan") for name in ("value", "low", "high"))
    if math.isnan(value) or low == high:
        return number(value) if value != round(value) or abs(value) >= 1e4 else f"{value:,.0f}"
    return f"{number(value)} ({number(low)} to {number(high)})"


@exit_on_input_error()
def main() -> None:
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    rows, machine = read(results / "benchmarks.csv")
    picture = results / "growth.svg"
    if not picture.is_file():
        raise InputError(f"{picture}: no such file, expected the picture of a run that has ended")
    fill(PAGE, "machine", machine_block(machine))
    fill(PAGE, "tables", "\n\n".join(table_blocks(rows)))
    shutil.copyfile(picture, PICTURE)


if __name__ == "__main__":
    main()
