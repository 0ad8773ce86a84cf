"""Visible environments that are left out of a training, to judge what it makes of them: half lie at the edge.

Unseen environments may lie outside of the visible ones, where a map and a prior of codes are off in other ways than
between them. Judges drawn at random are mostly inside, and would choose for there alone.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.errors import InputError
from weightcast.environments.left_out import left_out_environments
from weightcast.environments.scaling import ParameterScaling
from weightcast.families.config.evaluation import FamilyEvaluationSettings
from weightcast.families.scorable import too_few_scorable, why_not_scored
from weightcast.families.snapshots import FamilySnapshots, Samples

MOMENT_TIMES = 5
"""Times at which the moments of laws are compared."""
COMPONENTS, VARIANCE = 4, 0.9
"""Principal components of these by which laws lie outside or inside: as many as hold so much of the variance, four at
most. Further ones are noise of the samples, and where there are many every environment lies outside."""


def choose_judges(
    snapshots: FamilySnapshots,
    table: EnvironmentTable,
    number: int,
    evaluation: FamilyEvaluationSettings,
    logarithmic: Sequence[str],
    draws: Draws,
) -> tuple[list[str], list[str]]:
    """Which visible environments are left out, of those that can be tested on.

    What lies outside is told by the parameters or, where none are known, by the law: the first principal components of
    means and standard deviations of all dimensions.

    Args:
        snapshots: of all environments.
        table: of the environments.
        number: how many are left out.
        evaluation: says what one must have that is tested on.
        logarithmic: parameters whose logarithm counts.
        draws: source of those that are not at the edge.

    Returns:
        ids of those that lie farthest outside of the others, the odd one among them, and of as many others at random;
        in the table's order.

    Raises:
        InputError: fewer environments than are to be left out can be tested on.
    """
    visible = [environment.id for environment in table.visible]
    ids = [id for id in visible if why_not_scored(snapshots, id, evaluation) is None]
    if len(ids) < number:
        raise InputError(too_few_scorable(len(ids), number))
    if table.parameter_names:
        values = table.parameter_array(visible)
        scaling = ParameterScaling.of(table.parameter_names, values, logarithmic)
        features = scaling.apply(table.parameter_array(ids))
    else:
        features = _components(law_features([_seen(snapshots, id) for id in ids]))
    (found,) = left_out_environments(features, number, draws)
    return [ids[place] for place in found.edge], [ids[place] for place in found.inside]


def law_features(environments: Sequence[tuple[NDArray[np.float64], Sequence[Samples]]]) -> NDArray[np.float64]:
    """Means and standard deviations of each dimension at a few times, of environments of any times.

    Between its own times an environment's moments are interpolated, beyond them kept.

    Args:
        environments: times [time], increasing, and the samples of each [sample, dimension].

    Returns:
        [environment, mean or deviation, dimension, time].
    """
    every = np.concatenate([times for times, _ in environments])
    asked = np.unique(np.quantile(every, np.linspace(0, 1, MOMENT_TIMES)))
    rows = []
    for times, samples in environments:
        moments = np.array([[values.mean(0), values.std(0)] for values in samples])
        rows.append([[np.interp(asked, times, column) for column in own.T] for own in moments.swapaxes(0, 1)])
    return np.array(rows)


def _seen(snapshots: FamilySnapshots, id: str) -> tuple[NDArray[np.float64], list[Samples]]:
    """Times and training samples of an environment's snapshots."""
    own = snapshots.environments[id]
    return own.times[own.observed], snapshots.seen([id])


def _components(moments: NDArray[np.float64]) -> Tensor:
    """The first principal components of moments (`law_features`) [environment, component], each dimension in units of
    the spread of all samples."""
    spread = np.sqrt(moments[:, 0].var((0, 2)) + np.square(moments[:, 1]).mean((0, 2)))
    scaled = (moments / np.where(spread > 0, spread, 1.0)[:, None]).reshape(len(moments), -1)
    left, values, _ = np.linalg.svd(scaled - scaled.mean(0), full_matrices=False)
    held = np.square(values).cumsum() / max(np.square(values).sum(), np.finfo(float).tiny)
    count = min(COMPONENTS, 1 + int((held < VARIANCE).sum()))
    return torch.from_numpy(left[:, :count] * values[:count])
