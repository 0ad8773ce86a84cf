"""A diffusion over paths: what paths of environments are like that nobody has seen, learned of the experts of a zoo.

A path of weights is a point among the principal components of experts' paths (weightcast.families.path_zoo), so that a
diffusion of these codes generates whole paths. What it draws is put into a mixture of normal distributions
(weightcast.environments.code_priors), which has a density: it is the prior under which samples of a new environment are
explained, in the place of one normal distribution. Whether it is worth it, visible environments say, each left out of
both priors once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.environments.config.code_prior import CodeDiffusionSettings, CodePriorName
from weightcast.families.cases import Case
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.evaluation import TestEnvironment
from weightcast.families.prior_choice import ensemble_errors
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.training import with_prior

PRIORS: tuple[CodePriorName, ...] = ("gaussian", "diffusion")
"""That are compared, the first of which is taken where the other is not surely better."""


def compare_priors(
    run: Run,
    zoo: TrainedFamily,
    cases: Sequence[Case],
    tests: Sequence[TestEnvironment],
    settings: CodeDiffusionSettings,
    inference: InferenceSettings,
    seed: int,
) -> dict[CodePriorName, NDArray[np.float64]]:
    """What priors are worth to visible environments that they were fitted without.

    Experts and their principal components have seen these environments; of the priors, which alone differ, none has.

    Args:
        run: that diffusions are trained in.
        zoo: told codes, on the run's device.
        cases: what is shown of visible environments.
        tests: the same ones' held-out samples at later times.
        settings: of the diffusion; in so many folds environments are left out.
        inference: of codes.
        seed: of the draws.

    Returns:
        by prior, mean negative log-likelihood of later samples under ensembles, in nats [case, environment].
    """
    ids = cases[0].ids
    errors = {kind: np.zeros((len(cases), len(ids))) for kind in PRIORS}
    order = Draws("cpu", seed, "left out").permutation(len(ids)).tolist()
    for number in range(min(settings.folds, len(ids))):
        fold = sorted(order[number :: settings.folds])
        away = {ids[place] for place in fold}
        without = _without(zoo, away)
        shown, asked = [_of(case, fold) for case in cases], [tests[place] for place in fold]
        for kind in PRIORS:
            name = f"{kind} prior of the zoo, part {number + 1} of {settings.folds} left out"
            told = with_prior(run, without, kind, settings, derive_seed(seed, "fold", number), name)
            errors[kind][:, fold] = ensemble_errors(told, shown, asked, inference, seed)
    return errors


def _without(family: TrainedFamily, away: set[str]) -> TrainedFamily:
    """The family with the codes of the other visible environments alone."""
    kept = [place for place, id in enumerate(family.ids) if id not in away]
    ids = tuple(family.ids[place] for place in kept)
    return replace(family, ids=ids, codes=family.codes[kept], parameters=family.parameters[kept], mixture={})


def _of(case: Case, places: Sequence[int]) -> Case:
    """What a case shows of some of its environments."""
    ids, times = tuple(case.ids[place] for place in places), tuple(case.times[place] for place in places)
    return Case(case.name, ids, times, tuple(case.samples[place] for place in places))
