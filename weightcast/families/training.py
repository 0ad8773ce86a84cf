"""Training of a map and of the visible environments' codes, together, by the likelihood of their samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.environments.scaling import ParameterScaling
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.state_space import Counts, StateSpace, real_space
from weightcast.families.config.paths import MapKind, PathSettings
from weightcast.families.path_map import PathMap
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import Told, TrainedFamily

FIRST_CODES = 0.1
"""Standard deviation of codes before training."""


@dataclass(frozen=True)
class SeenSamples:
    """The samples that a training sees, row by row; a snapshot is a pair of an environment and a time.

    Attributes:
        values: [row, dimension], in the data's units.
        first, count: of each snapshot's rows [snapshot].
        times: of the snapshots [snapshot].
        first_of, count_of: of each environment's snapshots, which lie side by side [environment].
    """

    values: Tensor
    first: Tensor
    count: Tensor
    times: Tensor
    first_of: Tensor
    count_of: Tensor

    @classmethod
    def of(cls, snapshots: FamilySnapshots, ids: Sequence[str]) -> SeenSamples:
        """The observed training samples of these environments."""
        parts, times, owned = [], [], []
        for id in ids:
            one = snapshots.environments[id]
            positions = np.flatnonzero(one.observed)
            parts += [torch.from_numpy(one.train[position]) for position in positions]
            times += [float(one.times[position]) for position in positions]
            owned.append(len(positions))
        count, count_of = torch.tensor([len(part) for part in parts]), torch.tensor(owned)
        return cls(
            torch.cat(parts),
            count.cumsum(0) - count,
            count,
            torch.tensor(times, dtype=torch.double),
            count_of.cumsum(0) - count_of,
            count_of,
        )

    def draw(self, members: int, batch: int, seed: int) -> tuple[Tensor, Tensor, Tensor]:
        """Snapshots at random, every environment as often as another, and samples of each.

        Returns:
            environments [member], times [member], samples [member, batch, dimension].
        """
        draws = Draws("cpu", seed)
        environment = draws.integers(len(self.count_of), members)
        snapshot = _one_of(self.first_of[environment], self.count_of[environment], draws.uniform(members))
        rows = _one_of(self.first[snapshot][:, None], self.count[snapshot][:, None], draws.uniform(members, batch))
        return environment, self.times[snapshot], self.values[rows]


def _one_of(first: Tensor, count: Tensor, part: Tensor) -> Tensor:
    """The row that lies this part of the way, 0 to 1, into so many rows from the first one on."""
    return first + (part.double() * count).long().clamp(max=count - 1)


def state_space(snapshots: FamilySnapshots, ids: Sequence[str], settings: DensitySettings) -> StateSpace:
    """The values that samples can take: those of `real_space` by what training may see, or counts."""
    if snapshots.states is not None:
        return Counts(snapshots.states, len(snapshots.dimensions))
    return real_space(snapshots.seen(ids), settings)


def train_paths(
    run: Run,
    told: Told,
    kind: MapKind,
    snapshots: FamilySnapshots,
    table: EnvironmentTable,
    ids: Sequence[str],
    settings: PathSettings,
    density: DensitySettings,
    *,
    logarithmic: Sequence[str] = (),
    temperature: float = 1.0,
    widened: float = 1.0,
    seed: int,
    name: str,
) -> tuple[TrainedFamily, float]:
    """Train a family of paths.

    The loss is the mean negative log-likelihood of samples, plus what a standard normal prior of the codes weighs
    beside all samples: without it codes would have no scale, and a prior that is fitted to them no meaning.

    Args:
        run: that it is trained in.
        told: what the map is told of an environment.
        kind: of the map.
        snapshots: of all environments.
        table: of the environments.
        ids: of those that are trained on.
        settings: sizes, prior, training.
        density: whose weights are generated.
        logarithmic: parameters whose logarithm is scaled.
        temperature, widened: kept with what is trained, for who infers a code with it.
        seed: of initial weights, codes and draws.
        name: of the training, its own within the stage.

    Returns:
        what was trained, and the seconds that it took.

    Raises:
        TrainingDiverged: a loss or a gradient is not finite.
    """
    stacked = StackedDensity.new(density, state_space(snapshots, ids, density), seed)
    seen = SeenSamples.of(snapshots, ids)
    values = table.parameter_array(ids)
    scaling = ParameterScaling.of(table.parameter_names, values, logarithmic)
    parameters = run.place(scaling.apply(values))
    width = {"codes": settings.code, "parameters": parameters.shape[1], "nothing": 0}[told]
    with run.initialised(derive_seed(seed, "map")):
        path_map = PathMap(stacked.graph.num_parameters, width, kind, settings.rank, settings.width)
        path_map.begin(stacked.initial_weights(derive_seed(seed, "origin")), 1 / math.sqrt(density.hidden))
    path_map = run.place(path_map)
    codes = parameters
    if told != "parameters":
        codes = FIRST_CODES * run.draws(seed, "codes").normal(len(ids), width)
    learned = told == "codes"
    codes.requires_grad_(learned)
    family = TrainedFamily(
        stacked,
        path_map,
        told,
        float(seen.times.min()),
        float(seen.times.max()),
        tuple(ids),
        codes,
        scaling,
        parameters,
        temperature,
        widened,
    )
    penalty = settings.code_penalty / len(seen.values)
    training = settings.training

    def loss(step: int) -> Tensor:
        environments, times, samples = seen.draw(training.members, training.batch, derive_seed(seed, "step", step))
        weights = family.weights(run.place(times), codes[run.place(environments)])
        error = -stacked.log_prob(weights, run.place(samples)).mean()
        return error + 0.5 * penalty * codes.square().sum() if learned else error

    trained = [*path_map.parameters(), *([codes] if learned else [])]
    result = run.fit(trained, loss, training, name=name)
    path_map.requires_grad_(False)
    codes.requires_grad_(False)
    return family, result.seconds
