"""Training of the network that reads samples: on visible environments, and on made-up ones whose codes are known.

Two dozen visible environments are few to learn from how samples tell codes, but the trained map can make as many as are
wanted: it draws samples of codes that the prior says (amortised inference, as simulation-based inference has it:
Papamakarios and Murray, NeurIPS 2016). Whether that helps depends on how near the map is to the truth, so visible
environments stand beside them. The map itself is not trained on.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.environments.code_priors import CodePrior
from weightcast.families.config.sample_encoder import SampleEncoderSettings
from weightcast.families.inference import ShownSamples
from weightcast.families.sample_encoder import SampleEncoder
from weightcast.families.snapshots import FamilySnapshots
from weightcast.families.trained_family import TrainedFamily

POOL = 4
"""Times as many samples of a visible snapshot are kept to draw from as are shown at most."""


@dataclass(frozen=True)
class CodedSamples:
    """Environments whose samples and codes are known.

    Attributes:
        samples: of each.
        codes: whitened by the visible codes [map, environment, number].
        known: whether the code is one of the map [map, environment] bool.
    """

    samples: ShownSamples
    codes: Tensor
    known: Tensor


def with_encoder(
    run: Run,
    family: TrainedFamily,
    snapshots: FamilySnapshots,
    settings: SampleEncoderSettings,
    seed: int,
    name: str,
) -> tuple[TrainedFamily, float]:
    """The family with a network that reads samples, and the seconds that its training took.

    Args:
        run: that it is trained in.
        family: trained, told codes, with the prior that made-up environments are drawn from.
        snapshots: of all environments, of which the family's own are read.
        settings: of the network and its training.
        seed: of first weights and draws.
        name: of the training, its own within the stage.

    Raises:
        TrainingDiverged: a loss or a gradient is not finite.
    """
    visible = visible_examples(family, snapshots, settings, derive_seed(seed, "pool"))
    pools = [visible]
    made_in_step = round(settings.made_share * settings.members)
    if made_in_step:
        pools.append(made_up(family, visible.samples, settings, derive_seed(seed, "made up")))
    numbers = [settings.members - made_in_step, made_in_step]
    with run.initialised(derive_seed(seed, "encoder")):
        encoder = SampleEncoder(
            visible.samples.values.shape[-1], len(family.members), family.codes.shape[1], settings.width
        )
    encoder.standardise(visible.samples.values[visible.samples.there])
    encoder = run.place(encoder)

    def loss(step: int) -> Tensor:
        draws = Draws("cpu", seed, "step", step)
        total = torch.zeros((), device=run.device)
        for pool, number in zip(pools, numbers, strict=False):
            if number:
                rows = draws.integers(len(pool.samples.times), number)
                total = total + _error(run, family, encoder, pool, rows, settings, draws) * number
        return total / settings.members

    result = run.fit(list(encoder.parameters()), loss, settings.training, name=name)
    return replace(family, encoder=encoder.requires_grad_(False).eval()), result.seconds


def visible_examples(
    family: TrainedFamily, snapshots: FamilySnapshots, settings: SampleEncoderSettings, seed: int
) -> CodedSamples:
    """The family's own environments, of what training saw of them, with their learned codes under every map."""
    found = []
    for id in family.ids:
        one = snapshots.environments[id]
        positions = [position for position, seen in enumerate(one.observed) if seen]
        chosen = [
            one.train[position][
                Draws("cpu", seed, id, position)
                .permutation(len(one.train[position]))[: POOL * settings.samples]
                .numpy()
            ]
            for position in positions
        ]
        found.append(([float(one.times[position]) for position in positions], chosen))
    codes = torch.stack([whitening(member).whitened(member.codes).cpu() for member in family.members])
    return CodedSamples(ShownSamples.of(found), codes, torch.ones(codes.shape[:2], dtype=torch.bool))


