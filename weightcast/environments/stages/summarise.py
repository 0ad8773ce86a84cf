"""The stage ``summarise``: all errors in one table, and what they say."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pandas as pd

from weightcast.core import significance
from weightcast.core.outputs import Table
from weightcast.core.stage import stage
from weightcast.core.tables import read_method_costs, read_metrics
from weightcast.environments.adaptation_table import adaptation_table
from weightcast.environments.jobs import Summarise

if TYPE_CHECKING:
    from weightcast.core.run import Run


@stage("summarise")
def summarise(run: Run, settings: Summarise, evaluations: list[Path], costs: Path) -> dict[str, Table]:
    """Join the errors of all methods, and reduce them: medians, intervals, tests against the best baseline, costs.

    Args:
        run: not used; tables are made on the CPU.
        settings: the trained horizon, draws of the bootstrap, whether adaptation scores are tabled.
        evaluations: tables of errors, method by method.
        costs: the table of the methods' costs.

    Raises:
        InputError: a table cannot be used.
    """
    metrics = pd.concat([read_metrics(path) for path in evaluations], ignore_index=True)
    horizon = settings.trained_horizon
    made = {
        "metrics": Table(metrics),
        "summary": Table(significance.summarise(metrics, read_method_costs(costs), horizon, settings.bootstrap)),
    }
    if settings.adaptation_scores:
        made["adaptation"] = Table(adaptation_table(metrics, horizon))
    return made
