"""The stage ``evaluate_family``: every method of one seed on every unseen environment, in every case."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.methods import (
    ALONE,
    NEAREST_PATH,
    PATH,
    PATH_ENSEMBLE,
    PATH_PARAMETERS,
    POOLED_PATH,
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
from weightcast.families.evaluation import Row, TestEnvironment, evaluate_ensemble
from weightcast.families.inference import infer_codes, most_likely_visible
from weightcast.families.jobs import EvaluateFamily
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.systems.stochastic import build_stochastic_system


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
    scores = _Scores(settings, tests)
    everybody = torch.zeros(len(ids), 0, device=run.device)
    scores.paths(POOLED_PATH, nothing, everybody)
    scores.floor()
    scores.exact_laws(table, snapshots.states)
    if parameters is not None:
        parameters = parameters.to(run.device)
        scaled = run.place(codes.scaling.apply(table.parameter_array(ids)))
        scores.paths(TOLD_PATH, parameters, scaled)
        nearest = torch.cdist(scaled, codes.parameters).argmin(1)
        scores.paths(f"{NEAREST_PATH}-parameters", codes, codes.codes[nearest])
        regressed = torch.stack([prior.mean for prior in prior_of_parameters(codes, scaled)])
        scores.paths(PATH_PARAMETERS, codes, regressed)
    for case in cases:
        _score_case(run, settings, scores, codes, case)
    return {
        "metrics": Table.of_rows(scores.rows),
        "bands": Table.of_rows(scores.bands),
        "seconds": Table.of_rows([{"method": name, "seconds": spent} for name, spent in scores.seconds.items()]),
    }


def _score_case(run: Run, settings: EvaluateFamily, scores: _Scores, codes: TrainedFamily, case: Case) -> None:
    """Methods that see what a case shows."""
    shown = case.shown.to(run.device)
    seed = derive_seed(settings.seed, "infer", settings.family_seed, case.name)
    name = shown_as(PATH, case.name)
    started = time.monotonic()
    posterior = infer_codes(codes, shown, settings.inference, seed, case.ids)
    spent = (time.monotonic() - started) / len(case.ids)
    scores.paths(name, codes, posterior.mode, spent)
    scores.ensembles(shown_as(PATH_ENSEMBLE, case.name), codes, posterior.draws, spent)
    started = time.monotonic()
    nearest = most_likely_visible(codes, shown)
    spent = (time.monotonic() - started) / len(case.ids)
    scores.paths(shown_as(f"{NEAREST_PATH}-likelihood", case.name), codes, codes.codes[nearest], spent)
    name = shown_as(ALONE, case.name)
    weights, took = fit_alone(run, codes.density, case.shown, settings.evaluation.alone, seed, name)
    scores.kept(name, codes, weights, took / len(case.ids))


class _Scores:
    """Rows of results, as they come."""

    def __init__(self, settings: EvaluateFamily, tests: Sequence[TestEnvironment]) -> None:
        self.settings, self.tests, self.seed = settings, tests, settings.family_seed
        self.rows: list[Row] = []
        self.bands: list[Row] = []
        self.seconds: dict[str, float] = {}

    def paths(self, method: str, family: TrainedFamily, codes: Tensor, seconds: float = 0.0) -> None:
        """Score the path of one code [environment, number] an environment."""
        for code, test in zip(codes, self.tests, strict=True):
            times = torch.tensor(test.times, dtype=torch.double, device=codes.device)
            weights = family.weights(times, code.expand(len(times), -1))
            self.rows += test.path_rows(method, self.seed, family.density, weights)
        self.seconds[method] = seconds

    def ensembles(self, method: str, family: TrainedFamily, codes: Tensor, seconds: float) -> None:
        """Score the ensembles of codes [environment, draw, number]; of one environment of each split at all times."""
        drawn: set[str] = set()
        for of_test, test in zip(codes, self.tests, strict=True):
            everywhere = [place for place, held_out in enumerate(test.snapshots.held_out) if len(held_out)]
            further = [] if test.split in drawn else everywhere
            drawn.add(test.split)
            rows, bands = evaluate_ensemble(method, self.seed, family, of_test, test, further)
            self.rows += rows
            self.bands += bands
        self.seconds[method] = seconds

    def kept(self, method: str, family: TrainedFamily, weights: Tensor, seconds: float) -> None:
        """Score densities [environment, weight] that stay as they are."""
        for own, test in zip(weights, self.tests, strict=True):
            self.rows += test.path_rows(method, self.seed, family.density, own.expand(len(test.positions), -1))
        self.seconds[method] = seconds

    def floor(self) -> None:
        """Score the other part of the samples: no prediction of so many can be nearer to the truth, but by chance."""
        for test in self.tests:
            for position in test.positions:
                other = test.snapshots.train[position]
                random = np.random.default_rng(derive_seed(self.settings.seed, "floor", test.id, position))
                chosen = random.permutation(len(other))[: test.samples]
                self.rows += test.rows_at("sampling-floor", 0, position, other[chosen])
        self.seconds["sampling-floor"] = 0.0

    def exact_laws(self, table: EnvironmentTable, states: int | None) -> None:
        """Score the law of each environment's simulator, where theory knows it."""
        settings = self.settings
        if settings.system is None:
            return
        for test in self.tests:
            own = settings.system_settings | dict(table[test.id].parameters)
            law = build_stochastic_system(settings.system, own).law
            if law is None:
                return
            self.rows += test.law_rows("exact-law", law, states, settings.seed)
        self.seconds["exact-law"] = 0.0
