"""The tables of a study across time: summaries by split, moments, and published figures."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
import xarray as xr

from weightcast.core.methods import method
from weightcast.core.report.number_formats import MISSING, count, interval, number, p_value, seconds
from weightcast.core.report.summary_tables import Cell, Row
from weightcast.core.significance import split_order
from weightcast.evolution.plots.distributions import MOST_DIMENSIONS
from weightcast.evolution.report.comparison import FLOOR, Protagonists, error_ratio
from weightcast.evolution.report.distributions import moments_at
from weightcast.evolution.report.kept import KeptPaths, kept_in
from weightcast.evolution.report.published import published_figures, published_words

MOMENT_TIMES = 5
"""Times whose moments are printed."""
SPLIT_TITLES = {
    "unobserved": "Unobserved times",
    "held_out": "Left-out snapshots",
    "forecast": "Forecast of the last snapshot",
    "observed": "Observed times",
    "previous": "From the snapshot before",
    "source": "As the method's source scores",
}
_SPLIT_WORDS = {
    "unobserved": "truth: held-out trajectories at times that training has not seen",
    "held_out": "truth: held-out trajectories at the time of a snapshot that all training was done without",
    "forecast": "truth: held-out trajectories after the last snapshot but one; all training was done without the last",
    "observed": "truth: held-out trajectories at the times of the snapshots",
    "previous": "of samples of the snapshot before that trained nothing; truth: those of the snapshot itself",
    "source": "all but the first; truth: the training trajectories themselves",
}
_METRICS = (
    ("wasserstein", "W", "exact 1-Wasserstein distance between samples, in the state's units"),
    ("relative_mass_error", "Mass", "relative error of the size of the population, in that at the first snapshot"),
    ("sliced_wasserstein", "Sliced W", "mean 1-Wasserstein distance along random directions, in the state's units"),
    ("mmd", "MMD", "squared maximum mean discrepancy, Gaussian kernels of widths 0.1, 1 and 10"),
    ("jsd", "JSD", "Jensen-Shannon divergence of the marginals, in nats, mean over dimensions"),
    ("nll", "NLL", "negative log-likelihood of held-out samples, in nats; only where there is a density"),
    ("train_nll", "NLL, train", "the same of training samples: far below the other, they are known by heart"),
    ("tail_error", "Tail", "absolute error of the probability of exceeding the truth's 95 % quantile"),
    ("paper_w", "Paper W", "the figure called W in WeightFlow's paper, which is no distance of distributions"),
)
_MOMENTS = (
    ("mean_error", "Mean", "relative error of the mean, average over dimensions"),
    ("variance_error", "Variance", "relative error of the variance, average over dimensions"),
    ("third_moment_error", "Third moment", "relative error of the third central moment, average over dimensions"),
    ("fourth_moment_error", "Fourth moment", "relative error of the fourth central moment, average over dimensions"),
)


@dataclass(frozen=True)
class TimeTable:
    """A row a method; columns are (heading, what it means)."""

    title: str
    caption: str
    columns: list[tuple[str, str]]
    rows: list[Row]


@dataclass(frozen=True)
class MomentRow:
    """Means and standard deviations of one dimension at one time, in print."""

    time: str
    seen: str
    dimension: str
    mean_truth: str
    mean: str
    deviation_truth: str
    deviation: str


def summary_tables(
    summary: pd.DataFrame, metrics: pd.DataFrame, chosen: Protagonists, draws: int = 2000, kept: KeptPaths | None = None
) -> list[TimeTable]:
    """A table a split, the one that the verdict speaks of first, best method first.

    Args:
        summary: summary.csv.
        metrics: metrics.csv, for the ratios to the sampling floor.
        chosen: whose marks the rows get.
        draws: of the bootstrap.
        kept: whether flows are differential equations or splines, which their rows then say.
    """
    order = list(SPLIT_TITLES)
    splits = sorted(
        summary["split"].unique(), key=lambda split: (order.index(split) if split in order else 99, split_order(split))
    )
    return [
        _summary_table(summary[summary["split"] == split], metrics, split, chosen, draws, kept or {})
        for split in splits
    ]


def moment_table(summary: pd.DataFrame, chosen: Protagonists) -> TimeTable | None:
    """Errors of the first four moments in the split that the verdict speaks of, or None where there are none."""
    rows = summary[summary["split"] == chosen.split]
    metrics = [entry for entry in _MOMENTS if entry[0] in set(rows["metric"])]
    if not metrics:
        return None
    title = f"Relative errors of moments: {SPLIT_TITLES.get(chosen.split, chosen.split).lower()}"
    printed = [
        Row(method(name), _marks(name, chosen, chosen.split), _cells(of_method, metrics, metrics[0][0]))
        for name, of_method in _methods(rows, metrics[0][0])
    ]
    return TimeTable(title, _caption(rows, chosen.split), _headings(metrics), printed)


def moment_rows(samples: xr.DataArray) -> list[MomentRow]:
    """Truth and prediction at a few times, the first dimensions of each.

    Args:
        samples: as :func:`weightcast.evolution.report.distributions.read_distributions` gives them.
    """
    times = samples["time"].values
    rows = []
    for position in np.unique(np.linspace(0, len(times) - 1, MOMENT_TIMES).round().astype(int)):
        means, deviations = moments_at(samples, int(position))
        seen = "observed" if bool(samples["observed"].values[position]) else "unobserved"
        for dimension, name in enumerate(samples["dimension"].values[:MOST_DIMENSIONS]):
            of_dimension = [number(float(v)) for v in (*means[:, dimension], *deviations[:, dimension])]
            rows.append(MomentRow(f"{times[position]:g}", seen, str(name), *of_dimension))
    return rows


def published_table(
    summary: pd.DataFrame, source: str, chosen: Protagonists
) -> list[tuple[str, tuple[str, ...], bool]]:
    """Method, its figures in print, whether it is of this study; empty where nothing was published.

    Args:
        summary: with the split that is compared in the same way.
        source: a stochastic system's name, or that of a protocol.
        chosen: whose methods, with all arms of the flow, stand beside the published ones.
    """
    published, words = published_figures(source), published_words(source)
    rows = summary[(summary["split"] == words.split) & summary["metric"].isin(words.metrics)]
    found = rows.pivot(index="method", columns="metric", values="median").reindex(columns=list(words.metrics))
    own = [name for name in found.index if method(name).family == "generator" or name == FLOOR]
    own += [name for name in (chosen.interpolation, chosen.baseline) if name in found.index]
    if not published or not own:
        return []
    table = [(row.method, row.figures, False) for row in published]
    digits = 2 if words.unit < 1 else 3
    for name in sorted(dict.fromkeys(own), key=lambda name: -found.loc[name, words.metrics[0]]):
        own_figures = (
            MISSING if math.isnan(value) else f"{value / words.unit:.{digits}f}" for value in found.loc[name]
        )
        table.append((method(name).label, tuple(own_figures), True))
    return table


def _summary_table(
    rows: pd.DataFrame, errors: pd.DataFrame, split: str, chosen: Protagonists, draws: int, kept: KeptPaths
) -> TimeTable:
    metrics = [entry for entry in _METRICS if entry[0] in set(rows["metric"])]
    metrics.sort(key=lambda entry: entry[0] != chosen.metric)  # the headline metric first
    headline = metrics[0][0] if metrics else ""
    tested = rows.loc[rows["metric"] == headline, "p_vs_best_baseline"].notna().any()
    columns = _headings(metrics)
    if tested:
        columns[1:1] = [("p", f"of the paired test over times against this split's best baseline, by {metrics[0][1]}")]
    floored = bool(((rows["method"] == FLOOR) & (rows["metric"] == headline)).any())
    if floored:
        place = 2 if tested else 1
        columns[place:place] = [
            (
                "x floor",
                f"{metrics[0][1]} as a multiple of the sampling floor's: both meet the same held-out samples, the "
                "chance of which the interval of the error itself leaves out",
            )
        ]
    columns += [
        ("Parameters", "numbers that must be kept to use the method"),
        ("Train, s", "seconds of training, with all that the method builds on"),
    ]
    printed = []
    for name, of_method in _methods(rows, headline):
        cells = _cells(of_method, metrics, headline)
        if tested:
            p = float(of_method["p_vs_best_baseline"].get(headline, math.nan))
            cells[1:1] = [Cell(MISSING if math.isnan(p) else p_value(p).removeprefix("= "), p)]
        if floored:
            cells[place:place] = [_floor_cell(errors, name, split, headline, draws)]
        first = of_method.iloc[0]
        cells += [
            Cell(count(first["parameters"]), float(first["parameters"])),
            Cell(seconds(first["train_seconds"]), float(first["train_seconds"])),
        ]
        of_kept = kept_in(kept, name, split)
        marks = [*_marks(name, chosen, split), *([] if of_kept is None else [of_kept.words])]
        printed.append(Row(method(name), marks, cells))
    return TimeTable(SPLIT_TITLES.get(split, split), _caption(rows, split), columns, printed)


def _floor_cell(errors: pd.DataFrame, name: str, split: str, metric: str, draws: int) -> Cell:
    """How many times the floor a method's error is, with the interval of that."""
    found = None if name == FLOOR else error_ratio(errors, name, FLOOR, split, metric, draws)
    if found is None:
        return Cell(MISSING, math.nan)
    ends = "" if math.isnan(found.low) else interval(found.low, found.high)
    return Cell(number(found.median), found.median, ends)


