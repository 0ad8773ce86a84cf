"""The stage ``summarise_observed``: what methods make of a few frames, all cases in one table, and in medians."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from weightcast.core import methods
from weightcast.core.outputs import Table
from weightcast.core.significance import bootstrap_median, value_grid
from weightcast.core.stage import stage
from weightcast.core.tables import VERDICT_COLUMNS, read_case_metrics, read_metrics
from weightcast.environments.advice import advice_rows, give_advice
from weightcast.environments.jobs import SummariseObserved

if TYPE_CHECKING:
    from weightcast.core.run import Run

REFERENCE = "one-per-env"
"""Methods of the file of references that stand beside every case."""


@stage("summarise_observed")
def summarise_observed(
    run: Run,
    settings: SummariseObserved,
    evaluations: list[Path],
    references: Path,
    unadapted: list[Path],
    regressions: Path | None = None,
) -> dict[str, Table]:
    """Join the errors of all cases, and reduce them at the trained horizon.

    Beside what is made of frames stands, the same in every case, what is made of none and told nothing else: the pooled
    network, forecasts without a network, and regressions.

    Args:
        run: not used; tables are made on the CPU.
        settings: the cases, in the order of the tables.
        evaluations: errors, a table a case.
        references: errors of experts of the very environments.
        unadapted: errors of methods of which those count that use neither frames nor parameters.
        regressions: errors of regressions that are drawn to frames, all cases in one table, if the study has some.

    Raises:
        InputError: a table cannot be used.
    """
    experts = read_metrics(references)
    experts = experts[experts["method"].str.startswith(REFERENCE)]
    told_nothing = pd.concat([read_metrics(path) for path in unadapted], ignore_index=True)
    told_nothing = told_nothing[told_nothing["method"].map(lambda name: methods.method(name).knows == "nothing")]
    drawn = None if regressions is None else read_case_metrics(regressions)
    parts = []
    for case, path in zip(settings.cases, evaluations, strict=True):
        tables = [read_metrics(path), experts, told_nothing]
        if drawn is not None:
            tables.append(drawn[drawn["case"] == case.name].drop(columns="case"))
        rows = pd.concat(tables, ignore_index=True)
        rows = rows[rows["split"] != "visible"]
        described = {"case": case.name, **case.columns}
        for position, (name, value) in enumerate(described.items()):
            rows.insert(1 + position, name, value)
        parts.append(rows)
    metrics = pd.concat(parts, ignore_index=True)
    summary = medians(metrics[metrics["horizon"] == settings.trained_horizon], settings.bootstrap)
    answers = give_advice(metrics, settings.cases, settings.trained_horizon)
    for answer in answers:
        print(answer.answer, flush=True)
    verdict = pd.DataFrame(advice_rows(answers), columns=list(VERDICT_COLUMNS))
    return {"metrics": Table(metrics), "summary": Table(summary), "verdict": Table(verdict)}


def medians(metrics: pd.DataFrame, draws: int) -> pd.DataFrame:
    """Median over environments with its interval, for each case, method, split and metric.

    Args:
        metrics: rows of observed.csv at one horizon.
        draws: behind an interval.
    """
    rows = []
    for (case, method, split, metric), group in metrics.groupby(["case", "method", "split", "metric"], sort=False):
        grid = value_grid(group, str(metric))
        interval = bootstrap_median(grid.to_numpy(), draws=draws)
        rows.append(
            {
                "case": case,
                "method": method,
                "split": split,
                "metric": metric,
                "median": interval.median,
                "ci_low": interval.low,
                "ci_high": interval.high,
                "n": len(grid),
            }
        )
    return pd.DataFrame(rows)
