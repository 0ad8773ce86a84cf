"""Put the numbers of a finished study of environments across time into docs/environments-time.md.

python docs/write_families.py results/epidemic-family

What stands between the markers of the study's name is replaced, so that numbers are copied by no hand.
"""

from __future__ import annotations

import sys
from pathlib import Path

import pandas as pd
from write_results import ROOT, fill, read

from weightcast.core.methods import (
    NEAREST_PATH,
    PATH,
    PATH_ENSEMBLE,
    SHOWN,
    TOLD_PATH,
    method,
    printing_order,
    shown_as,
)
from weightcast.families.map_choice import MapChoice
from weightcast.families.report.comparison import environment_ratio

SPLITS = ("interpolation", "extrapolation")
COLUMNS = (
    ("wasserstein", "W1", 2),
    ("nll", "NLL", 3),
    ("mean_coverage_90", "mean held", 2),
    ("tail_coverage_90", "tail held", 2),
)


def methods_table(summary: pd.DataFrame) -> str:
    """A row a method, inside / outside, W1 with its intervals; best inside first within each family."""
    value = summary.set_index(["method", "split", "metric"])
    names = sorted(summary["method"].unique(), key=lambda name: (printing_order(name), name))
    names.sort(
        key=lambda name: (method(name).family == "reference", value.loc[(name, SPLITS[0], "wasserstein"), "median"])
    )
    lines = [f"| method | {' | '.join(heading for _, heading, _ in COLUMNS)} | seconds |", "|---" * 6 + "|"]
    for name in names:
        known = method(name)
        cells = []
        for metric, _, digits in COLUMNS:
            found = [value.loc[(name, split, metric)] for split in SPLITS if (name, split, metric) in value.index]
            intervals = metric == "wasserstein"
            cells.append(
                " / ".join(
                    f"{row['median']:.{digits}f}"
                    + (f" [{row['ci_low']:.{digits}f}, {row['ci_high']:.{digits}f}]" if intervals else "")
                    for row in found
                )
            )
        label = f"**{known.label}**" if known.family == "generator" else known.label
        label += " (reference)" if known.family == "reference" else ""
        seconds = value.loc[(name, SPLITS[0], "wasserstein"), "adapt_seconds"]
        lines.append(f"| {label} | {' | '.join(cells)} | {seconds:.1f} |")
    return "\n".join(lines)


def ratios(summary: pd.DataFrame, metrics: pd.DataFrame) -> str:
    """How the inferred path compares, case by case, with 95 % intervals over environments and seeds."""
    cases = [name.partition(SHOWN)[2] for name in summary["method"].unique() if name.startswith(f"{PATH}{SHOWN}")]
    lines = []
    for case in dict.fromkeys(cases):
        near = shown_as(f"{NEAREST_PATH}-likelihood", case)
        own, ensemble = (
            [_both(metrics, shown_as(name, case), rival) for rival in (TOLD_PATH, near)]
            for name in (PATH, PATH_ENSEMBLE)
        )
        lines.append(
            f"- {case}: W1 of the most probable path is {own[0]} times that of the density told the true "
            f"parameters, inside / outside, and {own[1]} times that of the nearest visible path by "
            f"likelihood; of the ensemble {ensemble[0]} and {ensemble[1]}."
        )
    return "\n".join(lines)


def choices(results: Path) -> str:
    """What left-out visible environments chose, in a sentence."""
    chosen = MapChoice.load(results / "choice/codes.yaml")
    held = "; ".join(
        f"{group} " + ", ".join(f"{held:.0%} at {inflation}" for inflation, held in shares.items())
        for group, shares in chosen.coverage.items()
    )
    widths = ", ".join(f"{error:.3f} at {width}" for width, error in chosen.width_errors.items())
    priors = ", ".join(f"{kind} {error:.3f}" for kind, error in chosen.prior_errors.items())
    errors = ", ".join(f"{kind} {error:.3f}" for kind, error in chosen.errors.items())
    return (
        f"{len(chosen.edge) + len(chosen.inside)} visible environments, left out, {len(chosen.edge)} of them at the "
        f"edge, chose the map {chosen.kind} (NLL: {errors}), a prior {chosen.widened:g} times as wide as the codes "
        f"(NLL of ensembles: {widths}), {chosen.prior} ({priors}), and codes {chosen.inflation.inside:g} times as far "
        f"apart for bands inside, {chosen.inflation.edge:g} times at the edge (held by these: {held})."
    )


def main() -> None:
    """Fill the page."""
    results = Path(sys.argv[1])
    summary, metrics = read(results / "summary.csv"), read(results / "metrics.csv")
    seeds = metrics["seed"].nunique()
    counts = summary[summary["metric"] == "wasserstein"].groupby("split")["n"].max()
    inside, outside = (counts[split] for split in SPLITS)
    heading = (
        f"Medians inside / outside ({inside} / {outside} environments, {seeds} seeds) with 95 % intervals, at times "
        "after what is shown; shares held by 90 % bands are means; seconds for each new environment, on one core."
    )
    block = "\n\n".join([heading, methods_table(summary), ratios(summary, metrics), choices(results)])
    fill(ROOT / "docs/environments-time.md", results.resolve().name, block)


def _both(metrics: pd.DataFrame, first: str, second: str) -> str:
    """The ratio of two methods' W1 inside / outside, each with its interval."""
    found = [environment_ratio(metrics, first, second, split) for split in SPLITS]
    return " / ".join("" if one is None else f"{one.median:.2f} [{one.low:.2f}, {one.high:.2f}]" for one in found)


if __name__ == "__main__":
    main()