@torch.no_grad()
def made_up(family: TrainedFamily, visible: ShownSamples, settings: SampleEncoderSettings, seed: int) -> CodedSamples:
    """Environments that the family's prior and maps make: as many of each map, samples at times of visible snapshots.

    Args:
        family: trained, told codes.
        visible: samples of the visible environments, at whose times those of the made-up ones lie.
        settings: how many, of how many snapshots and samples.
        seed: of the draws.
    """
    members = family.members
    each = -(-settings.made // len(members))
    times_there = visible.times[visible.there.any(-1)]
    times, values = [], []
    codes = torch.zeros(len(members), each * len(members), family.codes.shape[1])
    known = torch.zeros(codes.shape[:2], dtype=torch.bool)
    for place, member in enumerate(members):
        draws = Draws("cpu", seed, place)
        drawn = drawn_codes(member.prior, each, draws)
        own = slice(place * each, (place + 1) * each)
        codes[place, own] = whitening(member).whitened(drawn).cpu()
        known[place, own] = True
        at = times_there[draws.integers(len(times_there), each, settings.snapshots)]
        weights = member.weights(at.flatten().to(drawn.device), drawn.repeat_interleave(settings.snapshots, 0))
        samples = member.density.sample(weights, settings.samples, derive_seed(seed, "samples", place))
        times.append(at)
        values.append(samples.cpu().unflatten(0, (each, settings.snapshots)))
    shown = torch.cat(values)
    # A law that runs away gives samples that are no numbers: such an environment shows nothing.
    finite = shown.isfinite().all(-1)
    return CodedSamples(ShownSamples(torch.cat(times), shown.nan_to_num(0.0, 0.0, 0.0), finite), codes, known)


def drawn_codes(prior: CodePrior, count: int, draws: Draws) -> Tensor:
    """Codes of a prior, of each of its parts as often as its share says [code, number]."""
    shares = prior.log_shares.exp().cpu()
    part = torch.searchsorted(shares.cumsum(0) / shares.sum(), draws.uniform(count)).clamp(max=len(shares) - 1)
    of_part = prior.parts(part.to(prior.mean.device))
    normal = draws.normal(count, len(prior.mean)).to(prior.mean.device)
    return of_part.codes(normal)


def whitening(member: TrainedFamily) -> CodePrior:
    """The normal distribution of a map's visible codes, in whose units the network says codes."""
    return CodePrior.of(member.codes, 1.0)


def drawn_part(pool: ShownSamples, rows: Tensor, settings: SampleEncoderSettings, draws: Draws) -> ShownSamples:
    """Draw a random number of snapshots of some environments, and a random number of samples of these, few or many.

    How many samples there are at most is one number for all of them, so that a step with few costs as little.

    Args:
        pool: all that is known.
        rows: which environments, long [member].
        settings: the most that are shown.
        draws: source of the choices.
    """
    there = pool.there[rows]
    present = there.any(-1)  # [member, snapshot]
    most = min(settings.snapshots, present.shape[1])
    wanted = 1 + (draws.uniform(len(rows)) * present.sum(1).clamp(max=most)).long()
    order = draws.uniform(*present.shape).where(present, 2.0).argsort(1)[:, :most]
    kept = torch.arange(most) < wanted.clamp(max=most)[:, None]
    own = torch.arange(len(rows))[:, None]
    there = there[own, order] & kept[..., None]  # [member, snapshot, sample]
    number = int(math.exp(float(draws.uniform(1)) * math.log(settings.samples + 1)))
    number = max(1, min(number, settings.samples, there.shape[-1]))
    count = (number * (1 - 0.5 * draws.uniform(*there.shape[:2]))).ceil()  # half as many of a snapshot, or all of these
    ranks = draws.uniform(*there.shape).where(there, 2.0).topk(number, dim=-1, largest=False).indices
    values = pool.values[rows][own, order].gather(2, ranks[..., None].expand(*ranks.shape, pool.values.shape[-1]))
    there = there.gather(2, ranks) & (torch.arange(number) < count[..., None])
    return ShownSamples(pool.times[rows][own, order], values, there)


def _error(
    run: Run,
    family: TrainedFamily,
    encoder: SampleEncoder,
    pool: CodedSamples,
    rows: Tensor,
    settings: SampleEncoderSettings,
    draws: Draws,
) -> Tensor:
    """Mean negative log-density of the codes, but for a constant, a number of a code."""
    shown = drawn_part(pool.samples, rows, settings, draws).to(run.device)
    mean, deviation = encoder(family.scaled(shown.times), shown.values, shown.there)
    wanted, known = run.place(pool.codes[:, rows]), run.place(pool.known[:, rows])
    known = known & shown.there.any(-1).any(-1)
    error = (0.5 * ((wanted - mean) / deviation).square() + deviation.log()).mean(-1)  # [map, member]
    return torch.where(known, error, 0.0).sum() / known.sum().clamp(min=1)
