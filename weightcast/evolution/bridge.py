"""Samples between two snapshots: pairs by optimal transport, joined by a random bridge.

Weights that are interpolated between two densities can pass through densities far from both: between a point mass and
a broad law, for instance, softmax logits that move in a straight line keep most of the mass at the point and let the
broad law rise beneath it. The theory's energy is that of the flow of *states* (Benamou and Brenier, Numer. Math. 84,
2000), and its minimiser between two snapshots is known: displacement along the optimal coupling. Samples of it, made
into a process by a bridge between the two ends of each pair, are data for the likelihood at times without a snapshot.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import ot
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.seeds import derive_seed
from weightcast.evolution.config.anchors import BridgeSettings
from weightcast.evolution.displacement import Coupling, DisplacementInterpolation
from weightcast.evolution.jump_laws import JumpLaw, jump_laws

LEAST_MASS = 1e-9
"""Pairs with less than this part of the largest pair's mass are left out."""


@dataclass(frozen=True)
class _Rows:
    """The rows that samples at one anchor are drawn from.

    Attributes:
        start: [row, dimension].
        change: [row, dimension], on the way to the next snapshot.
        mass: [row], in any unit.
        share: of the way that lies behind, 0 to 1.
    """

    start: NDArray[np.float64]
    change: NDArray[np.float64]
    mass: NDArray[np.float64]
    share: float

    @classmethod
    def at_snapshot(cls, samples: NDArray[np.float64]) -> _Rows:
        return cls(samples, np.zeros_like(samples), np.ones(len(samples)), 0.0)


