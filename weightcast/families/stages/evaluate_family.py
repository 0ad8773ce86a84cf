"""The stage ``evaluate_family``: every method of one seed on every unseen environment, in every case."""

from __future__ import annotations

import time
from collections.abc import Mapping

import torch
from torch import Tensor

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.methods import (
    ALONE,
    ENCODED_PATH,
    NEAREST_PATH,
    PATH,
    PATH_ENSEMBLE,
    PATH_PARAMETERS,
    POOLED_PATH,
    REFINED_ENSEMBLE,
    REFINED_PATH,
    TOLD_PATH,
    shown_as,
)
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.families.alone import fit_alone
from weightcast.families.cases import Case, cases_of
from weightcast.families.code_regression import prior_of_parameters
from weightcast.families.evaluation import TestEnvironment
from weightcast.families.inference import infer_codes, refined_codes, said_codes, visible_log_likelihood
from weightcast.families.jobs import EvaluateFamily
from weightcast.families.scores import Scores
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily


@stage("evaluate_family")
def evaluate_family(
    run: Run,
    settings: EvaluateFamily,
    snapshots: FamilySnapshots,
    table: EnvironmentTable,
    codes: TrainedFamily,
    parameters: TrainedFamily | None,
    nothing: TrainedFamily,
) -> dict[str, Table]:
    """Score what is inferred of unseen environments, and its opponents, at times after all that is shown."""
    codes, nothing = codes.to(run.device), nothing.to(run.device)
    ids = [environment.id for environment in table.unseen]
    shown_seed = derive_seed(settings.seed, "shown", settings.family_seed)
    cases = cases_of(snapshots, ids, settings.evaluation.shown, shown_seed)
    tests = TestEnvironment.each(snapshots, table, ids, cases, settings)
    scores = Scores(settings, tests)
    everybody = torch.zeros(len(ids), 0, device=run.device)
    scores.paths(POOLED_PATH, nothing, everybody)
    scores.floor()
    scores.exact_laws(table, snapshots.states)
    if parameters is not None:
        parameters = parameters.to(run.device)
        scaled = run.place(codes.scaling.apply(table.parameter_array(ids)))
        scores.paths(TOLD_PATH, parameters, scaled)
        nearest = torch.cdist(scaled, codes.parameters).argmin(1)
        nearest_masses = _masses_of(snapshots, codes, nearest)
        scores.paths(f"{NEAREST_PATH}-parameters", codes, codes.codes[nearest], masses=nearest_masses)
        regressed = torch.stack([prior.mean for prior in prior_of_parameters(codes, scaled)])
        scores.paths(PATH_PARAMETERS, codes, regressed)
    for case in cases:
        _score_case(run, settings, scores, codes, case, snapshots)
    return {
        "metrics": Table.of_rows(scores.rows),
        "bands": Table.of_rows(scores.bands),
        "seconds": scores.seconds_table(),
    }


def _masses_of(snapshots: FamilySnapshots, codes: TrainedFamily, visible: Tensor) -> list[Mapping[float, float]]:
    """Observed masses by time of these visible environments, by position [environment]."""
    chosen = [snapshots.environments[codes.ids[place]] for place in visible.tolist()]
    return [one.mass_at(one.times[one.observed].tolist()) for one in chosen]


def _score_case(
    run: Run,
    settings: EvaluateFamily,
    scores: Scores,
    codes: TrainedFamily,
    case: Case,
    snapshots: FamilySnapshots,
) -> None:
    """Methods that see what a case shows."""
    shown = case.shown.to(run.device)
    seed = derive_seed(settings.seed, "infer", settings.family_seed, case.name)
    name = shown_as(PATH, case.name)
    started = time.monotonic()
    posterior = infer_codes(codes, shown, settings.inference, seed, case.ids)
    spent = (time.monotonic() - started) / len(case.ids)
    scores.paths_of(name, posterior.most_probable(codes), spent, case)
    scores.ensembles(shown_as(PATH_ENSEMBLE, case.name), codes, posterior.draws, spent, case)
    if codes.encoder is not None:
        started = time.monotonic()
        said = said_codes(codes, shown)
        spent = (time.monotonic() - started) / len(case.ids)
        scores.paths_of(shown_as(ENCODED_PATH, case.name), said, spent, case)
        started = time.monotonic()
        refined = refined_codes(codes, shown, settings.inference, seed, case.ids)
        spent = (time.monotonic() - started) / len(case.ids)
        scores.paths_of(shown_as(REFINED_PATH, case.name), refined.most_probable(codes), spent, case)
        scores.ensembles(shown_as(REFINED_ENSEMBLE, case.name), codes, refined.draws, spent, case)
    started = time.monotonic()
    nearest = visible_log_likelihood(codes, shown).argmax(1)
    spent = (time.monotonic() - started) / len(case.ids)
    masses = _masses_of(snapshots, codes, nearest)
    scores.paths(shown_as(f"{NEAREST_PATH}-likelihood", case.name), codes, codes.codes[nearest], spent, case, masses)
    name = shown_as(ALONE, case.name)
    scores.masses_kept(name, case)
    weights, took = fit_alone(run, codes.density, case.shown, settings.evaluation.alone, seed, name)
    scores.kept(name, codes, weights, took / len(case.ids))
