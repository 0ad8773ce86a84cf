"""Put the numbers and pictures of finished studies of records into docs/real-places.md.

python docs/write_places.py results/influenza results/chickenpox results/air

What stands between the markers of a study's name is replaced: the verdict, a table of what is shown frames or nothing,
and a picture, docs/places_<study>.svg, of errors and of what bands hold against the horizon.
"""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.figure import Figure
from write_results import ROOT, fill, label, read

from weightcast.core.files import written_whole
from weightcast.core.methods import CONTEXT, ENSEMBLE, ONE_PER_ENV_PREFIX, OWN_PREFIX, TREES, method
from weightcast.core.plots.export import render
from weightcast.core.plots.style import house_style
from weightcast.core.report.number_formats import p_value
from weightcast.core.significance import environment_errors, paired_ratio
from weightcast.environments.config.load import load_study
from weightcast.environments.config.study import Study

PAGE = ROOT / "docs" / "real-places.md"
OWN = CONTEXT + ENSEMBLE
DRAWN = ("persistence", "seasonal-persistence", "autoregression", TREES, "erm", "finetune-erm-observed", CONTEXT, OWN)
RIVALS = ("persistence", "seasonal-persistence", "autoregression", TREES, f"{TREES}-observed", "erm", DRAWN[5])
"""What people would try instead: paired with what comes from frames."""


def errors_of(observed: pd.DataFrame, case: str, horizon: int, metric: str) -> pd.DataFrame:
    """Scores [environment, method] of all held-out places, where they know frames or nothing."""
    rows = environment_errors(observed[observed["case"] == case], horizon, metric)
    names = [name for name in rows["method"].unique() if method(name).knows in ("frames", "nothing")]
    names += [name for name in rows["method"].unique() if name.startswith(ONE_PER_ENV_PREFIX)]
    return rows[rows["method"].isin(names)].pivot(index="environment", columns="method", values="value")


def of_own_records(metrics: pd.DataFrame, horizon: int) -> pd.DataFrame:
    """Errors [environment, method] of forecasts without a network that know a held-out place's whole record."""
    rows = environment_errors(metrics, horizon, "rmse")
    rows = rows[rows["method"].str.startswith(OWN_PREFIX)]
    return rows.pivot(index="environment", columns="method", values="value")


def table(observed: pd.DataFrame, metrics: pd.DataFrame, study: Study) -> str:
    """A row a method: median error of each case, and of ensembles CRPS and what their bands hold, in the mean."""
    cases, horizon = [case.name for case in study.evaluation.observed], study.trained_horizon
    own = of_own_records(metrics, horizon)
    errors = {case: errors_of(observed, case, horizon, "rmse").join(own) for case in cases}
    crps = {case: errors_of(observed, case, horizon, "crps") for case in cases}
    held = {case: errors_of(observed, case, horizon, "coverage_90") for case in cases}
    names = sorted(errors[cases[0]].columns, key=lambda name: errors[cases[0]][name].median())
    words = [f"{case.all_frames} frames" for case in study.evaluation.observed]
    heads = [f"RMSE, {word}" for word in words] + [f"CRPS, {word}" for word in words] + ["in the 90 % band"]
    lines = [f"| method | {' | '.join(heads)} |", "|---" * (len(heads) + 1) + "|"]
    for name in names:
        cells = [f"{errors[case][name].median():.3f}" for case in cases]
        scored = [name in crps[case].columns for case in cases]
        cells += [
            f"{crps[case][name].median():.3f}" if there else "" for case, there in zip(cases, scored, strict=True)
        ]
        bands = [f"{held[case][name].mean():.0%}" for case in cases] if name.endswith(ENSEMBLE) else []
        lines.append(f"| {label(name)} | {' | '.join([*cells, ' / '.join(bands)])} |")
    return "\n".join(lines)


