"""The code of an environment of which only samples at a few times are known, and what these leave open.

A code is sought by the likelihood of the samples under the prior of the visible codes, from several starts,
of all maps and environments in one batch. What is left open is drawn by sampling importance resampling (Rubin, 1988):
codes are proposed from normal distributions around the solutions (Laplace's approximation, widened) and kept by their
posterior probability over that of being proposed. Where a family has several maps, each has a posterior of its own, and
the ensemble as many codes of one as of another (a deep ensemble: Lakshminarayanan and others, NeurIPS 2017).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.environments.code_priors import CodePrior
from weightcast.families.config.inference import InferenceSettings
from weightcast.families.snapshots import Samples
from weightcast.families.trained_family import TrainedFamily

Energy = Callable[[Tensor], Tensor]
STEP = 1e-2
"""Of the finite differences of a gradient, in standard deviations of the prior."""
WIDER = 1.3
"""What standard deviations of Laplace's approximation are multiplied with to propose from: proposals must reach
farther than what they stand for."""
AT_ONCE = 4_000_000
"""Numbers that the outputs of densities have at once, or what their weights are made of, while the likelihoods of codes
are computed."""


@dataclass(frozen=True)
class ShownSamples:
    """Samples that are shown of several environments, padded to the most snapshots and samples of any.

    Attributes:
        times: [environment, snapshot], in the data's unit.
        values: [environment, snapshot, sample, dimension].
        there: [environment, snapshot, sample] bool: what is no padding.
    """

    times: Tensor
    values: Tensor
    there: Tensor

    @classmethod
    def of(cls, environments: Sequence[tuple[Sequence[float], Sequence[Samples]]]) -> ShownSamples:
        """Pad the times and samples of each environment.

        Raises:
            InputError: an environment has none.
        """
        for times, samples in environments:
            if not len(times) or any(not len(values) for values in samples):
                raise InputError("samples: found none at a time, expected one or more")
        most_times = max(len(times) for times, _ in environments)
        most = max(len(values) for _, samples in environments for values in samples)
        dimensions = environments[0][1][0].shape[1]
        shape = (len(environments), most_times, most)
        shown = cls(
            torch.zeros(shape[:2], dtype=torch.double),
            torch.zeros(*shape, dimensions, dtype=torch.double),
            torch.zeros(shape, dtype=torch.bool),
        )
        for place, (times, samples) in enumerate(environments):
            shown.times[place] = float(times[0])  # padding is at a time that the map knows
            for position, (time, values) in enumerate(zip(times, samples, strict=True)):
                shown.times[place, position] = float(time)
                filled = torch.from_numpy(values)
                shown.values[place, position] = filled[:1]  # and has a value that can be
                shown.values[place, position, : len(values)] = filled
                shown.there[place, position, : len(values)] = True
            shown.values[place, len(times) :] = torch.from_numpy(samples[0][:1])
        return shown

    def to(self, device: torch.device) -> ShownSamples:
        """The same on a device."""
        return ShownSamples(self.times.to(device), self.values.to(device), self.there.to(device))


@dataclass(frozen=True)
class Posterior:
    """What samples say of the codes of environments.

    Attributes:
        mode: most probable code of each map [map, environment, number].
        best: the map under which its most probable code is more probable than that of any other, long [environment].
        draws: codes of the ensemble, as many of each map [map, environment, draw, number].
        effective: how many independent draws the proposals are worth [map, environment].
    """

    mode: Tensor
    best: Tensor
    draws: Tensor
    effective: Tensor

    def most_probable(self, family: TrainedFamily) -> list[tuple[TrainedFamily, Tensor]]:
        """For each environment the map, of the family's members, and its code [number] that are most probable."""
        return [(family.members[of], self.mode[of, place]) for place, of in enumerate(self.best.tolist())]


