"""Training of a map and of the visible environments' codes, together, by the likelihood of their samples."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.environment_table import EnvironmentTable
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.environments.code_priors import fit_prior
from weightcast.environments.config.code_prior import CodeDiffusionSettings, CodePriorName
from weightcast.environments.scaling import ParameterScaling
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.state_space import Counts, StateSpace, real_space
from weightcast.families.config.paths import MapKind, PathSettings
from weightcast.families.inflation import Inflation
from weightcast.families.masses import MassCurves
from weightcast.families.path_map import PathMap
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.stacked_maps import StackedMaps
from weightcast.families.trained_family import Told, TrainedFamily, scaled_times

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
    inflation: Inflation | None = None,
    widened: float = 1.0,
    seed: int,
    name: str,
) -> tuple[TrainedFamily, float]:
    """Train a family of paths: ``settings.maps`` maps together, independently of each other.

    The loss of a map is the mean negative log-likelihood of samples, plus what a standard normal prior of its codes
    weighs beside all samples: without it codes would have no scale, and a prior that is fitted to them no meaning.

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
        inflation, widened: kept with what is trained, for who infers a code with it.
        seed: of initial weights, codes and draws.
        name: of the training, its own within the stage.

    Returns:
        what was trained, the further maps beside the first one, and the seconds that all took.

    Raises:
        TrainingDiverged: a loss or a gradient is not finite.
    """
    stacked = StackedDensity.new(density, state_space(snapshots, ids, density), seed)
    seen = SeenSamples.of(snapshots, ids)
    values = table.parameter_array(ids)
    scaling = ParameterScaling.of(table.parameter_names, values, logarithmic)
    parameters = run.place(scaling.apply(values))
    width = {"codes": settings.code, "parameters": parameters.shape[1], "nothing": 0}[told]
    seeds = [seed, *(derive_seed(seed, "further map", place) for place in range(1, settings.maps))]
    maps = StackedMaps([_first_map(run, own, stacked, density, width, kind, settings) for own in seeds])
    codes = parameters.repeat(len(seeds), 1, 1)
    if told != "parameters":
        codes = torch.stack([FIRST_CODES * run.draws(own, "codes").normal(len(ids), width) for own in seeds])
    learned = told == "codes"
    trained = [*maps.state.values(), *([codes] if learned else [])]
    for part in trained:
        part.requires_grad_()
    first, last = float(seen.times.min()), float(seen.times.max())
    penalty = settings.code_penalty / len(seen.values)
    training, of_map = settings.training, torch.arange(len(seeds), device=codes.device)[:, None]

    def loss(step: int) -> Tensor:
        drawn = [seen.draw(training.members, training.batch, derive_seed(own, "step", step)) for own in seeds]
        environments, times, samples = (run.place(torch.stack(part)) for part in zip(*drawn, strict=True))
        weights = maps(scaled_times(times, first, last), codes[of_map, environments])  # [map, member, weight]
        found = stacked.log_prob(weights.flatten(0, 1), samples.flatten(0, 1)).unflatten(0, (len(seeds), -1))
        error = -found.mean((1, 2))
        return error + 0.5 * penalty * codes.square().sum((1, 2)) if learned else error

    result = run.fit(trained, loss, training, name=name, stacked=True)
    codes.requires_grad_(False)
    one, *further = (
        TrainedFamily(
            stacked,
            path_map,
            told,
            first,
            last,
            tuple(ids),
            own,
            scaling,
            parameters,
            inflation or Inflation(),
            widened,
        )
        for path_map, own in zip(maps.apart(), codes, strict=True)
    )
    return replace(one, further=tuple(further)), result.seconds


def with_prior(
    run: Run, family: TrainedFamily, kind: CodePriorName, settings: CodeDiffusionSettings, seed: int, name: str
) -> TrainedFamily:
    """The family with a prior of codes of a kind, fitted to the visible codes of each of its maps.

    Args:
        run: that a diffusion is trained in.
        family: told codes.
        kind: of the prior.
        settings: of mixtures and the diffusion.
        seed: of the draws.
        name: of the trainings, their own within the stage.
    """
    fitted = []
    for place, one in enumerate(family.members):
        of_map, called = (derive_seed(seed, "further map", place), f"{name}, map {place}") if place else (seed, name)
        prior = fit_prior(run, kind, one.codes, one.widened, settings, of_map, called)
        fitted.append(replace(one, mixture=prior.tensors()))
    return replace(fitted[0], further=tuple(fitted[1:]))


def with_masses(family: TrainedFamily, snapshots: FamilySnapshots) -> TrainedFamily:
    """The family with curves of the visible populations' sizes, by the codes of each of its maps; of what was observed
    alone.

    Raises:
        InputError: no visible environment has two snapshots.
    """
    seen = [snapshots.environments[id] for id in family.ids]
    told = [(one.times[one.observed], one.masses[one.observed]) for one in seen if one.masses is not None]
    fitted = [replace(one, masses=MassCurves.fit(told, one.codes.double().cpu().numpy())) for one in family.members]
    return replace(fitted[0], further=tuple(fitted[1:]))


def _first_map(
    run: Run,
    seed: int,
    stacked: StackedDensity,
    density: DensitySettings,
    width: int,
    kind: MapKind,
    settings: PathSettings,
) -> PathMap:
    """A map before its training, around a density that knows nothing yet."""
    with run.initialised(derive_seed(seed, "map")):
        path_map = PathMap(stacked.graph.num_parameters, width, kind, settings.rank, settings.width)
        path_map.begin(stacked.initial_weights(derive_seed(seed, "origin")), 1 / math.sqrt(density.hidden))
    return run.place(path_map)
