"""The stage ``find_equations``: sparse equations of all visible environments, with coefficients of each."""

from __future__ import annotations

import time
from dataclasses import replace

from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.context import Context
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.equation_search import EquationSearch
from weightcast.environments.jobs import FindEquations


@stage("find_equations")
def find_equations(run: Run, settings: FindEquations, trajectories: TrajectoryFolder) -> Context:
    """Find the terms that visible environments need, and the coefficients of each; left-out ones choose how many."""
    started, ids = time.monotonic(), settings.ids
    search = EquationSearch(run, trajectories, ids, settings.data, settings.equations)
    judges = [ids.index(id) for id in settings.choosing]
    others = [row for row in range(len(ids)) if row not in judges] or [*range(len(ids))]
    chosen, known, _ = search.best([(others, judges)])
    context = search.context(chosen, range(len(ids)), known)
    metadata = dict(context.base.metadata) | {"seconds": time.monotonic() - started}
    return replace(context, base=replace(context.base, metadata=metadata))
