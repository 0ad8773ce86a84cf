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
from weightcast.core.methods import (
    CONDITIONAL_FLOW,
    DECODED_EXPERT,
    DISPLACED,
    GENERATED_ENSEMBLE,
    GENERATED_PARAMETERS,
    GENERATED_PATHS,
    GENERATED_REFINED,
    INTERPOLATED_PATH,
    PATH_EXPERT,
    RATE_FIT,
    TREND,
    VAE_ENSEMBLE,
    VAE_PARAMETERS,
    VAE_PATH,
    ZOO_DIFFUSION,
    ZOO_DIFFUSION_ENSEMBLE,
    ZOO_ENSEMBLE,
    ZOO_PARAMETERS,
    ZOO_PATH,
    shown_as,
)
from weightcast.core.outputs import Table
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.families.baselines.barycentric import likelihood_weights, parameter_weights
from weightcast.families.baselines.conditional_flow import ConditionalFlow
from weightcast.families.baselines.environment_displacement import EnvironmentDisplacement
from weightcast.families.baselines.rate_fit import Constants, fit_rates
from weightcast.families.baselines.trend import TrendLaw, choose_damping
from weightcast.families.cases import Case, cases_of
from weightcast.families.code_regression import prior_of_parameters
from weightcast.families.evaluation import TestEnvironment
from weightcast.families.first_samples import evenly_drawn, first_samples
from weightcast.families.inference import infer_codes
from weightcast.families.jobs import EvaluateOpponents
from weightcast.families.path_experts import PathExperts, weights_at
from weightcast.families.path_generation import PathGenerator, said_of
from weightcast.families.path_vae import PathVAE
from weightcast.families.scorable import why_not_scored
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
    zoo: TrainedFamily | None = None,
    diffusion: TrainedFamily | None = None,
    vae: TrainedFamily | None = None,
    experts: PathExperts | None = None,
    generator: PathGenerator | None = None,
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
        _follow_trends(settings, scores, snapshots, table, case)
    _interpolate(settings, scores, snapshots, table, codes.to(run.device), cases)
    if flow is not None:
        _carry(settings, scores, snapshots, table, flow.to(run.device), cases, codes.ids)
    if zoo is not None:
        zoo = zoo.to(run.device)
        _regress_codes(scores, zoo, table, ids, ZOO_PARAMETERS)
        _infer_of_zoo(settings, scores, zoo, cases, (ZOO_PATH, ZOO_ENSEMBLE))
    if diffusion is not None:
        _infer_of_zoo(settings, scores, diffusion.to(run.device), cases, (ZOO_DIFFUSION, ZOO_DIFFUSION_ENSEMBLE))
    if vae is not None:
        vae = vae.to(run.device)
        _regress_codes(scores, vae, table, ids, VAE_PARAMETERS)
        _infer_of_zoo(settings, scores, vae, cases, (VAE_PATH, VAE_ENSEMBLE))
        assert experts is not None  # that it was trained on
        _decode_experts(scores, vae, run.place(experts.of(ids)))
    if generator is not None and vae is not None:
        _generate(settings, scores, generator.to(run.device), vae, codes.to(run.device), table, cases)
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


