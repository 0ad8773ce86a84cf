"""What moves, grows and dies between snapshots: unbalanced couplings, and the velocity and growth rate that they imply.

Snapshots do not say what of a change is motion and what is growth: any velocity goes with a growth rate that explains
the rest. Unbalanced optimal transport settles it by what is least: squared distance, and a price for masses that change
on the way (Chizat et al., "Scaling algorithms for unbalanced optimal transport problems", Mathematics of Computation
87, 2018). Its plan couples each sample with some of the next snapshot. Here both ends of a pair are given what is
really there: a sample's own mass at the first snapshot, and at the second, is shared among its pairs as the plan shares
it. What a pair leaves with and what it arrives with then differ by a factor that depends smoothly on both ends (the
exponential of the transport's two potentials), and the pair's rate is the logarithm of that factor by its time. Along
the pair the mass grows at this rate; velocity and growth rate at a point are means over the pairs that pass there,
weighted by their mass.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from scipy.spatial.distance import cdist

from weightcast.core.artifacts import load_artifact, save_artifact, understood
from weightcast.core.errors import InputError

KIND = "couplings"
NEIGHBOURS = 12
"""Samples whose mass the pairs have together that a value at a point is a mean over."""
MOST_NEIGHBOURS = 1024
"""Of these pairs, where a sample has very many."""
AT_ONCE = 4_000_000
"""Distances that are held at once."""
_PAIRS = ("start", "end", "leaving", "arriving")


@dataclass(frozen=True)
class Pairs:
    """What passes between two neighbouring snapshots.

    Attributes:
        start, end: samples that are joined [pair, dimension], in the data's units.
        leaving, arriving: mass of each pair at both ends [pair], above 0, in that of the first of the two snapshots.
    """

    start: NDArray[np.float64]
    end: NDArray[np.float64]
    leaving: NDArray[np.float64]
    arriving: NDArray[np.float64]

    @property
    def growth(self) -> NDArray[np.float64]:
        """Logarithm of the factor by which the mass of each pair grows on its way [pair]."""
        return np.log(self.arriving / self.leaving)

    def mass(self, share: float) -> NDArray[np.float64]:
        """Mass of each pair after this share of the way [pair]."""
        return self.leaving ** (1 - share) * self.arriving**share

    def fewer(self, most: int) -> Pairs:
        """At most so many of them, as many masses of one size as there are left to take: those that have more stay more
        often, none that has more than its turn is left out, and all together weigh as before at both ends.

        Args:
            most: pairs that are kept.
        """
        if len(self.leaving) <= most:
            return self
        middle = np.sqrt(self.leaving * self.arriving)
        places = (np.arange(most) + 0.5) / most
        chosen, times = np.unique(np.searchsorted(np.cumsum(middle) / middle.sum(), places), return_counts=True)
        share = times / middle[chosen]
        leaving, arriving = (share * mass[chosen] for mass in (self.leaving, self.arriving))
        return Pairs(
            self.start[chosen],
            self.end[chosen],
            leaving * (self.leaving.sum() / leaving.sum()),
            arriving * (self.arriving.sum() / arriving.sum()),
        )


@dataclass(frozen=True)
class Couplings:
    """The pairs between all neighbouring snapshots.

    Attributes:
        times: of the snapshots [snapshot], increasing, in the data's unit.
        pairs: of each interval between them.
        metadata: where they come from.
    """

    times: NDArray[np.float64]
    pairs: tuple[Pairs, ...]
    metadata: Mapping[str, Any]

    def growth(self, time: float, points: NDArray[np.float64], rate: float | None = None) -> NDArray[np.float64]:
        """Growth rate at points [point], by the data's unit of time.

        Args:
            time: from the first snapshot to the last one.
            points: [point, dimension], in the data's units.
            rate: growth rate of the whole population at this time, which the mean over the population then has; None:
                that of the pairs.
        """
        pairs, share, length = self._at(time)
        rates, mass = pairs.growth / length, pairs.mass(share)
        shift = 0.0 if rate is None else rate - float(rates @ mass / mass.sum())
        return self._mean(pairs, share, rates[:, None], points)[:, 0] + shift

    def velocity(self, time: float, points: NDArray[np.float64]) -> NDArray[np.float64]:
        """Mean velocity at points [point, dimension], in the data's units.

        Args:
            time: from the first snapshot to the last one.
            points: [point, dimension].
        """
        pairs, share, length = self._at(time)
        return self._mean(pairs, share, (pairs.end - pairs.start) / length, points)

    def fates(
        self, time: float, points: NDArray[np.float64], fate_of: Callable[[NDArray[np.float64]], NDArray[np.int64]]
    ) -> NDArray[np.float64]:
        """Where what is at points ends up at the last snapshot: probabilities [point, fate], which sum to 1.

        They are those of the coupling, passed on from interval to interval: of a cell that moves, not of its
        descendants, so that a fate whose cells divide more is no more probable for that.

        Args:
            time: from the first snapshot to the last one.
            points: [point, dimension], in the data's units.
            fate_of: samples of the last snapshot [sample, dimension] -> their fates, whole numbers from 0 [sample].
        """
        labels = np.asarray(fate_of(self.pairs[-1].end))
        ends = np.eye(int(labels.max()) + 1)[labels]  # [pair, fate]
        interval = self._interval(time)
        for before, after in zip(self.pairs[-2::-1], self.pairs[:0:-1], strict=True):
            if after is self.pairs[interval]:
                break
            ends = self._mean(after, 0.0, ends, before.end)
        pairs, share, _ = self._at(time)
        return self._mean(pairs, share, ends, points)

    def save(self, path: str | Path) -> None:
        """Write as one artifact."""
        tensors = {
            name: torch.from_numpy(np.concatenate([getattr(pairs, name) for pairs in self.pairs])) for name in _PAIRS
        }
        tensors["counts"] = torch.tensor([len(pairs.leaving) for pairs in self.pairs], dtype=torch.float64)
        save_artifact(path, KIND, tensors | {"times": torch.from_numpy(self.times)}, self.metadata)

    @classmethod
    def load(cls, path: str | Path) -> Couplings:
        """Read what :meth:`save` wrote.

        Raises:
            InputError: the file is missing, damaged or of another kind.
        """
        artifact = load_artifact(path, KIND)
        with understood(artifact):
            times, counts = artifact.tensors["times"].numpy(), artifact.tensors["counts"].long().tolist()
            parts = [artifact.tensors[name].split(counts) for name in _PAIRS]
            if (
                times.ndim != 1
                or len(counts) != len(times) - 1
                or not (np.diff(times) > 0).all()
                or min(counts, default=0) < 1
            ):
                raise InputError("tensors: times, counts: expected increasing times, and pairs between each two")
            if not all(bool((mass > 0).all()) for masses in parts[2:] for mass in masses):
                raise InputError("tensors: leaving, arriving: expected masses above 0")
            start, end, *masses = (artifact.tensors[name] for name in _PAIRS)
            if start.ndim != 2 or start.shape != end.shape or any(mass.shape != start.shape[:1] for mass in masses):
                raise InputError("tensors: start, end: expected [pair, dimension] of both, and a mass for each pair")
            pairs = tuple(
                Pairs(*(tensor.numpy() for tensor in of_interval)) for of_interval in zip(*parts, strict=True)
            )
            return cls(times, pairs, artifact.metadata)

    def _at(self, time: float) -> tuple[Pairs, float, float]:
        """The pairs of a time's interval, the share of their way that lies behind, and the interval's length."""
        interval = self._interval(time)
        length = float(self.times[interval + 1] - self.times[interval])
        return self.pairs[interval], (time - float(self.times[interval])) / length, length

    def _interval(self, time: float) -> int:
        """The interval that a time lies in; of a snapshot's own time the one after it."""
        return int(np.clip(np.searchsorted(self.times, time, side="right") - 1, 0, len(self.pairs) - 1))

    def _mean(
        self, pairs: Pairs, share: float, values: NDArray[np.float64], points: NDArray[np.float64]
    ) -> NDArray[np.float64]:
        """Means of values [pair, value] over the pairs nearest to points [point, dimension]: [point, value].

        Distances are in the dimensions' own deviations. How wide a mean is depends on how much passes at the point; a
        pair counts by its mass, and less the farther it is, to nothing at the edge.
        """
        places = pairs.start + share * (pairs.end - pairs.start)
        scale = places.std(0)
        scale[scale == 0] = 1.0
        mass = pairs.mass(share)
        nearest = min(MOST_NEIGHBOURS, len(mass))
        wanted = mass.sum() * min(1.0, NEIGHBOURS / len(np.unique(pairs.start, axis=0)))
        step = max(1, AT_ONCE // len(mass))
        found = np.empty((len(points), values.shape[1]))
        for first in range(0, len(points), step):
            distance = cdist(points[first : first + step] / scale, places / scale)
            near = np.argpartition(distance, nearest - 1, axis=1)[:, :nearest]
            near = np.take_along_axis(near, np.take_along_axis(distance, near, axis=1).argsort(1), axis=1)
            taken = np.take_along_axis(distance, near, axis=1)
            last = np.minimum((np.cumsum(mass[near], axis=1) < wanted).sum(1), nearest - 1)
            edge = np.take_along_axis(taken, last[:, None], axis=1) * (1 + 1e-6) + np.finfo(float).tiny
            weight = mass[near] * (1 - (np.minimum(taken, edge) / edge) ** 2)
            found[first : first + step] = np.einsum("pn,pnv->pv", weight, values[near]) / weight.sum(1, keepdims=True)
        return found