@dataclass(frozen=True)
class _Coupled:
    """Two snapshots joined: pairs that move, and mass that dies at the start or is born at the end.

    Attributes:
        start, end: [pair, dimension].
        leaving, arriving: mass of each pair [pair] at its start and at its end.
        dying: [sample, dimension] of the first snapshot, and their masses ``lost`` [sample].
        born: [sample, dimension] of the second, and their masses ``gained`` [sample].
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    leaving: NDArray[np.float64]
    arriving: NDArray[np.float64]
    dying: NDArray[np.float64]
    lost: NDArray[np.float64]
    born: NDArray[np.float64]
    gained: NDArray[np.float64]

    def between(self, share: float) -> _Rows:
        """The rows after this share of the way; growth, deaths and births are spread evenly over it."""
        resting = np.concatenate([self.dying, self.born])
        return _Rows(
            np.concatenate([self.start, resting]),
            np.concatenate([self.end - self.start, np.zeros_like(resting)]),
            np.concatenate(
                [(1 - share) * self.leaving + share * self.arriving, (1 - share) * self.lost, share * self.gained]
            ),
            share,
        )


class Bridge:
    """Training samples at the snapshots and, evenly spaced, between them.

    For counts, of the steps between the ends of a pair a binomial share has been taken: the bridge of a process whose
    jumps come at constant rates, exact for independent arrivals from a point; or, with ``settings.jumps: thinned``, as
    :mod:`weightcast.evolution.jump_laws` says, which holds for deaths and between laws that both have a spread. For
    real states the straight line, and around it a Brownian bridge of the diffusion ``settings.noise``.

    With ``settings.growth`` the number of samples of a snapshot, or its mass where that is stated, is taken for the
    size of a population that grows and dies as it moves: the coupling is that of unbalanced optimal transport (Chizat
    et al., "Scaling algorithms for unbalanced optimal transport problems", Mathematics of Computation 87, 2018).

    Attributes:
        times: [anchor], with the snapshots' own among them.
        snapshot_positions: positions of the snapshots among them.
    """

    def __init__(
        self,
        times: NDArray[np.float64],
        samples: Sequence[NDArray[np.float64]],
        counts: bool,
        settings: BridgeSettings,
        seed: int,
        masses: NDArray[np.float64] | None = None,
    ) -> None:
        """Pair the samples.

        Args:
            times: of the snapshots [snapshot], increasing.
            samples: of each [sample, dimension].
            counts: whether the state is made of whole numbers.
            settings: anchors an interval, most pairs, noise.
            seed: of the choice of pairs where there are more samples than that.
            masses: sizes of the population at the snapshots [snapshot], in any unit; None: their numbers of samples.

        Raises:
            RuntimeError: the optimal transport did not converge.
        """
        self._counts = counts
        parts = settings.per_interval
        coupled = _couple(times, samples, settings, seed, masses) if parts > 1 else None
        laws = _jump_laws(times, samples, coupled, settings) if counts and coupled is not None else None
        taken: list[NDArray[np.float64]] = []
        free: list[NDArray[np.float64]] = []
        rows: list[_Rows] = []
        refined: list[float] = []
        for interval, samples_now in enumerate(samples):
            rows.append(_Rows.at_snapshot(samples_now))
            refined.append(float(times[interval]))
            taken.append(np.zeros(samples_now.shape[1]))
            free.append(np.ones(samples_now.shape[1]))
            if interval + 1 == len(times) or coupled is None:
                continue
            pairs = coupled(interval)
            for part in range(1, parts):
                share = part / parts
                rows.append(pairs.between(share))
                taken.append(np.full(samples_now.shape[1], share) if laws is None else laws[interval].share(share))
                free.append(np.ones(samples_now.shape[1]) if laws is None else laws[interval].free(share))
                refined.append(float(times[interval] + share * (times[interval + 1] - times[interval])))

        self.times = np.array(refined)
        self.snapshot_positions = list(range(0, len(refined), parts))
        self._start = _padded([row.start for row in rows])
        self._change = _padded([row.change for row in rows])
        self._cumulative = _cumulative([row.mass for row in rows])
        shares = np.array([row.share for row in rows])
        self._share = torch.from_numpy(np.array(taken))
        self._free = None if laws is None else torch.from_numpy(np.array(free))
        spacing = np.append(np.repeat(np.diff(times), parts), 0.0)
        deviation = np.concatenate(list(samples)).std(0)
        amount = np.sqrt(shares * (1 - shares) * spacing / (times[-1] - times[0]))
        self._noise = torch.from_numpy(settings.noise * amount[:, None, None] * deviation)

    def draw(self, batch: int, seed: int) -> Tensor:
        """Fresh samples at every anchor: [anchor, batch, dimension], in the data's units.

        They are random numbers like any others: drawn on the CPU, and moved to where they are needed.
        """
        draws = Draws("cpu", seed)
        places = draws.uniform(len(self._cumulative), batch, dtype=torch.float64)
        row = torch.searchsorted(self._cumulative, places, right=True)  # pairs are drawn by their mass
        index = row[..., None].expand(-1, -1, self._start.shape[-1])
        start, change = self._start.gather(1, index), self._change.gather(1, index)
        share = self._share[:, None].expand(change.shape).to(change.dtype)
        if self._counts:
            steps = torch.binomial(change.abs(), share, generator=draws.generator)
            if self._free is not None:
                even = (share * change.abs() + draws.uniform(*change.shape, dtype=torch.float64)).floor()
                chosen = draws.uniform(*change.shape, dtype=torch.float64) < self._free[:, None]
                steps = torch.where(chosen, steps, even)
            return start + change.sign() * steps
        between = start + share * change
        if bool((self._noise > 0).any()):
            between = between + self._noise * draws.normal(*change.shape, dtype=change.dtype)
        return between


def _couple(
    times: NDArray[np.float64],
    samples: Sequence[NDArray[np.float64]],
    settings: BridgeSettings,
    seed: int,
    masses: NDArray[np.float64] | None,
) -> Callable[[int], _Coupled]:
    """How pairs of an interval's two snapshots are found."""
    if settings.growth:
        sizes = np.array([len(part) for part in samples]) if masses is None else masses
        return lambda interval: _grown(
            samples[interval], samples[interval + 1], float(sizes[interval + 1] / sizes[interval]), settings, seed
        )
    displacement = DisplacementInterpolation(times, samples, limit=settings.pairs, seed=seed)

    def balanced(interval: int) -> _Coupled:
        coupling = displacement.coupling(interval)
        nobody, nothing = np.zeros((0, samples[0].shape[1])), np.zeros(0)
        return _Coupled(coupling.start, coupling.end, coupling.mass, coupling.mass, nobody, nothing, nobody, nothing)

    return balanced


