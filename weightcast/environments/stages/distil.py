"""The stage ``distil``: predictors as differential equations, beside the true ones where the system knows them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from functools import partial

import pandas as pd

from weightcast.core.errors import InputError
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.tables import EXPLANATION_COLUMNS
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.explain.known_terms import known_terms
from weightcast.environments.explain.predictor_equations import Row, TrainingStates, equation_rows, with_truth
from weightcast.environments.jobs import Distil
from weightcast.environments.weights_table import WeightsFile

_log = logging.getLogger(__name__)


@stage("distil")
def distil(run: Run, settings: Distil, weights: list[WeightsFile], trajectories: TrajectoryFolder) -> Table:
    """Distil every predictor of the methods asked for: rows of explanation.csv.

    Raises:
        InputError: a method that there is not, or pysindy is not installed.
    """
    table, data, explain = settings.table, settings.data, settings.explain
    states = TrainingStates.read(trajectories, table, data, explain.starts, settings.seed)
    steps = explain.steps or data.trained_frames - 1
    known = sorted({method.method for file in weights for method in file.methods})
    for name in settings.methods:
        if name not in known:
            raise InputError(f"config: explain.methods: found {name!r}, expected some of {', '.join(known)}")
    rows: list[Row] = []
    for file in weights:
        for method in file.methods:
            if method.method in settings.methods:
                predictor, normalisation = file.predictor_of(method).to(run.device), file.normalisation_of(method)
                distilled = partial(
                    equation_rows, method, predictor, normalisation, states, data.channels, explain, steps, run
                )
                rows += _kept_rows(run, method.key, distilled)
                _log.info("%s, seed %d: %d environments", method.method, method.seed, len(method.environments))
    truth = {row.id: known_terms(data.source, row, settings.system, data.channels) for row in table}
    explanation = pd.DataFrame(with_truth(rows, truth))
    explanation["study"] = settings.study
    explanation["split"] = explanation["environment"].map({row.id: row.role for row in table})
    return Table(explanation[list(EXPLANATION_COLUMNS)])


def _kept_rows(run: Run, name: str, distilled: Callable[[], Iterable[Row]]) -> list[Row]:
    """Rows of one method, which a stage that was killed does not distil again."""
    _, values = run.kept(name, lambda: ({}, {"rows": list(distilled())}))
    return list(values["rows"])
