"""The stage ``choose_map``: what map and prior, and how far to believe samples, as left-out visible environments say.

Maps of each kind, as many as a seed has, are trained without some visible environments. Of these they are then told
what a new environment's would be: the parameters, or the samples that the cases of the evaluation show, from which a
code is inferred. The likelihood of their held-out samples at later times chooses the kind. For
codes the prior is chosen likewise, by what ensembles of the codes of all maps make of these samples, and the
temperature: the one at which their 90 % bands hold nearest to 90 % of the left-out environments' true means and tails.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.environments.config.code_prior import CodePriorName
from weightcast.families.bands import mixture_log_prob, path_weights
from weightcast.families.cases import Case, cases_of
from weightcast.families.config.paths import MapKind
from weightcast.families.evaluation import LIKELIHOOD_SAMPLES, QUANTITIES, TestEnvironment, ensemble_at_times
from weightcast.families.inference import infer_codes
from weightcast.families.jobs import CODES, ChooseMap
from weightcast.families.map_choice import MapChoice
from weightcast.families.scorable import too_few_scorable, why_not_scored
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.training import train_paths, with_prior


@stage("choose_map")
def choose_map(run: Run, settings: ChooseMap, snapshots: FamilySnapshots, table: EnvironmentTable) -> MapChoice:
    """Train maps of each kind without some visible environments, and let these choose."""
    ids = [environment.id for environment in table.visible]
    order = Draws("cpu", settings.seed, "left out", settings.told).permutation(len(ids)).tolist()
    scorable = [place for place in order if why_not_scored(snapshots, ids[place], settings.evaluation) is None]
    left_out = [ids[place] for place in sorted(scorable[: settings.paths.left_out])]
    if len(left_out) < settings.paths.left_out:
        raise InputError(too_few_scorable(len(left_out), settings.paths.left_out))
    others = [id for id in ids if id not in left_out]
    cases = cases_of(snapshots, left_out, settings.evaluation.shown, derive_seed(settings.seed, "shown"))
    tests = TestEnvironment.each(snapshots, table, left_out, cases, settings)
    errors: dict[MapKind, float] = {}
    trained: dict[MapKind, TrainedFamily] = {}
    seconds = 0.0
    for kind in settings.paths.kinds:
        trained[kind], took = train_paths(
            run,
            settings.told,  # type: ignore[arg-type]
            kind,
            snapshots,
            table,
            others,
            settings.paths,
            settings.density,
            logarithmic=settings.logarithmic,
            widened=settings.inference.widened,
            seed=derive_seed(settings.seed, "choice", settings.told, kind),
            name=f"{kind} map of {settings.told}, {len(left_out)} environments left out",
        )
        seconds += took
        told = _told(run, settings, trained[kind], cases, table, left_out)
        errors[kind] = float(np.mean([_error(paths, tests) for paths in told]))
    chosen = min(errors, key=lambda kind: errors[kind])
    prior_errors, coverage = dict[str, float](), dict[float, float]()
    prior: CodePriorName = "gaussian"
    if settings.told == CODES:
        families = _families_of_priors(run, settings, trained[chosen])
        found = {kind: _ensemble_errors(run, settings, one, cases, tests) for kind, one in families.items()}
        prior = best_prior(found)
        prior_errors = {kind: round(float(errors_of.mean()), 5) for kind, errors_of in found.items()}
        coverage = _coverage(run, settings, families[prior], cases, tests)
    temperature = min(coverage, key=lambda one: (round(abs(coverage[one] - 0.9), 9), one), default=1.0)
    return MapChoice(
        chosen,
        prior,
        temperature,
        left_out,
        {kind: round(error, 5) for kind, error in errors.items()},
        prior_errors,
        {f"{one:g}": round(held, 4) for one, held in coverage.items()},
        round(seconds, 2),
    )


def _told(
    run: Run,
    settings: ChooseMap,
    family: TrainedFamily,
    cases: Sequence[Case],
    table: EnvironmentTable,
    ids: Sequence[str],
) -> list[list[tuple[TrainedFamily, Tensor]]]:
    """In each case the map of each left-out environment, and what it is told of it [number]."""
    if settings.told != CODES:
        return [[(family, scaled) for scaled in run.place(family.scaling.apply(table.parameter_array(ids)))]]
    seed = derive_seed(settings.seed, "choice", "codes")
    posteriors = [
        infer_codes(family, case.shown.to(run.device), settings.inference, seed, ids, temperature=1.0) for case in cases
    ]
    return [posterior.most_probable(family) for posterior in posteriors]


@torch.no_grad()
def _error(paths: Sequence[tuple[TrainedFamily, Tensor]], tests: Sequence[TestEnvironment]) -> float:
    """Mean negative log-likelihood of the left-out environments' held-out samples at the scored times."""
    values = []
    for (family, code), test in zip(paths, tests, strict=True):
        weights = path_weights(family, code, test.times)
        for position, own in zip(test.positions, weights, strict=True):
            truth = torch.from_numpy(test.truth(position)[:LIKELIHOOD_SAMPLES]).to(own.device)
            values.append(-float(family.density.log_prob(own[None], truth[None]).mean()))
    return float(np.mean(values))


