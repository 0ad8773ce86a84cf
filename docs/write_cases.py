"""Put what frames, noise, masked part and horizon do to forecasts into docs/how-many-frames.md: tables, a picture.

python docs/write_cases.py [RESULTS]     after `make frames`; replaces what stands between the markers
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from write_results import ROOT, replaced

from weightcast.core.methods import CONTEXT, ENSEMBLE, OBSERVED, ONE_PER_ENV_PREFIX, WEIGHTED_EXPERTS, method
from weightcast.core.plots.export import render
from weightcast.core.plots.style import house_style
from weightcast.core.report.number_formats import number

RESULTS = ROOT / "results" / "lambda-omega"
PAGE, PICTURE = ROOT / "docs" / "how-many-frames.md", ROOT / "docs" / "how_many_frames.svg"
TRAINED_HORIZON = 30
FRAMES = 2
"""Of the cases that differ in noise, masked part and horizon."""
SPLITS = {"interpolation": "inside", "extrapolation": "outside"}
METRICS = {"rmse": "RMSE", "crps": "CRPS", "coverage_90": "coverage of 90 %"}
OWN = (CONTEXT, CONTEXT + ENSEMBLE)
COLOURS = ("#d55e00", "#cc79a7", "#0072b2", "#009e73", "#1a1a1a")


@dataclass(frozen=True)
class Sweep:
    """What is varied: its column in observed.csv, words for it, and what stays the same."""

    column: str
    words: str
    fixed: dict[str, float]

    def rows(self, observed: pd.DataFrame) -> pd.DataFrame:
        """The rows of observed.csv that differ in nothing else."""
        fixed = {"frames": FRAMES, "noise": 0.0, "masked": 0.0, "every": 1, "horizon": TRAINED_HORIZON} | self.fixed
        chosen = np.ones(len(observed), dtype=bool)
        for column, value in fixed.items():
            if column != self.column:
                chosen &= np.isclose(observed[column], value)
        return observed[chosen]


SWEEPS = (
    Sweep("frames", "frames seen", {}),
    Sweep("noise", "noise, over the frames' spread", {}),
    Sweep("masked", "masked part of each frame", {}),
    Sweep("horizon", "forecast length, frames (trained: 30)", {}),
)


def medians(rows: pd.DataFrame, column: str) -> pd.DataFrame:
    """Medians over environments, of means over seeds: [method, split, metric] x values of the column."""
    means = rows.groupby(["method", "split", "metric", column, "environment"])["value"].mean()
    return means.groupby(["method", "split", "metric", column]).median().unstack(column)


def shown_methods(table: pd.DataFrame) -> list[str]:
    """The context's, weighted experts, the best other rival on average, experts of the very environment."""
    errors = table.xs("rmse", level="metric").replace(np.inf, 1e3).groupby("method").mean().mean(axis=1).sort_values()
    others = [
        name for name in errors.index if name.endswith(OBSERVED) or name in ("code-adaptation", "retrieved-expert")
    ]
    references = [name for name in errors.index if name.startswith(ONE_PER_ENV_PREFIX)]
    wanted = [*OWN, WEIGHTED_EXPERTS, *others[:1], *references[:1]]
    return [name for name in wanted if name in errors.index]


def draw(observed: pd.DataFrame) -> Figure:
    """A row a metric, a column a sweep; full lines inside the range, dashed ones outside."""
    with house_style():
        figure = Figure(figsize=(12, 8), layout="constrained")
        panels = figure.subplots(len(METRICS), len(SWEEPS), sharey="row")
        methods = shown_methods(medians(SWEEPS[0].rows(observed), "frames"))
        for column, sweep in enumerate(SWEEPS):
            table = medians(sweep.rows(observed), sweep.column)
            for line, (metric, words) in enumerate(METRICS.items()):
                axes = panels[line][column]
                for colour, name in zip(COLOURS, methods, strict=False):
                    for split, style in zip(SPLITS, ("-", "--"), strict=True):
                        if (name, split, metric) in table.index:
                            values = table.loc[(name, split, metric)].dropna()
                            label = method(name).label if split == "interpolation" and not (line or column) else None
                            axes.plot(values.index, values, "o", ls=style, color=colour, ms=3, lw=1.4, label=label)
                if metric == "coverage_90":
                    axes.axhline(0.9, color="#5a5a5a", lw=0.8, ls=":")
                    axes.set_ylim(0, 1)
                    axes.set_xlabel(sweep.words)
                else:
                    axes.set_yscale("log")
                if column == 0:
                    axes.set_ylabel(f"median {words}")
                axes.grid(axis="y")
        figure.legend(*panels[0][0].get_legend_handles_labels(), loc="outside upper left", ncols=len(methods))
    return figure


def tables(observed: pd.DataFrame) -> Iterator[str]:
    """A table a sweep: a row a method, inside / outside; of ensembles CRPS and coverage as well."""
    for sweep in SWEEPS:
        table = medians(sweep.rows(observed), sweep.column)
        if table.shape[1] < 2:
            continue
        yield f"\n**{sweep.words[0].upper()}{sweep.words[1:]}**\n"
        yield f"| | {' | '.join(f'{value:g}' for value in table.columns)} |"
        yield f"|---|{'---|' * table.shape[1]}"
        for name in sorted(table.index.unique("method"), key=lambda one: _order(table, one)):
            for metric, words in METRICS.items():
                if metric != "rmse" and not name.endswith(ENSEMBLE):
                    continue
                cells = [_cell(table, name, metric, value) for value in table.columns]
                yield f"| {method(name).label}, {words} | {' | '.join(cells)} |"


def _order(table: pd.DataFrame, name: str) -> tuple[int, float]:
    """The context's first, references last, others by their mean error inside."""
    place = 0 if name in OWN else 2 if name.startswith(ONE_PER_ENV_PREFIX) else 1
    key = (name, "interpolation", "rmse")
    return place, float(table.loc[key].replace(np.inf, 1e3).mean()) if key in table.index else np.inf


def _cell(table: pd.DataFrame, name: str, metric: str, value: float) -> str:
    keys = [(name, split, metric) for split in SPLITS]
    found = [float(table.loc[key, value]) for key in keys if key in table.index]
    return " / ".join(number(one) for one in found) if found and not any(map(np.isnan, found)) else ""


def main() -> None:
    results = Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS
    observed = pd.read_csv(results / "observed.csv")
    PICTURE.write_bytes(render(draw(observed)).content)
    page = PAGE.read_text(encoding="utf-8")
    shown = f"![RMSE, CRPS and coverage against frames, noise, masked part and forecast length]({PICTURE.name})"
    block = "\n".join([shown, *tables(observed)]).strip()
    PAGE.write_text(replaced(page, "cases", block), encoding="utf-8")


if __name__ == "__main__":
    main()
