"""A zoo of paths: an expert for each visible environment, and the family of paths that their statistics make.

The shared map has few directions in the space of weights, the same for all environments. An expert may go anywhere: its
weights at a few times begin where the shared map has them, and are trained on its environment's samples alone. All
experts are trained together on a leading axis. Their principal components, of whole paths, are a low-rank map of its
own, with codes that regression on parameters says, or the likelihood of samples under the codes' normal prior.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.families.config.path_zoo import PathZooSettings
from weightcast.families.inference import ShownSamples
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily
from weightcast.families.zoo_map import ZooMap, knot_shares, knot_times

HELD_BACK = 5
"""One in so many samples of a snapshot says when its environment's expert has been trained enough."""
JUDGED = 64
"""Most of these of a snapshot that are looked at."""
POOL = 1024
"""Most samples of a snapshot that experts are trained on."""


@dataclass(frozen=True)
class Experts:
    """Paths of weights of visible environments, each its own.

    Attributes:
        weights: at evenly spaced times [environment, knot, weight].
        errors: mean negative log-likelihood of samples held back, of the shared map's path, between the same times, and
            of the expert's [2, environment].
        seconds: that the training took.
    """

    weights: Tensor
    errors: Tensor
    seconds: float


def train_path_zoo(
    run: Run,
    family: TrainedFamily,
    snapshots: FamilySnapshots,
    settings: PathZooSettings,
    seed: int,
    name: str,
    experts: Experts | None = None,
) -> TrainedFamily:
    """Train experts, and make a family of their principal components.

    Args:
        run: that it is trained in.
        family: trained, told codes; of its first map experts begin.
        snapshots: of all environments.
        settings: of the experts and of the components.
        seed: of draws.
        name: of the training, its own within the stage.
        experts: as they are, where they have been trained before.

    Returns:
        a family of one map, whose metadata say what experts are worth; told codes as the first one is.

    Raises:
        TrainingDiverged: a loss or a gradient is not finite.
    """
    if experts is None:
        experts = train_experts(run, family.alone, snapshots, settings, seed, name)
    path_map, codes = principal_paths(experts.weights, settings.components)
    before, after = experts.errors.mean(1).tolist()
    metadata: Mapping[str, Any] = {
        "seconds": experts.seconds,
        "zoo": {"experts": len(codes), "shared_nll": round(before, 5), "expert_nll": round(after, 5)},
    }
    return replace(family.alone, map=path_map, codes=codes, mixture={}, masses=None, metadata=dict(metadata))


def train_experts(
    run: Run, family: TrainedFamily, snapshots: FamilySnapshots, settings: PathZooSettings, seed: int, name: str
) -> Experts:
    """Train all experts together, from the shared map's paths; see :func:`train_path_zoo`."""
    environments = len(family.ids)
    pool, held_back = sample_pools(family, snapshots, seed)
    knots = knot_times(settings.knots)
    with torch.no_grad():
        codes = family.codes.repeat_interleave(settings.knots, 0)
        begin = family.map(knots.to(codes).repeat(environments), codes).unflatten(0, (environments, settings.knots))
    experts = run.place(begin.clone()).requires_grad_()

    def error(weights: Tensor, shown: ShownSamples) -> Tensor:
        """Mean negative log-likelihood of what is shown [environment]."""
        shares = knot_shares(family.scaled(shown.times), settings.knots)  # [environment, snapshot, knot]
        return mean_error(family, shares @ weights, shown)

    def validation() -> Tensor:
        with torch.no_grad():
            return error(experts, held_back)

    def loss(step: int) -> Tensor:
        return error(
            experts,
            drawn_batch(pool, settings.snapshots, settings.batch, Draws("cpu", seed, "step", step)).to(run.device),
        )

    held_back = held_back.to(run.device)
    before = error(experts.detach(), held_back)
    kept = None if settings.training.keep == "last" else validation
    result = run.fit([experts], loss, settings.training, name=name, stacked=True, validation=kept)
    after = error(experts.detach(), held_back)
    # An expert that is no better on what was held back stays where it began.
    better = (after < before) | (settings.training.keep == "last")
    trained = torch.where(better[:, None, None], experts.detach(), begin)
    return Experts(trained, torch.stack([before, torch.where(better, after, before)]), result.seconds)


def mean_error(family: TrainedFamily, weights: Tensor, shown: ShownSamples) -> Tensor:
    """Mean negative log-likelihood of what is shown of each environment [environment], under densities whose weights
    are given at each snapshot [environment, snapshot, weight]."""
    found = family.density.log_prob(weights.flatten(0, 1), shown.values.flatten(0, 1))
    found = found.unflatten(0, shown.times.shape).where(shown.there, 0.0)
    return -found.sum((1, 2)) / shown.there.sum((1, 2)).clamp(min=1)


def principal_paths(experts: Tensor, components: int) -> tuple[ZooMap, Tensor]:
    """The mean path and the principal components of experts' paths, with codes of standard deviation 1.

    Args:
        experts: weights [environment, knot, weight].
        components: at most; two fewer than there are experts, if these are few.

    Returns:
        the map, and the experts' codes [environment, number].
    """
    environments, knots, weights = experts.shape
    count = max(1, min(components, environments - 2))
    mean = experts.mean(0)
    left, values, right = torch.linalg.svd((experts - mean).flatten(1).double(), full_matrices=False)
    scale = (environments - 1) ** 0.5
    path_map = ZooMap(weights, count, "zoo", count, knots).to(experts.device)
    path_map.mean.copy_(mean)
    directions = right[:count] * values[:count, None] / scale
    path_map.components.copy_(directions.unflatten(1, (knots, weights)))
    return path_map.eval(), (left[:, :count] * scale).to(experts)


def sample_pools(family: TrainedFamily, snapshots: FamilySnapshots, seed: int) -> tuple[ShownSamples, ShownSamples]:
    """Samples of a family's environments that experts are trained on, and those that are held back from them."""
    trained, held_back = [], []
    for id in family.ids:
        one = snapshots.environments[id]
        parts: tuple[list[Any], list[Any]] = ([], [])
        times = [float(time) for time, seen in zip(one.times, one.observed, strict=True) if seen]
        for position in [place for place, seen in enumerate(one.observed) if seen]:
            samples = one.train[position]
            order = Draws("cpu", seed, "held back", id, position).permutation(len(samples)).numpy()
            few = len(samples) // HELD_BACK
            parts[0].append(samples[order[few:]][:POOL])
            parts[1].append(samples[order[:few]][:JUDGED] if few else samples)  # too few to hold any back
        trained.append((times, parts[0]))
        held_back.append((times, parts[1]))
    return ShownSamples.of(trained), ShownSamples.of(held_back)


def drawn_batch(pool: ShownSamples, snapshots: int, samples: int, draws: Draws) -> ShownSamples:
    """So many snapshots of every environment, and samples of each, drawn with replacement."""
    environments = len(pool.times)
    own = torch.arange(environments)[:, None]
    count = pool.there.any(-1).sum(-1, keepdim=True)  # snapshots lie before the padding
    at = (draws.uniform(environments, snapshots) * count).long()
    sizes = pool.there.sum(-1)[own, at][..., None]  # and so do samples
    rows = (draws.uniform(environments, snapshots, samples) * sizes).long()
    values = pool.values[own[..., None], at[..., None], rows]
    return ShownSamples(pool.times[own, at], values, torch.ones(rows.shape, dtype=torch.bool))
