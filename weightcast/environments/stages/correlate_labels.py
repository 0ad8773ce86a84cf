"""The stage ``correlate_labels``: what surrogate labels have to do with the parameters, where a table has any.

For the report alone: nothing else may know of it.
"""

from __future__ import annotations

import numpy as np
import pandas as pd
from scipy.stats import spearmanr

from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.tables import LABEL_COLUMNS
from weightcast.environments.jobs import CorrelateLabels
from weightcast.environments.labels import Labels


@stage("correlate_labels")
def correlate_labels(run: Run, settings: CorrelateLabels, labels: list[Labels]) -> Table:
    """Rank correlation of each component with each parameter, over the visible environments.

    Args:
        run: not used.
        settings: the visible environments.
        labels: one a base.
    """
    rows = [row for each in labels for row in _of_base(each, settings)]
    return Table(pd.DataFrame(rows, columns=list(LABEL_COLUMNS)))


def _of_base(labels: Labels, settings: CorrelateLabels) -> list[tuple[str | int | float, ...]]:
    environments = [settings.table[id] for id in labels.environments]
    names = list(environments[0].parameters)
    parameters = np.array([list(row.parameters.values()) for row in environments], dtype=float)
    rows: list[tuple[str | int | float, ...]] = []
    for component, values in enumerate(labels.labels.double().numpy().T):
        about = (
            str(labels.metadata["base"]),
            component + 1,
            float(labels.metadata["shares"][component]),
            float(labels.metadata["regression"]["error"][component]),
            _explained(parameters, values),
        )
        if not names:
            rows.append((*about, "", np.nan))
        for column, name in enumerate(names):
            constant = np.ptp(parameters[:, column]) == 0 or np.ptp(values) == 0
            correlation = np.nan if constant else float(spearmanr(parameters[:, column], values)[0])
            rows.append((*about, name, correlation))
    return rows


def _explained(parameters: np.ndarray, values: np.ndarray) -> float:
    """Share of a label's variance that a linear function of all parameters has; NaN without parameters."""
    if parameters.size == 0 or np.ptp(values) == 0:
        return float("nan")
    terms = np.column_stack([np.ones(len(values)), parameters])
    residual = values - terms @ np.linalg.lstsq(terms, values, rcond=None)[0]
    return float(1.0 - residual.var() / values.var())