def _follow_trends(
    settings: EvaluateOpponents, scores: Scores, snapshots: FamilySnapshots, table: EnvironmentTable, case: Case
) -> None:
    """What the shown samples alone say; how long a trend goes on, visible environments say that are shown as much."""
    trend = settings.opponents.trend
    if trend is None:
        return
    shown = {case.name: settings.evaluation.shown[case.name]}
    fit = [one.id for one in table.visible if why_not_scored(snapshots, one.id, settings.evaluation) is None]
    judges = fit[:: max(1, len(fit) // trend.judges)][: trend.judges]
    damping = min(trend.dampings)
    if judges and len(trend.dampings) > 1:
        (judging,) = cases_of(snapshots, judges, shown, derive_seed(settings.seed, "shown"))
        tests = TestEnvironment.each(snapshots, table, judges, [judging], settings)
        damping = choose_damping(trend.dampings, tests, judging, snapshots.states, settings.seed)
    print(f"{shown_as(TREND, case.name)}: trends go on for {damping:g} times the time between snapshots", flush=True)
    started = time.monotonic()
    laws = [
        TrendLaw.fit(times, samples, damping, snapshots.states)
        for times, samples in zip(case.times, case.samples, strict=True)
    ]
    scores.evolved(shown_as(TREND, case.name), laws, snapshots.states, (time.monotonic() - started) / len(case.ids))


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


def _regress_codes(
    scores: Scores, family: TrainedFamily, table: EnvironmentTable, ids: Sequence[str], method: str
) -> None:
    """Paths of the codes that the true parameters say, where environments have any."""
    if not table.parameter_names:
        return
    scaled = family.scaling.apply(table.parameter_array(ids)).to(family.codes.device)
    scores.paths(method, family, torch.stack([prior.mean for prior in prior_of_parameters(family, scaled)]))


def _generate(
    settings: EvaluateOpponents,
    scores: Scores,
    generator: PathGenerator,
    vae: TrainedFamily,
    codes: TrainedFamily,
    table: EnvironmentTable,
    cases: Sequence[Case],
) -> None:
    """Paths that the diffusion generates, told the parameters, or each case's samples where a network reads these; and
    what a short search by these finds from the generated ones, those of which nothing is known where none reads."""
    assert settings.generated is not None and settings.inference is not None  # there is a generator
    generator.check(vae, codes)
    ids, condition, device = cases[0].ids, generator.condition, vae.codes.device
    own = derive_seed(settings.seed, "generate", settings.family_seed)
    draws = settings.generated.draws
    if condition.of_parameters:
        scaled = vae.scaling.apply(table.parameter_array(ids)).to(device)
        started = time.monotonic()
        drawn = generator.draw(condition.prepare(scaled, None, len(ids)), draws, own, ids)
        spent = (time.monotonic() - started) / len(ids)
        scores.ensembles(GENERATED_PARAMETERS, vae, drawn[None], spent)
    short = settings.inference.model_copy(update={"steps": settings.generated.refinement})
    for case in cases:
        seed = derive_seed(own, case.name)
        shown, started = case.shown.to(device), time.monotonic()
        said = condition.prepare(None, said_of(codes, shown), len(ids)) if condition.of_samples else None
        drawn = generator.draw(said, draws, seed, ids)
        spent = (time.monotonic() - started) / len(ids)
        if said is not None:
            scores.ensembles(shown_as(GENERATED_PATHS, case.name), vae, drawn[None], spent, case)
        begin = drawn[None, :, : settings.inference.starts]
        posterior = infer_codes(vae, shown, short, seed, ids, begin=begin, alone=True)
        spent = (time.monotonic() - started) / len(ids)
        scores.paths_of(shown_as(GENERATED_REFINED, case.name), posterior.most_probable(vae), spent, case)
        scores.ensembles(shown_as(GENERATED_ENSEMBLE, case.name), vae, posterior.draws, spent, case)


@torch.no_grad()
def _decode_experts(scores: Scores, vae: TrainedFamily, experts: Tensor) -> None:
    """Unseen environments' own experts [environment, knot, weight], as they are, and encoded and decoded."""
    assert isinstance(vae.map, PathVAE)
    codes = vae.map.encode(experts)
    times = [torch.tensor(test.times, dtype=torch.double, device=experts.device) for test in scores.tests]
    own = [weights_at(one[None], vae.scaled(at)[None])[0] for one, at in zip(experts, times, strict=True)]
    scores.densities(PATH_EXPERT, vae, own)
    scores.paths(DECODED_EXPERT, vae, codes)


def _infer_of_zoo(
    settings: EvaluateOpponents, scores: Scores, zoo: TrainedFamily, cases: Sequence[Case], methods: tuple[str, str]
) -> None:
    """Paths that the experts' statistics make, by what each case shows: of the most probable code, and an ensemble."""
    assert settings.inference is not None  # there is a zoo
    path, ensemble = methods
    for case in cases:
        # Under another prior the same draws: what differs is the prior's.
        seed = derive_seed(settings.seed, "infer zoo", settings.family_seed, case.name)
        started = time.monotonic()
        posterior = infer_codes(zoo, case.shown.to(zoo.codes.device), settings.inference, seed, case.ids)
        spent = (time.monotonic() - started) / len(case.ids)
        scores.paths_of(shown_as(path, case.name), posterior.most_probable(zoo), spent, case)
        scores.ensembles(shown_as(ensemble, case.name), zoo, posterior.draws, spent, case)


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
