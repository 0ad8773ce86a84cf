"""The stage ``regress_weights``: weights from a zoo without a generator: nearest expert, polynomial and
Gaussian-process regression, One-per-Env.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch import Tensor

from weightcast.core.methods import ONE_PER_ENV_PREFIX
from weightcast.core.run import Run
from weightcast.core.stage import stage
from weightcast.core.stored_tensor import Rows, ScratchTensor, grouped
from weightcast.environments.base import BaseNetwork
from weightcast.environments.baselines.regression import (
    Array,
    Columns,
    gaussian_process_regression,
    nearest_environment,
    polynomial_regression,
)
from weightcast.environments.conditions import new_condition
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import RegressWeights
from weightcast.environments.known import known_of
from weightcast.environments.plan import regressions
from weightcast.environments.study_sizes import regression_numbers
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
        run: for its memory, and provenance; scikit-learn computes on the CPU.
        settings: degrees, folds, environments, the base's name, which ends the methods' names.
        zoo: experts of the visible environments.
        base: that the zoo started from.
        reference: experts of unseen environments, for One-per-Env; None where there is none.
        observed: trajectories of all environments, where a condition sees frames.
    """
    methods = _regressed(run, settings, zoo, base, observed) if regressions(settings.table) else []
    methods.append(_one_per_environment(settings.base, zoo, reference, base))
    return WeightsFile.of(methods, base.shared | run.described())


def _regressed(
    run: Run, settings: RegressWeights, zoo: Zoo, base: BaseNetwork, observed: TrajectoryFolder | None
) -> list[MethodWeights]:
    """Nearest expert, polynomial and Gaussian process."""
    training = TrainingZoo.of(zoo, settings, observed)
    condition = new_condition(settings.condition, training.known, settings.logarithmic_parameters)
    seen = condition.prepare(training.known).double().numpy()
    wanted = condition.prepare(known_of(settings, observed)).double().numpy()
    rows_of = [(training.environment_of == row).nonzero()[:, 0] for row in range(len(training.environments))]
    first = [int(rows[0]) for rows in rows_of]
    # Regression is on the mean of an environment's experts; the nearest expert is one of them, the first.
    mean = _means(run, training.zoo, rows_of)
    before = base.metadata["seconds"] + zoo.seconds

    def method(name: str, weights: Rows, seconds: float, numbers: int) -> MethodWeights:
        weights = grouped(weights, 1)
        return MethodWeights(f"{name}-{settings.base}", 0, settings.ids, weights, seconds, 0.0, numbers)

    nearest = training.zoo.take([first[row] for row in nearest_environment(seen, wanted)]).weights
    methods = [method("nearest-expert", nearest, before, training.zoo.numbers)]
    degrees, folds = settings.regression.degrees, settings.regression.folds
    columns = _columns(run, mean, len(wanted))
    fits = {
        "polynomial": lambda: polynomial_regression(seen, columns, degrees, folds),
        "gaussian-process": lambda: gaussian_process_regression(seen, columns),
    }
    for name, fit in fits.items():
        started = time.monotonic()
        regression = fit()
        weights, left = run.room(len(wanted), columns.count), 0
        for block in regression.predict(wanted):
            weights[:, left : left + block.shape[1]] = torch.from_numpy(np.ascontiguousarray(block)).float()
            left += block.shape[1]
        methods.append(method(name, weights, before + time.monotonic() - started, regression.numbers))
    return methods


def _means(run: Run, zoo: Zoo, rows_of: Sequence[Tensor]) -> Tensor | ScratchTensor:
    """The mean expert of each environment [environment, weight], from the rows of each."""
    means = run.room(len(rows_of), zoo.weights.shape[1])
    for row, members in enumerate(rows_of):
        together = run.together(4 * len(members))
        for left in range(0, means.shape[1], together):
            columns = slice(left, left + together)
            means[row : row + 1, columns] = zoo.weights[members, columns].mean(0)[None]
    return means


def _columns(run: Run, mean: Tensor | ScratchTensor, wanted: int) -> Columns:
    """Mean experts in double precision, as many columns at a time as fit with what is made of them."""
    together = run.together(regression_numbers(len(mean), wanted))

    def blocks() -> Iterator[Array]:
        for left in range(0, mean.shape[1], together):
            yield mean[:, left : left + together].double().numpy()

    return Columns(mean.shape[1], blocks)


def _one_per_environment(name: str, zoo: Zoo, reference: Zoo | None, base: BaseNetwork) -> MethodWeights:
    """The first expert of each environment's own, diverged or not."""
    experts, weights = own_experts(zoo, reference)
    return MethodWeights(
        method=f"{ONE_PER_ENV_PREFIX}{name}",
        seed=0,
        environments=[entry["environment"] for entry in experts],
        weights=grouped(weights, 1),
        train_seconds=base.metadata["seconds"],
        # An expert serves its own environment alone: what it cost to train is what adapting to an environment costs.
        adapt_seconds=float(np.mean([entry["seconds"] for entry in experts])),
        parameters=weights.shape[1],
        diverged=[entry["environment"] for entry in experts if entry["diverged"]],
    )