def _families_of_priors(run: Run, settings: ChooseMap, family: TrainedFamily) -> dict[CodePriorName, TrainedFamily]:
    """The family with each kind of prior."""
    inference, seed = settings.inference, derive_seed(settings.seed, "choice", "prior")
    return {
        kind: with_prior(run, family, kind, inference.code_diffusion, seed, f"{kind} prior of codes")
        for kind in inference.priors
    }


@torch.no_grad()
def _ensemble_errors(
    run: Run, settings: ChooseMap, family: TrainedFamily, cases: Sequence[Case], tests: Sequence[TestEnvironment]
) -> NDArray[np.float64]:
    """Mean negative log-likelihood of later samples under the ensemble of codes [case, environment]."""
    seed = derive_seed(settings.seed, "choice", "codes")
    found = []
    for case in cases:
        shown = case.shown.to(run.device)
        with torch.enable_grad():
            posterior = infer_codes(family, shown, settings.inference, seed, case.ids, temperature=1.0)
        ensembles = zip(posterior.draws.unbind(1), tests, strict=True)
        found.append([_ensemble_error(family, codes, test) for codes, test in ensembles])
    return np.array(found)


def _ensemble_error(family: TrainedFamily, codes: Tensor, test: TestEnvironment) -> float:
    values = []
    for position, time in zip(test.positions, test.times, strict=True):
        truth = torch.from_numpy(test.truth(position)[:LIKELIHOOD_SAMPLES]).to(codes.device)
        values.append(-float(mixture_log_prob(family, time, codes, truth).mean()))
    return float(np.mean(values))


def best_prior(errors: Mapping[CodePriorName, NDArray[np.float64]]) -> CodePriorName:
    """The first kind, or the best one, if it is better than the first by more than twice the standard error of the
    difference, environments being the independent ones.

    Args:
        errors: by kind [case, environment].
    """
    first = next(iter(errors))
    best = min(errors, key=lambda kind: float(errors[kind].mean()))
    gain = (errors[first] - errors[best]).mean(axis=0)
    if len(gain) < 2:
        return first
    return best if gain.mean() > 2 * gain.std(ddof=1) / np.sqrt(len(gain)) else first


def _coverage(
    run: Run, settings: ChooseMap, family: TrainedFamily, cases: Sequence[Case], tests: Sequence[TestEnvironment]
) -> dict[float, float]:
    """The share of true means and tails that 90 % bands hold, at each temperature."""
    found = {}
    seed = derive_seed(settings.seed, "choice", "codes")
    for temperature in settings.inference.temperatures:
        held = []
        for case in cases:
            shown = case.shown.to(run.device)
            posterior = infer_codes(family, shown, settings.inference, seed, case.ids, temperature=temperature)
            for codes, test in zip(posterior.draws.unbind(1), tests, strict=True):
                said = ensemble_at_times(family, codes, test, test.positions, seed)
                held += [each.held(quantity) for each in said for quantity in QUANTITIES]
        found[float(temperature)] = float(np.mean(held))
    return found
