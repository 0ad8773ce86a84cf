"""Which prior of codes is better: by what ensembles of codes make of the later samples of environments left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.environments.config.code_prior import CodePriorName
from weightcast.families.bands import mixture_log_prob
from weightcast.families.cases import Case
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.evaluation import LIKELIHOOD_SAMPLES, TestEnvironment
from weightcast.families.inference import infer_codes
from weightcast.families.trained_family import TrainedFamily


def ensemble_errors(
    family: TrainedFamily,
    cases: Sequence[Case],
    tests: Sequence[TestEnvironment],
    inference: InferenceSettings,
    seed: int,
) -> NDArray[np.float64]:
    """What ensembles of codes make of environments of which little is shown.

    Args:
        family: whose codes' prior has not seen these environments.
        cases: what is shown of them.
        tests: their held-out samples at later times.
        inference: settings of the search and of the ensemble.
        seed: of the draws.

    Returns:
        mean negative log-likelihood of the later samples, in nats [case, environment].
    """
    found = []
    for case in cases:
        posterior = infer_codes(family, case.shown.to(family.codes.device), inference, seed, case.ids)
        ensembles = zip(posterior.draws.unbind(1), tests, strict=True)
        found.append([_ensemble_error(family, codes, test) for codes, test in ensembles])
    return np.array(found)


@torch.no_grad()
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
