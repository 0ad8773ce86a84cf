"""The stage ``choose_map``: what map and prior, and how far to believe samples, as left-out visible environments say.

Maps of each kind, as many as a seed has, are trained without some visible environments, half of which lie at the edge
(weightcast.families.left_out). Of these they are then told what a new environment's would be: the parameters, or the
samples that the cases of the evaluation show, from which a code is inferred. The likelihood of their held-out samples
at later times chooses the kind. For codes the prior is chosen likewise, its width and then its kind, by what ensembles
of the codes of all maps make of these samples, and how far codes are moved apart for bands: the inflation at which
90 % bands hold nearest to 90 % of the left-out environments' true means and tails, of those at the edge and of those
inside apart.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.core.stage import stage
from weightcast.environments.config.code_prior import CodePriorName
from weightcast.families.bands import LEVEL, path_weights
from weightcast.families.cases import Case, cases_of
from weightcast.families.config.paths import MapKind
from weightcast.families.encoder_training import with_encoder
from weightcast.families.evaluation import LIKELIHOOD_SAMPLES, QUANTITIES, TestEnvironment, ensemble_at_times
from weightcast.families.inference import infer_codes, refined_codes, said_codes
from weightcast.families.inflation import Inflation, outside
from weightcast.families.jobs import CODES, ChooseMap
from weightcast.families.left_out import choose_judges
from weightcast.families.map_choice import MapChoice
from weightcast.families.prior_choice import best_prior, ensemble_errors
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.training import train_paths, with_prior


@stage("choose_map")
def choose_map(run: Run, settings: ChooseMap, snapshots: FamilySnapshots, table: EnvironmentTable) -> MapChoice:
    """Train maps of each kind without some visible environments, and let these choose."""
    draws = Draws("cpu", settings.seed, "left out", settings.told)
    edge, inside = choose_judges(
        snapshots, table, settings.paths.left_out, settings.evaluation, settings.logarithmic, draws
    )
    left_out = [*edge, *inside]
    others = [environment.id for environment in table.visible if environment.id not in left_out]
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
            widened=settings.inference.widened[0],
            seed=derive_seed(settings.seed, "choice", settings.told, kind),
            name=f"{kind} map of {settings.told}, {len(left_out)} environments left out",
        )
        seconds += took
        told = _told(run, settings, trained[kind], cases, table, left_out)
        errors[kind] = float(np.mean([_error(paths, tests) for paths in told]))
    chosen = min(errors, key=lambda kind: errors[kind])
    chosen_prior = ChosenPrior(settings.inference.widened[0], settings.inference.priors[0], {}, {})
    inflation, coverage = Inflation(), dict[str, dict[float, float]]()
    code_errors: dict[str, float] = {}
    if settings.told == CODES:
        chosen_prior, judging = choose_prior(run, settings, trained[chosen], cases, tests)
        inflation, coverage = choose_inflation(run, settings, judging, cases, tests, len(edge))
        if settings.inference.encoder is not None:
            code_errors, took = compare_encoder(run, settings, judging, cases, tests, snapshots)
            seconds += took
    return MapChoice(
        kind=chosen,
        widened=chosen_prior.widened,
        prior=chosen_prior.kind,
        inflation=inflation,
        edge=edge,
        inside=inside,
        errors={kind: round(error, 5) for kind, error in errors.items()},
        width_errors={f"{width:g}": round(error, 5) for width, error in chosen_prior.width_errors.items()},
        prior_errors={kind: round(error, 5) for kind, error in chosen_prior.kind_errors.items()},
        coverage={
            group: {f"{one:g}": round(held, 4) for one, held in of_group.items()}
            for group, of_group in coverage.items()
        },
        seconds=round(seconds, 2),
        code_errors={way: round(error, 5) for way, error in code_errors.items()},
    )


@dataclass(frozen=True)
class ChosenPrior:
    """A prior of codes, and what it rests on.

    Attributes:
        widened: its width.
        kind: of it.
        width_errors: mean negative log-likelihood of later samples under ensembles, by width.
        kind_errors: the same by kind.
    """

    widened: float
    kind: CodePriorName
    width_errors: Mapping[float, float]
    kind_errors: Mapping[CodePriorName, float]


def choose_prior(
    run: Run, settings: ChooseMap, family: TrainedFamily, cases: Sequence[Case], tests: Sequence[TestEnvironment]
) -> tuple[ChosenPrior, TrainedFamily]:
    """The width of the prior by ensembles of codes, then its kind; and the family with it.

    Args:
        run: that a diffusion is trained in.
        settings: of the stage.
        family: trained without the environments that judge, told codes.
        cases: what is shown of these.
        tests: what their predictions are compared with.
    """
    inference, seed = settings.inference, derive_seed(settings.seed, "choice", "prior")

    def with_kind(kind: CodePriorName, width: float) -> TrainedFamily:
        wide = family.widened_to(width)
        return with_prior(run, wide, kind, inference.code_diffusion, seed, f"{kind} prior of codes, {width:g} wide")

    first, *rest = inference.priors
    of_width = {width: with_kind(first, width) for width in inference.widened}
    drawn = derive_seed(settings.seed, "choice", "codes")
    errors = {width: ensemble_errors(one, cases, tests, inference, drawn) for width, one in of_width.items()}
    width = min(errors, key=lambda one: float(errors[one].mean()))
    families = {first: of_width[width]} | {kind: with_kind(kind, width) for kind in rest}
    of_kind = {first: errors[width]} | {
        kind: ensemble_errors(families[kind], cases, tests, inference, drawn) for kind in rest
    }
    kind = best_prior(of_kind)
    width_errors = {one: float(found.mean()) for one, found in errors.items()}
    kind_errors = {one: float(found.mean()) for one, found in of_kind.items()}
    return ChosenPrior(width, kind, width_errors, kind_errors), families[kind]


def compare_encoder(
    run: Run,
    settings: ChooseMap,
    family: TrainedFamily,
    cases: Sequence[Case],
    tests: Sequence[TestEnvironment],
    snapshots: FamilySnapshots,
) -> tuple[dict[str, float], float]:
    """What the network that reads samples is worth to environments that neither it nor the map has seen.

    Args:
        run: that it is trained in.
        settings: of the stage, which have an encoder.
        family: trained without the environments that judge, with the prior that was chosen.
        cases: what is shown of these.
        tests: what their predictions are compared with.
        snapshots: of all environments, of which the family's own are read.

    Returns:
        the mean negative log-likelihood of later samples on the path of the most probable code, by how codes are found
        (:class:`MapChoice`), and the seconds that the training took.
    """
    inference = settings.inference
    assert inference.encoder is not None
    seed = derive_seed(settings.seed, "choice", "codes")
    name = f"encoder of samples, {len(tests)} environments left out"
    reading, took = with_encoder(
        run, family, snapshots, inference.encoder, derive_seed(settings.seed, "choice", "encoder"), name
    )
    errors: dict[str, list[float]] = {"search": [], "encoder": [], "refined": []}
    for case in cases:
        shown = case.shown.to(run.device)
        found = {
            "search": infer_codes(family, shown, inference, seed, case.ids).most_probable(family),
            "encoder": said_codes(reading, shown),
            "refined": refined_codes(reading, shown, inference, seed, case.ids).most_probable(reading),
        }
        for way, paths in found.items():
            errors[way].append(_error(paths, tests))
    return {way: float(np.mean(values)) for way, values in errors.items()}, took


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
    posteriors = [infer_codes(family, case.shown.to(run.device), settings.inference, seed, ids) for case in cases]
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


@torch.no_grad()
def choose_inflation(
    run: Run,
    settings: ChooseMap,
    family: TrainedFamily,
    cases: Sequence[Case],
    tests: Sequence[TestEnvironment],
    at_edge: int,
) -> tuple[Inflation, dict[str, dict[float, float]]]:
    """How far codes are moved apart for bands, and the share of true means and tails that these then hold.

    Args:
        run: that it is computed in.
        settings: of the stage.
        family: trained without the environments that judge, with the prior that was chosen.
        cases: what is shown of these.
        tests: what their bands are compared with; first those at the edge.
        at_edge: how many of them are.

    Returns:
        the inflation, and by group, edge or inside, and factor, what is held.
    """
    seed = derive_seed(settings.seed, "choice", "codes")
    factors = [float(one) for one in settings.inference.inflations]
    held: dict[str, dict[float, list[float]]] = {}
    distances: dict[str, list[float]] = {}
    for case in cases:
        with torch.enable_grad():
            posterior = infer_codes(family, case.shown.to(run.device), settings.inference, seed, case.ids)
        for place, (codes, test) in enumerate(zip(posterior.draws.unbind(1), tests, strict=True)):
            group = "edge" if place < at_edge else "inside"
            reached = [outside(own, one.codes) for own, one in zip(codes, family.members, strict=True)]
            distances.setdefault(group, []).append(float(torch.stack(reached).mean()))
            of_group = held.setdefault(group, {factor: [] for factor in factors})
            for factor, found in of_group.items():
                inflated = replace(family, inflation=Inflation(factor, factor))
                said = ensemble_at_times(inflated, codes, test, test.positions, seed)
                found += [each.held(quantity) for each in said for quantity in QUANTITIES]
    shares = {group: {one: float(np.mean(found)) for one, found in own.items()} for group, own in held.items()}
    best = {group: min(own, key=lambda one: (round(abs(own[one] - LEVEL), 9), one)) for group, own in shares.items()}
    # A single judge is at the edge, and speaks for all.
    inside = "inside" if "inside" in best else "edge"
    near, far = float(np.mean(distances[inside])), float(np.mean(distances["edge"]))
    return Inflation(best[inside], best["edge"], near, far), shares
