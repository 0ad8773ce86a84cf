"""The stage ``train_conditional_flow``: multi-marginal flow matching with conditions, on all visible environments.

Where there are several guidances, a field is trained without some visible environments first. Told their parameters,
and beginning as for unseen environments, it is scored at the times after what the cases would show of them: the
guidance with the least mean W1 is taken.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from weightcast.core.draws import Draws
from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.families.baselines.conditional_flow import ConditionalFlow, match_conditional_flow
from weightcast.families.cases import cases_of
from weightcast.families.evaluation import TestEnvironment
from weightcast.families.first_samples import first_samples
from weightcast.families.jobs import FLOW, TrainConditionalFlow
from weightcast.families.left_out import choose_judges
from weightcast.families.snapshots import FamilySnapshots


@stage("train_conditional_flow")
def train_conditional_flow(
    run: Run, settings: TrainConditionalFlow, snapshots: FamilySnapshots, table: EnvironmentTable
) -> ConditionalFlow:
    """Choose the guidance, and train on all visible environments."""
    ids = [environment.id for environment in table.visible]
    seed = derive_seed(settings.seed, "conditional-flow", settings.family_seed)
    errors, seconds = {settings.flow.guidances[0]: 0.0}, 0.0
    if len(settings.flow.guidances) > 1:
        draws = Draws("cpu", settings.seed, "left out", "conditional-flow")
        edge, inside = choose_judges(
            snapshots, table, settings.left_out, settings.evaluation, settings.logarithmic, draws
        )
        left_out = [*edge, *inside]
        others = [id for id in ids if id not in left_out]
        tried = match_conditional_flow(
            run, snapshots, table, others, settings.flow, logarithmic=settings.logarithmic, seed=seed,
            name=f"conditional flow, {len(left_out)} environments left out",
        )  # fmt: skip
        seconds = float(tried.metadata["seconds"])
        errors = {
            guidance: _error(tried.guided(guidance), settings, snapshots, table, others, left_out)
            for guidance in settings.flow.guidances
        }
    metadata = {
        "told": FLOW,
        "seed": settings.family_seed,
        "seconds_before": seconds,
        "guidances": {f"{guidance:g}": round(error, 5) for guidance, error in errors.items()},
        "config_digest": settings.digest,
        "data_digest": snapshots.digest,
    }
    trained = match_conditional_flow(
        run, snapshots, table, ids, settings.flow, logarithmic=settings.logarithmic, seed=seed,
        name="conditional flow", metadata=metadata,
    )  # fmt: skip
    chosen = min(errors, key=lambda guidance: errors[guidance])
    return replace(trained.guided(chosen), metadata=trained.metadata | run.described())


def _error(
    flow: ConditionalFlow,
    settings: TrainConditionalFlow,
    snapshots: FamilySnapshots,
    table: EnvironmentTable,
    others: list[str],
    left_out: list[str],
) -> float:
    """Mean W1 of the left-out environments at their scored times."""
    cases = cases_of(snapshots, left_out, settings.evaluation.shown, derive_seed(settings.seed, "shown"))
    found = []
    for test in TestEnvironment.each(snapshots, table, left_out, cases, settings):
        chosen = derive_seed(settings.seed, "conditional-flow", test.id)
        start, begin, parameters = first_samples(flow.scaling, snapshots, table, others, test.id, test.samples, chosen)
        drawn = flow.carry(start, begin, test.times, parameters)
        found += [row["value"] for row in test.sample_rows("", 0, drawn) if row["metric"] == "wasserstein"]
    return float(np.mean(found))
