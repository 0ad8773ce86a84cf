"""The code of an environment of which only samples at a few times are known, and what these leave open.

A code is sought by the likelihood of the samples, tempered, under the prior of the visible codes, from several starts,
of all environments in one batch. What is left open is drawn by sampling importance resampling (Rubin, 1988): codes are
proposed from normal distributions around the solutions (Laplace's approximation, widened) and kept by their posterior
probability over that of being proposed.
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
"""Numbers that the outputs of densities have at once, while the likelihoods of codes are computed."""


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
        mode: most probable code [environment, number].
        draws: codes of the ensemble [environment, draw, number].
        effective: how many independent draws the proposals are worth [environment].
    """

    mode: Tensor
    draws: Tensor
    effective: Tensor


def log_likelihood(family: TrainedFamily, codes: Tensor, shown: ShownSamples) -> Tensor:
    """Log-likelihood of the shown samples.

    Args:
        family: trained.
        codes: [environment, candidate, number].
        shown: of the environments.

    Returns:
        [environment, candidate].
    """
    environments, _candidates, _ = codes.shape
    snapshots, samples, dimensions = shown.values.shape[1:]
    size = max(1, AT_ONCE // (environments * snapshots * samples * dimensions * family.density.space.outputs))
    parts = []
    for some in codes.split(size, dim=1):
        count = some.shape[1]
        times = shown.times[:, None].expand(-1, count, -1).reshape(-1)
        each = some[:, :, None].expand(-1, -1, snapshots, -1).reshape(len(times), -1)
        values = shown.values[:, None].expand(-1, count, -1, -1, -1).reshape(len(times), samples, dimensions)
        found = family.density.log_prob(family.weights(times, each), values)
        found = found.unflatten(0, (environments, count, snapshots)).where(shown.there[:, None], 0.0)
        parts.append(found.sum((-2, -1)))
    return torch.cat(parts, dim=1)


def infer_codes(
    family: TrainedFamily,
    shown: ShownSamples,
    settings: InferenceSettings,
    seed: int,
    keys: Sequence[str],
    *,
    temperature: float | None = None,
    prior: CodePrior | None = None,
) -> Posterior:
    """Find codes of environments from samples that are shown of them.

    Args:
        family: trained, told codes.
        shown: of the environments, on the family's device.
        settings: of the search and of the ensemble.
        seed: of the draws.
        keys: what tells each environment from others: its draws depend on the seed, its key and its samples alone.
        temperature: what the likelihood is divided by; the family's own if None.
        prior: of the codes; the family's own if None.
    """
    prior = family.prior if prior is None else prior
    temperature = family.temperature if temperature is None else temperature

    def energy(whitened: Tensor) -> Tensor:
        """Negative logarithm of the posterior [environment, candidate], but for a constant."""
        found = log_likelihood(family, prior.codes(whitened), shown) / temperature
        return -prior.log_whitened(whitened) - found

    starts = _starts(family, shown, prior, temperature, settings.starts)
    solutions = _descend(energy, starts, settings)
    with torch.no_grad():
        energies = energy(solutions)
    best = energies.argmin(1)
    mode = solutions[torch.arange(len(best)), best]
    spread = _laplace(energy, solutions)
    draws, effective = _resample(
        energy, solutions, energies, spread, settings, [derive_seed(seed, "posterior", key) for key in keys]
    )
    return Posterior(prior.codes(mode), prior.codes(draws), effective)


@torch.no_grad()
def most_likely_visible(family: TrainedFamily, shown: ShownSamples) -> Tensor:
    """Which visible environment's path explains the shown samples best: position [environment]."""
    codes = family.codes.expand(len(shown.times), -1, -1)
    return log_likelihood(family, codes, shown).argmax(1)


@torch.no_grad()
def _starts(family: TrainedFamily, shown: ShownSamples, prior: CodePrior, temperature: float, count: int) -> Tensor:
    """Whitened codes that searches begin at [environment, start, number]: likely visible ones, the prior's centres."""
    environments = len(shown.times)
    centres = prior.whitened(prior.centres_of_parts).expand(environments, -1, -1)
    visible = prior.whitened(family.codes)
    found = log_likelihood(family, family.codes.expand(environments, -1, -1), shown) / temperature
    probable = found + prior.log_whitened(visible)
    best = probable.topk(min(count - 1, len(visible)), dim=1).indices
    return torch.cat([visible[best], centres], dim=1)


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
    settings: InferenceSettings,
    seeds: Sequence[int],
) -> tuple[Tensor, Tensor]:
    """Draws of the posterior [environment, draw, number], and how many the proposals are worth [environment]."""
    _, starts, numbers = solutions.shape
    device, count = solutions.device, settings.proposals
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
        even = (torch.arange(settings.draws) + draws.uniform(1)) / settings.draws
        kept.append(torch.searchsorted(weight.cumsum(0), even).clamp(max=count - 1))
    return torch.stack([candidates[place, rows.to(device)] for place, rows in enumerate(kept)]), torch.stack(effective)
