"""Whether samples that are shown are such as the law that is inferred from them would give.

A search for a code always ends somewhere: of samples that no path explains, at the path that explains them least
badly, and what little they leave open makes bands that are narrow and mean nothing. So the mean log-density of what is
shown at a time, under the most probable code, is compared with that of as many samples of this law itself. The law is
learned, and no environment's own samples fit its law to the digit: by how much those of visible environments miss
theirs is allowed on top.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from weightcast.core.draws import Draws
from weightcast.evolution.density import time_key
from weightcast.families.bands import path_weights
from weightcast.families.public import InferredLaw
from weightcast.families.snapshots import EnvironmentSnapshots, Samples
from weightcast.families.trained_family import TrainedFamily

DRAWN = 1000
"""Samples of a law that stand for it."""
OWN = 200
"""Samples of a visible environment's snapshot, at most, that are compared with its law."""
SETS = 4000
"""Sets of as many samples as are shown, drawn of these."""
SELDOM = 5e-4
"""Part of such sets beyond either end of what still fits."""
ROOM = 0.05
"""Nats by which samples may always miss: of a law that is one point next to nothing would be too much."""


@dataclass(frozen=True)
class Misfit:
    """Samples of one time beside the law that is inferred from them; all in nats a sample.

    Attributes:
        time: in the data's unit.
        error: mean negative log-density of the samples.
        low, high: between which that of as many samples of the law itself would lie, with what visible environments'
            own samples miss their laws by.
    """

    time: float
    error: float
    low: float
    high: float

    @property
    def fits(self) -> bool:
        """Whether the samples are such as the law gives: neither unlikely, nor more alike than it ever makes them."""
        return self.low <= self.error <= self.high


@dataclass(frozen=True)
class UsualMisfit:
    """What own samples of visible environments miss their laws by, in nats a sample.

    Attributes:
        below: the most that they are likelier than the law's own samples, from 0.
        above: the most that they are less likely, from 0.
    """

    below: float
    above: float


@torch.no_grad()
def usual_misfit(
    family: TrainedFamily, visible: Mapping[str, EnvironmentSnapshots], times: Sequence[float]
) -> UsualMisfit:
    """Compare samples of every visible environment with its learned law.

    Args:
        family: trained.
        visible: the samples that it was trained on, by id.
        times: that samples are shown at; of each environment the snapshots nearest to these count.
    """
    differences = []
    for id, code in zip(family.ids, family.codes, strict=True):
        own = visible[id]
        seen = np.flatnonzero(own.observed)
        for place in {int(seen[np.abs(own.times[seen] - time).argmin()]) for time in times}:
            samples = own.train[place][:OWN]
            weights = path_weights(family, code, [float(own.times[place])])
            drawn = family.density.sample(weights, OWN, 0, [time_key(float(own.times[place]))])[0]
            of_law = family.density.log_prob(weights, drawn[None])[0]
            differences.append(float(of_law.mean()) - _mean_log_prob(family, weights, samples))
    return UsualMisfit(max(0.0, -min(differences)), max(0.0, *differences))


@torch.no_grad()
def misfits(law: InferredLaw, shown: Mapping[float, Samples], usual: UsualMisfit, seed: int = 0) -> list[Misfit]:
    """Compare what is shown of an environment with the law that was inferred from it, time by time.

    Args:
        law: inferred from these samples; its most probable code counts.
        shown: samples [sample, dimension] by time.
        usual: what visible environments miss by.
        seed: of the draws.
    """
    family = law.map_of_code or law.family
    found = []
    for time, samples in sorted(shown.items()):
        weights = path_weights(family, law.code, [time])
        drawn = family.density.sample(weights, DRAWN, seed, [f"misfit {time_key(time)}"])
        errors = -family.density.log_prob(weights, drawn)[0].double().cpu().numpy()
        low, high = _range_of_means(errors, len(samples), seed)
        error = -_mean_log_prob(family, weights, samples)
        found.append(Misfit(time, error, low - usual.below - ROOM, high + usual.above + ROOM))
    return found


def _mean_log_prob(family: TrainedFamily, weights: torch.Tensor, samples: Samples) -> float:
    values = torch.from_numpy(samples).to(weights.device)
    return float(family.density.log_prob(weights, values[None])[0].double().mean())


def _range_of_means(errors: NDArray[np.float64], count: int, seed: int) -> tuple[float, float]:
    """Between which means of so many of these errors lie, but for very few of the sets that are drawn."""
    draws = Draws("cpu", seed, "misfit")
    means = np.empty(SETS)
    # As many at once as make a set of any size small in memory.
    step = max(1, 1_000_000 // count)
    for first in range(0, SETS, step):
        some = min(step, SETS - first)
        places = (draws.uniform(some, count) * len(errors)).long().clamp(max=len(errors) - 1)
        means[first : first + some] = errors[places.numpy()].mean(1)
    low, high = np.quantile(means, [SELDOM, 1 - SELDOM])
    return float(low), float(high)
