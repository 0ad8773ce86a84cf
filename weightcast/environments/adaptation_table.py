"""Adaptation scores of a study as CoDA and GEPS print them: means over environments, with their spread over seeds."""

from __future__ import annotations

import pandas as pd

from weightcast.core.errors import InputError
from weightcast.core.methods import printing_order
from weightcast.core.significance import value_grid
from weightcast.environments.adaptation_scores import RELATIVE_L2_BEYOND, SCORES

IN_DOMAIN = "in domain"
ADAPTATION = "adaptation"
ADAPTATION_COLUMNS = ("method", "task", "score", "mean", "deviation", "environments", "seeds")


def adaptation_table(metrics: pd.DataFrame, trained_horizon: int) -> pd.DataFrame:
    """Reduce metrics.csv to the table that CoDA and GEPS print.

    Args:
        metrics: metrics.csv of a study with ``evaluation.adaptation_scores``.
        trained_horizon: frames. Scores are those at this horizon; what lies beyond is scored up to the longest one.

    Returns:
        Columns ``ADAPTATION_COLUMNS``, a row for each method, task and score: visible environments are ``in domain``,
        all unseen ones together ``adaptation``. ``deviation`` is the standard deviation over seeds of the mean over
        environments, NaN of one seed.

    Raises:
        InputError: the scores are not in metrics.csv, or a method's rows are incomplete.
    """
    scored = metrics[metrics["metric"].isin(SCORES)]
    if scored.empty:
        raise InputError(
            f"metrics: metric: found none of {', '.join(SCORES)}, expected evaluation.adaptation_scores: true"
        )
    # Scores within the trained frames are read at the trained horizon, the one beyond them at the longest.
    at = (scored["metric"] == RELATIVE_L2_BEYOND).map({True: scored["horizon"].max(), False: trained_horizon})
    scored = scored[scored["horizon"] == at]
    tasks = scored["split"].map(lambda split: IN_DOMAIN if split == "visible" else ADAPTATION).rename("task")
    rows = []
    for (name, task, score), group in scored.groupby(["method", tasks, "metric"]):
        grid = value_grid(group, str(score))
        means = grid.mean(axis=0)  # over environments, for each seed
        rows.append((name, task, score, means.mean(), means.std(), *grid.shape))
    rows.sort(key=lambda row: (row[1] != IN_DOMAIN, SCORES.index(row[2]), printing_order(row[0])))
    return pd.DataFrame(rows, columns=list(ADAPTATION_COLUMNS))
