"""The stage ``regress_weights``: weights from a zoo without a generator: nearest expert, polynomial and
Gaussian-process regression, One-per-Env.
"""

from __future__ import annotations

import time

import numpy as np
import torch

from weightcast.core.methods import ONE_PER_ENV_PREFIX
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.environments.base import BaseNetwork
from weightcast.environments.baselines.regression import (
    gaussian_process_regression,
    nearest_environment,
    polynomial_regression,
)
from weightcast.environments.conditions import new_condition
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import RegressWeights
from weightcast.environments.known import known_of
from weightcast.environments.plan import regressions
from weightcast.environments.training_zoo import TrainingZoo
from weightcast.environments.weights_table import MethodWeights, WeightsFile
from weightcast.environments.zoo import Zoo, own_experts


@stage("regress_weights")
def regress_weights(
    run: Run,
    settings: RegressWeights,
    zoo: Zoo,
    base: BaseNetwork,
    reference: Zoo | None,
    observed: TrajectoryFolder | None = None,
) -> WeightsFile:
    """Regress a zoo's weights on its condition's coordinates, unless the table of environments has no parameters.

    Args:
        run: for provenance; scikit-learn computes on the CPU.
        settings: degrees, folds, environments, the base's name, which ends the methods' names.
        zoo: experts of the visible environments.
        base: that the zoo started from.
        reference: experts of unseen environments, for One-per-Env; None where there is none.
        observed: trajectories of all environments, where a condition sees frames.
    """
    methods = _regressed(settings, zoo, base, observed) if regressions(settings.table) else []
    methods.append(_one_per_environment(settings.base, zoo, reference, base))
    return WeightsFile.of(methods, base.shared | run.described())


def _regressed(
    settings: RegressWeights, zoo: Zoo, base: BaseNetwork, observed: TrajectoryFolder | None
) -> list[MethodWeights]:
    """Nearest expert, polynomial and Gaussian process."""
    training = TrainingZoo.of(zoo, settings, observed)
    condition = new_condition(settings.condition, training.known, settings.logarithmic_parameters)
    seen = condition.prepare(training.known).double().numpy()
    wanted = condition.prepare(known_of(settings, observed)).double().numpy()
    rows_of = [training.environment_of == row for row in range(len(training.environments))]
    first = [int(rows.nonzero()[0]) for rows in rows_of]
    # Regression is on the mean of an environment's experts; the nearest expert is one of them, the first.
    mean = torch.stack([training.zoo.weights[rows].mean(0) for rows in rows_of])
    before = base.metadata["seconds"] + zoo.seconds

    def method(name: str, weights: torch.Tensor, seconds: float, numbers: int) -> MethodWeights:
        weights = weights.float()[:, None]
        return MethodWeights(f"{name}-{settings.base}", 0, settings.ids, weights, seconds, 0.0, numbers)

    nearest = training.zoo.weights[[first[row] for row in nearest_environment(seen, wanted)]]
    methods = [method("nearest-expert", nearest, before, training.zoo.weights.numel())]
    degrees, folds = settings.regression.degrees, settings.regression.folds
    fits = {
        "polynomial": lambda: polynomial_regression(seen, mean.double().numpy(), degrees, folds),
        "gaussian-process": lambda: gaussian_process_regression(seen, mean.double().numpy()),
    }
    for name, fit in fits.items():
        started = time.monotonic()
        regression = fit()
        weights = torch.from_numpy(np.ascontiguousarray(regression.predict(wanted)))
        methods.append(method(name, weights, before + time.monotonic() - started, regression.numbers))
    return methods


def _one_per_environment(name: str, zoo: Zoo, reference: Zoo | None, base: BaseNetwork) -> MethodWeights:
    """The first expert of each environment's own, diverged or not."""
    experts, weights = own_experts(zoo, reference)
    return MethodWeights(
        method=f"{ONE_PER_ENV_PREFIX}{name}",
        seed=0,
        environments=[entry["environment"] for entry in experts],
        weights=weights[:, None],
        train_seconds=base.metadata["seconds"],
        # An expert serves its own environment alone: what it cost to train is what adapting to an environment costs.
        adapt_seconds=float(np.mean([entry["seconds"] for entry in experts])),
        parameters=weights.shape[1],
        diverged=[entry["environment"] for entry in experts if entry["diverged"]],
    )