def log_likelihood(family: TrainedFamily, codes: Tensor, shown: ShownSamples) -> Tensor:
    """Log-likelihood of the shown samples.

    Args:
        family: trained.
        codes: of each of its maps [map, environment, candidate, number].
        shown: of the environments.

    Returns:
        [map, environment, candidate].
    """
    maps, environments, _candidates, _ = codes.shape
    snapshots, samples, dimensions = shown.values.shape[1:]
    outputs = family.density.space.outputs
    numbers = max(samples * dimensions * outputs, family.decoding_numbers)
    size = max(1, AT_ONCE // (maps * environments * snapshots * numbers))
    parts = []
    for some in codes.split(size, dim=2):
        count = some.shape[2]
        times = shown.times[:, None].expand(maps, -1, count, -1).reshape(maps, -1)
        each = some[..., None, :].expand(-1, -1, -1, snapshots, -1).reshape(*times.shape, -1)
        values = shown.values[:, None].expand(maps, -1, count, -1, -1, -1).reshape(-1, samples, dimensions)
        found = family.density.log_prob(family.weights_of_all(times, each).flatten(0, 1), values)
        found = found.unflatten(0, (maps, environments, count, snapshots)).where(shown.there[:, None], 0.0)
        parts.append(found.sum((-2, -1)))
    return torch.cat(parts, dim=2)


def infer_codes(
    family: TrainedFamily,
    shown: ShownSamples,
    settings: InferenceSettings,
    seed: int,
    keys: Sequence[str],
    *,
    priors: Sequence[CodePrior] | None = None,
    begin: Tensor | None = None,
    alone: bool = False,
) -> Posterior:
    """Find codes of environments from samples that are shown of them, under each map of a family.

    Args:
        family: trained, told codes.
        shown: of the environments, on the family's device.
        settings: of the search and of the ensemble.
        seed: of the draws.
        keys: what tells each environment from others: its draws depend on the seed, its key and its samples alone.
        priors: of the codes of each map; the family's own if None.
        begin: codes that searches begin at [map, environment, start, number], beside those of the settings.
        alone: whether they begin at these alone.
    """
    of_maps = _OfMaps([one.prior for one in family.members] if priors is None else priors)
    # To what follows, an environment under another map is one more environment.
    both = (len(of_maps.priors), len(shown.times))

    def energy(whitened: Tensor) -> Tensor:
        """Negative logarithm of the posterior [map and environment, candidate], but for a constant."""
        whitened = whitened.unflatten(0, both)
        found = log_likelihood(family, of_maps.codes(whitened), shown)
        return (-of_maps.log_whitened(whitened) - found).flatten(0, 1)

    starts = _all_starts(family, shown, of_maps, settings, begin, alone).flatten(0, 1)
    solutions = _descend(energy, starts, settings)
    with torch.no_grad():
        energies = energy(solutions)
    lowest, found_at = energies.min(1)
    mode = solutions[torch.arange(len(found_at)), found_at]
    spread = _laplace(energy, solutions)
    seeds = [
        derive_seed(seed, "posterior", key, *([place] if place else [])) for place in range(both[0]) for key in keys
    ]
    each = -(-settings.draws // both[0])
    draws, effective = _resample(energy, solutions, energies, spread, settings.proposals, each, seeds)
    return Posterior(
        of_maps.codes(mode.unflatten(0, both)),
        lowest.unflatten(0, both).argmin(0),
        of_maps.codes(draws.unflatten(0, both)),
        effective.unflatten(0, both),
    )


@torch.no_grad()
def visible_log_likelihood(family: TrainedFamily, shown: ShownSamples) -> Tensor:
    """Log-likelihood of the shown samples under each visible environment's path, of the first map: [environment,
    visible]."""
    return log_likelihood(family.alone, family.codes.expand(1, len(shown.times), -1, -1), shown)[0]


@dataclass(frozen=True)
class _OfMaps:
    """Priors of the codes of several maps, on a leading axis.

    Attributes:
        priors: of each map.
    """

    priors: Sequence[CodePrior]

    def codes(self, whitened: Tensor) -> Tensor:
        """[map, ..., number], standard normal -> codes."""
        return torch.stack([prior.codes(own) for prior, own in zip(self.priors, whitened, strict=True)])

    def whitened(self, codes: Tensor) -> Tensor:
        """The inverse of :meth:`codes`."""
        return torch.stack([prior.whitened(own) for prior, own in zip(self.priors, codes, strict=True)])

    def log_whitened(self, whitened: Tensor) -> Tensor:
        """Whitened codes [map, ..., number] -> log-density, but for constants [map, ...]."""
        return torch.stack([prior.log_whitened(own) for prior, own in zip(self.priors, whitened, strict=True)])

    @property
    def centres(self) -> Tensor:
        """Codes [map, part, number]; a prior of fewer parts than another has its first one several times."""
        found = [prior.centres_of_parts for prior in self.priors]
        most = max(len(own) for own in found)
        return torch.stack([torch.cat([own, own[:1].expand(most - len(own), -1)]) for own in found])


def said_codes(family: TrainedFamily, shown: ShownSamples) -> list[tuple[TrainedFamily, Tensor]]:
    """For each environment a map and its code [number], as the network says that reads samples: under the map that
    makes the shown samples likeliest.

    Raises:
        InputError: the family has no such network.
    """
    codes = family.encoded(shown.times, shown.values, shown.there)
    with torch.no_grad():
        best = log_likelihood(family, codes[:, :, None], shown)[..., 0].argmax(0)
    return [(family.members[of], codes[of, place]) for place, of in enumerate(best.tolist())]


def refined_codes(
    family: TrainedFamily, shown: ShownSamples, settings: InferenceSettings, seed: int, keys: Sequence[str]
) -> Posterior:
    """As :func:`infer_codes`, by a short search that begins at the code that the network says which reads samples.

    Raises:
        InputError: the family has no such network.
    """
    if settings.encoder is None:
        raise InputError("inference.encoder: found none, expected its settings")
    begin = family.encoded(shown.times, shown.values, shown.there)[:, :, None]
    short = settings.model_copy(update={"steps": settings.encoder.refinement})
    return infer_codes(family, shown, short, seed, keys, begin=begin, alone=True)


@torch.no_grad()
def _all_starts(
    family: TrainedFamily,
    shown: ShownSamples,
    of_maps: _OfMaps,
    settings: InferenceSettings,
    begin: Tensor | None,
    alone: bool,
) -> Tensor:
    """Whitened codes that searches begin at [map, environment, start, number]."""
    given = None if begin is None else of_maps.whitened(begin)
    if given is not None and alone:
        return given
    own = _starts(family, shown, of_maps, settings.starts)
    return own if given is None else torch.cat([own, given], dim=2)


@torch.no_grad()
def _starts(family: TrainedFamily, shown: ShownSamples, of_maps: _OfMaps, count: int) -> Tensor:
    """Whitened codes that searches begin at [map, environment, start, number]: likely visible ones, and the centres of
    the prior."""
    environments = len(shown.times)
    learned = torch.stack([one.codes for one in family.members])  # [map, visible, number]
    visible = of_maps.whitened(learned)
    found = log_likelihood(family, learned[:, None].expand(-1, environments, -1, -1), shown)
    probable = found + of_maps.log_whitened(visible)[:, None]
    best = probable.topk(min(count - 1, visible.shape[1]), dim=2).indices  # [map, environment, start]
    likely = torch.stack([own[places] for own, places in zip(visible, best, strict=True)])
    centres = of_maps.whitened(of_maps.centres)[:, None].expand(-1, environments, -1, -1)
    return torch.cat([likely, centres], dim=2)


def _descend(energy: Energy, starts: Tensor, settings: InferenceSettings) -> Tensor:
    """The lowest point that each start reaches, by Adam with a rate that falls to nothing."""
    whitened = starts.clone().requires_grad_()
    optimiser = torch.optim.Adam([whitened], lr=settings.learning_rate)
    for step in range(settings.steps):
        for group in optimiser.param_groups:
            group["lr"] = settings.learning_rate * 0.5 * (1 + math.cos(math.pi * step / settings.steps))
        optimiser.zero_grad()
        energy(whitened).sum().backward()
        optimiser.step()
    return whitened.detach()


def _laplace(energy: Energy, solutions: Tensor) -> Tensor:
    """Factors of the covariances around solutions [environment, solution, number, number], lower triangular.

    A direction is never taken for wider than the prior: where the likelihood curves upwards there, what proposals
    reach is still the prior's.
    """
    numbers = solutions.shape[-1]
    offsets = STEP * torch.cat([torch.eye(numbers), -torch.eye(numbers)]).to(solutions)
    around = (solutions[:, :, None] + offsets).flatten(1, 2).requires_grad_()
    (gradient,) = torch.autograd.grad(energy(around).sum(), around)
    ahead, behind = gradient.unflatten(1, (-1, 2 * numbers)).split(numbers, dim=2)
    hessian = (ahead - behind) / (2 * STEP)
    values, vectors = torch.linalg.eigh(0.5 * (hessian + hessian.mT))
    root = vectors * values.clamp(min=1.0).rsqrt()[..., None, :]
    return torch.linalg.cholesky(root @ root.mT)


@torch.no_grad()
def _resample(
    energy: Energy,
    solutions: Tensor,
    energies: Tensor,
    factors: Tensor,
    count: int,
    wanted_count: int,
    seeds: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """So many draws, of so many proposals, of the posterior [environment, draw, number], and how many independent ones
    the proposals are worth [environment]."""
    _, starts, numbers = solutions.shape
    device = solutions.device
    # How much of the posterior lies around each solution; several that are one share what lies there.
    shares = (-energies + factors.diagonal(dim1=-2, dim2=-1).log().sum(-1)).softmax(1)
    proposed, kept, effective = [], [], []
    streams = [Draws("cpu", seed) for seed in seeds]
    for place, draws in enumerate(streams):
        chosen = torch.searchsorted(shares[place].cumsum(0).cpu(), draws.uniform(count)).clamp(max=starts - 1)
        normal = WIDER * draws.normal(count, numbers).to(device)
        chosen = chosen.to(device)
        proposed.append(solutions[place, chosen] + (factors[place, chosen] @ normal[..., None])[..., 0])
    candidates = torch.stack(proposed)
    wanted = -energy(candidates)
    for place, draws in enumerate(streams):
        apart = candidates[place][:, None] - solutions[place]  # [candidate, solution, number]
        scaled = torch.linalg.solve_triangular(WIDER * factors[place], apart[..., None], upper=False)[..., 0]
        volume = (WIDER * factors[place]).diagonal(dim1=-2, dim2=-1).log().sum(-1)
        density = torch.logsumexp(shares[place].log() - 0.5 * scaled.square().sum(-1) - volume, dim=1)
        weight = (wanted[place] - density).softmax(0).cpu()
        effective.append(1 / weight.square().sum())
        # Evenly spaced places along the weights' sum: a code that weighs twice as much is drawn twice as often.
        even = (torch.arange(wanted_count) + draws.uniform(1)) / wanted_count
        kept.append(torch.searchsorted(weight.cumsum(0), even).clamp(max=count - 1))
    return torch.stack([candidates[place, rows.to(device)] for place, rows in enumerate(kept)]), torch.stack(effective)