def _methods(rows: pd.DataFrame, metric: str) -> list[tuple[str, pd.DataFrame]]:
    """Methods with their rows of one split indexed by metric, best first."""
    named = [(str(name), of_method.set_index("metric")) for name, of_method in rows.groupby("method", sort=False)]
    return sorted(named, key=lambda entry: entry[1]["median"].get(metric, math.inf))


def _headings(metrics: list[tuple[str, str, str]]) -> list[tuple[str, str]]:
    return [(heading, meaning) for _, heading, meaning in metrics]


def _cells(of_method: pd.DataFrame, metrics: list[tuple[str, str, str]], with_interval: str) -> list[Cell]:
    """Cells of one method; ``of_method`` is indexed by metric."""
    cells = []
    for metric, _, _ in metrics:
        median = float(of_method["median"].get(metric, math.nan))
        has_interval = metric == with_interval and metric in of_method.index
        ends = interval(of_method.loc[metric, "ci_low"], of_method.loc[metric, "ci_high"]) if has_interval else ""
        cells.append(Cell(number(median), median, ends))
    return cells


def _marks(name: str, chosen: Protagonists, split: str) -> list[str]:
    marks = ["reference"] if method(name).family == "reference" else []
    marks += ["chosen arm"] if name == chosen.flow else []
    if split == chosen.split:
        marks += ["best baseline"] if name == chosen.baseline else []
        marks += ["best on the same anchors"] if name == chosen.interpolation else []
    return marks


def _caption(rows: pd.DataFrame, split: str) -> str:
    times = int(rows["n"].max())
    words = _SPLIT_WORDS.get(split, "")
    return f"{times} time{'' if times == 1 else 's'}" + (f"; {words}" if words else "")