def _jump_laws(
    times: NDArray[np.float64],
    samples: Sequence[NDArray[np.float64]],
    coupled: Callable[[int], _Coupled],
    settings: BridgeSettings,
) -> list[JumpLaw] | None:
    """How counts jump in each interval; None where each step comes at a time of its own."""
    if settings.jumps == "free":
        return None
    pairs = [coupled(interval) for interval in range(len(times) - 1)]
    return jump_laws(times, samples, [Coupling(pair.start, pair.end, pair.leaving) for pair in pairs])


def _grown(
    start: NDArray[np.float64], end: NDArray[np.float64], growth: float, settings: BridgeSettings, seed: int
) -> _Coupled:
    """Pairs, deaths and births between populations of which the second is ``growth`` times as large."""
    found = unbalanced_plan(start, end, growth, settings, seed)
    start, end, before, after, plan = found.start, found.end, found.before, found.after, found.plan
    # The plan may move more than there is: then a pair leaves with less than that, and grows on the way; or it arrives
    # with less. With deaths and births, both ends have exactly their own masses.
    leaving = plan * np.minimum(1.0, before / np.maximum(plan.sum(1), np.finfo(float).tiny))[:, None]
    arriving = plan * np.minimum(1.0, after / np.maximum(plan.sum(0), np.finfo(float).tiny))
    first, second = np.nonzero(plan)
    return _Coupled(
        start[first],
        end[second],
        leaving[first, second],
        arriving[first, second],
        start,
        np.maximum(before - leaving.sum(1), 0.0),
        end,
        np.maximum(after - arriving.sum(0), 0.0),
    )


@dataclass(frozen=True)
class UnbalancedPlan:
    """What unbalanced transport moves between two populations, the first of which has a mass of 1.

    Attributes:
        start, end: samples of both [sample, dimension], at most so many as are paired.
        before, after: their own masses [sample].
        plan: mass that moves from each of the first to each of the second [sample, sample].
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    before: NDArray[np.float64]
    after: NDArray[np.float64]
    plan: NDArray[np.float64]


def unbalanced_plan(
    start: NDArray[np.float64], end: NDArray[np.float64], growth: float, settings: BridgeSettings, seed: int
) -> UnbalancedPlan:
    """Unbalanced transport between two populations, deaths and births priced by ``settings.relaxation``.

    Args:
        start, end: samples of both [sample, dimension].
        growth: how many times the first one's size the second one's is.
        settings: most samples that are paired, the price.
        seed: of the choice among more.
    """
    random = np.random.default_rng(derive_seed(seed, "growth", len(start), len(end)))
    start, end = (
        part if len(part) <= settings.pairs else part[random.choice(len(part), settings.pairs, replace=False)]
        for part in (start, end)
    )
    before, after = np.full(len(start), 1 / len(start)), np.full(len(end), growth / len(end))
    cost = cdist(start, end, "sqeuclidean")
    plan = ot.unbalanced.mm_unbalanced(before, after, cost, reg_m=settings.relaxation * float(cost.mean()), div="kl")
    return UnbalancedPlan(start, end, before, after, np.where(plan > LEAST_MASS * plan.max(), plan, 0.0))


def _cumulative(masses: Sequence[NDArray[np.float64]]) -> Tensor:
    """Masses [n_i] of each -> [part, max n], the share of the mass up to each row; exactly 1 from the last row on."""
    shares = np.ones((len(masses), max(len(part) for part in masses)))
    for row, part in zip(shares, masses, strict=True):
        row[: len(part) - 1] = np.cumsum(part)[:-1] / part.sum()
    return torch.from_numpy(shares)


def _padded(parts: Sequence[NDArray[np.float64]]) -> Tensor:
    """[n_i, dimension] of each -> [part, max n, dimension], zeros after the end."""
    longest = max(len(part) for part in parts)
    padded = np.zeros((len(parts), longest, parts[0].shape[1]))
    for row, part in zip(padded, parts, strict=True):
        row[: len(part)] = part
    return torch.from_numpy(padded)
