"""Where samples of a new environment begin that is told by its parameters alone."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from weightcast.core.environment_table import EnvironmentTable
from weightcast.environments.scaling import ParameterScaling
from weightcast.families.snapshots import FamilySnapshots, Samples


def first_samples(
    scaling: ParameterScaling,
    snapshots: FamilySnapshots,
    table: EnvironmentTable,
    ids: Sequence[str],
    id: str,
    count: int,
    seed: int,
) -> tuple[Samples, float, Tensor]:
    """Samples of the first snapshot of the visible environment whose parameters are nearest.

    Args:
        scaling: of the parameters.
        snapshots: of the study.
        table: of the environments.
        ids: of the visible environments that may be taken.
        id: of the new environment.
        count: of samples.
        seed: of the draw.

    Returns:
        samples [sample, dimension], their time, and the new environment's parameters, scaled [parameter].
    """
    parameters = scaling.apply(table.parameter_array([id]))
    nearest = ids[int(torch.cdist(parameters, scaling.apply(table.parameter_array(ids))).argmin())]
    one = snapshots.environments[nearest]
    position = int(np.flatnonzero(one.observed)[0])
    return evenly_drawn(one.train[position], count, seed), float(one.times[position]), parameters[0]


def evenly_drawn(samples: Samples, count: int, seed: int) -> Samples:
    """As many samples as are wanted, each as often as every other or once more, in random order."""
    random = np.random.default_rng(seed)
    rows = np.concatenate([random.permutation(len(samples)) for _ in range(-(-count // len(samples)))])[:count]
    return samples[rows]
