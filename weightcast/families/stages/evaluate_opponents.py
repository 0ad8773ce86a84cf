"""The stage ``evaluate_opponents``: the further opponents of one seed on every unseen environment, in every case.

They are shown the samples that inferred paths are shown, and scored at the same times.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.methods import CONDITIONAL_FLOW, DISPLACED, INTERPOLATED_PATH, RATE_FIT, shown_as
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.families.baselines.barycentric import likelihood_weights, parameter_weights
from weightcast.families.baselines.conditional_flow import ConditionalFlow
from weightcast.families.baselines.environment_displacement import EnvironmentDisplacement
from weightcast.families.baselines.rate_fit import Constants, fit_rates
from weightcast.families.cases import Case, cases_of
from weightcast.families.evaluation import TestEnvironment
from weightcast.families.first_samples import evenly_drawn, first_samples
from weightcast.families.jobs import EvaluateOpponents
from weightcast.families.scores import Scores
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily


@stage("evaluate_opponents")
def evaluate_opponents(
    run: Run,
    settings: EvaluateOpponents,
    snapshots: FamilySnapshots,
    table: EnvironmentTable,
    codes: TrainedFamily,
    flow: ConditionalFlow | None,
) -> dict[str, Table]:
    """Score those that the configuration names."""
    ids = [environment.id for environment in table.unseen]
    cases = cases_of(
        snapshots, ids, settings.evaluation.shown, derive_seed(settings.seed, "shown", settings.family_seed)
    )
    tests = TestEnvironment.each(snapshots, table, ids, cases, settings)
    scores = Scores(settings, tests)
    for case in cases:
        _fit_rates(settings, scores, table, case, snapshots.states)
    _interpolate(settings, scores, snapshots, table, codes.to(run.device), cases)
    if flow is not None:
        _carry(settings, scores, snapshots, table, flow.to(run.device), cases, codes.ids)
    return {"metrics": Table.of_rows(scores.rows), "seconds": scores.seconds_table()}


def _fit_rates(
    settings: EvaluateOpponents, scores: Scores, table: EnvironmentTable, case: Case, states: int | None
) -> None:
    """Rate constants of each environment, fitted to what a case shows of it, and what they make of its later times."""
    fit = settings.opponents.rate_fit
    if fit is None:
        return
    assert settings.system is not None  # parse_family_study has seen to it
    constants = Constants.of(settings.system, settings.system_settings, table)
    started = time.monotonic()
    processes = []
    for id, times, samples in zip(case.ids, case.times, case.samples, strict=True):
        told = table[id].parameters
        processes.append(constants.process(fit_rates(constants, times, samples, told, fit), told))
    seconds = (time.monotonic() - started) / len(case.ids)
    scores.simulated(shown_as(RATE_FIT, case.name), processes, states, seconds)


def _interpolate(
    settings: EvaluateOpponents,
    scores: Scores,
    snapshots: FamilySnapshots,
    table: EnvironmentTable,
    codes: TrainedFamily,
    cases: Sequence[Case],
) -> None:
    """Samples and learned paths of visible environments, interpolated by parameters and by what each case shows."""
    across = settings.opponents.interpolation
    if across is None:
        return
    displacement = EnvironmentDisplacement(snapshots, codes.ids, across.samples, settings.seed)

    def score(by: str, shares: Tensor, seconds: float, case: str | None) -> None:
        displaced, interpolated = (
            name if case is None else shown_as(name, case)
            for name in (f"{DISPLACED}-{by}", f"{INTERPOLATED_PATH}-{by}")
        )
        scores.displaced(displaced, displacement, shares, seconds)
        scores.interpolated(interpolated, codes, shares, seconds)

    if table.parameter_names:
        started = time.monotonic()
        visible = codes.parameters.double().cpu().numpy()
        scaled = codes.scaling.apply(table.parameter_array(cases[0].ids)).double().numpy()
        found = np.stack([parameter_weights(visible, own) for own in scaled])
        seconds = (time.monotonic() - started) / len(scaled)
        score("parameters", torch.from_numpy(found).float().to(codes.codes.device), seconds, None)
    for case in cases:
        started = time.monotonic()
        shares = likelihood_weights(codes, case.shown.to(codes.codes.device), across.nearest, across.steps)
        score("likelihood", shares, (time.monotonic() - started) / len(case.ids), case.name)


def _carry(
    settings: EvaluateOpponents,
    scores: Scores,
    snapshots: FamilySnapshots,
    table: EnvironmentTable,
    flow: ConditionalFlow,
    cases: Sequence[Case],
    visible: Sequence[str],
) -> None:
    """Samples that the field carries, told the parameters: from where the nearest visible environment begins, and from
    the last samples that each case shows."""
    seed = derive_seed(settings.seed, CONDITIONAL_FLOW, settings.family_seed)
    begun = [
        first_samples(flow.scaling, snapshots, table, visible, test.id, test.samples, derive_seed(seed, test.id))
        for test in scores.tests
    ]
    scores.carried(CONDITIONAL_FLOW, flow, begun)
    for case in cases:
        shown = [
            (evenly_drawn(samples[-1], test.samples, derive_seed(seed, case.name, test.id)), times[-1], parameters)
            for test, times, samples, (_, _, parameters) in zip(
                scores.tests, case.times, case.samples, begun, strict=True
            )
        ]
        scores.carried(shown_as(CONDITIONAL_FLOW, case.name), flow, shown)