def comparisons(observed: pd.DataFrame, study: Study) -> str:
    """The ensemble from the frames of the first case against what people would try instead, paired over places."""
    case, horizon = study.evaluation.observed[0], study.trained_horizon
    errors = errors_of(observed, case.name, horizon, "rmse")
    parts = []
    for rival in RIVALS:
        if rival in errors.columns:
            pairs = errors[[OWN, rival]].dropna()
            found = paired_ratio(pairs[OWN].to_numpy(), pairs[rival].to_numpy())
            interval = f"{found.ratio:.2f} ({found.low:.2f} to {found.high:.2f}, p {p_value(found.p)})"
            parts.append(f"{method(rival).label} {interval}")
    return (
        f"Error of the ensemble from {case.frames} frames over that of others, geometric mean over {len(errors)} "
        f"places, with its 95 % interval and a paired test: {'; '.join(parts)}."
    )


def draw(observed: pd.DataFrame, study: Study) -> Figure:
    """Median error, and what the band holds, against the horizon."""
    case, horizons = study.evaluation.observed[0].name, study.evaluation.horizons
    with house_style():
        figure = Figure(figsize=(9, 3.4), layout="constrained")
        error, held = figure.subplots(1, 2)
        by_horizon = {horizon: errors_of(observed, case, horizon, "rmse") for horizon in horizons}
        for name in DRAWN:
            if name in by_horizon[horizons[0]].columns:
                values = [by_horizon[horizon][name].median() for horizon in horizons]
                own = name in (CONTEXT, OWN)
                error.plot(horizons, values, "o-", ms=3, lw=2.2 if own else 1.2, label=method(name).label)
        shares = [errors_of(observed, case, horizon, "coverage_90")[OWN] for horizon in horizons]
        held.plot(horizons, [share.mean() for share in shares], "o-", ms=3, lw=2.2, color="#d55e00")
        held.fill_between(
            horizons, [share.quantile(0.25) for share in shares], [share.quantile(0.75) for share in shares],
            color="#d55e00", alpha=0.2, lw=0,
        )  # fmt: skip
        held.axhline(0.9, color="#5a5a5a", lw=0.8, ls=":")
        held.set_ylim(0, 1)
        held.set_ylabel("held by the 90 % band")
        error.set_ylabel("median RMSE")
        for axes in (error, held):
            axes.axvline(study.trained_horizon, color="#5a5a5a", lw=0.8, ls=":")
            axes.set_xlabel("steps ahead (dotted: trained)")
        error.set_ylim(bottom=0)
        error.legend(fontsize=7)
    return figure


def cost(results: Path) -> str:
    """Processor time of all jobs, from what Snakemake noted."""
    seconds = sum(
        float(np.nansum(pd.to_numeric(pd.read_csv(file, sep="\t")["cpu_time"], errors="coerce")))
        for file in (results / "benchmarks").rglob("*.tsv")
    )
    return f"{seconds / 60:.0f} minutes of one core"


def main() -> None:
    """Fill the page."""
    for results in map(Path, sys.argv[1:]):
        study, observed = load_study(results / "config.yaml"), read(results / "observed.csv")
        metrics = read(results / "metrics.csv")
        name = results.resolve().name
        verdict = "\n".join(f"> {answer}\n>" for answer in read(results / "verdict.csv")["answer"]).removesuffix("\n>")
        picture = render(draw(observed, study))
        file = f"places_{name}.{picture.suffix}"
        with written_whole(ROOT / "docs" / file) as partial:
            partial.write_bytes(picture.content)
        heading = (
            f"Medians over held-out places of errors up to {study.trained_horizon} steps ahead, over the channels' "
            f"standard deviation; the band's share is a mean over places. The whole study took {cost(results)}."
        )
        says = "Median error, and what the 90 % band holds, against the steps ahead"
        parts = [verdict, heading, table(observed, metrics, study), comparisons(observed, study), f"![{says}]({file})"]
        fill(PAGE, name, "\n\n".join(parts))


if __name__ == "__main__":
    main()
