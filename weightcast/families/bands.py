"""An ensemble of laws: its mixture, and bands on what the laws say of means and tails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.evolution.density import time_key
from weightcast.families.snapshots import Samples
from weightcast.families.trained_family import TrainedFamily

LEVEL = 0.9
"""Share of an ensemble that a band holds."""
TAIL = 0.95
"""The threshold of a tail: the smallest of the true samples that this share of them does not exceed."""
Array = NDArray[np.float64]


@dataclass(frozen=True)
class Band:
    """Where the middle nine tenths of an ensemble lie.

    Attributes:
        low, median, high: of whatever the ensemble was asked for.
    """

    low: Array
    median: Array
    high: Array

    @classmethod
    def of(cls, values: Array) -> Band:
        """The band of values [draw, ...]."""
        quantiles = np.quantile(values, [(1 - LEVEL) / 2, 0.5, (1 + LEVEL) / 2], axis=0)
        return cls(quantiles[0], quantiles[1], quantiles[2])

    def at(self, *place: int) -> tuple[float, float, float]:
        """Low, median and high at one place."""
        return float(self.low[place]), float(self.median[place]), float(self.high[place])

    def holds(self, truth: Array) -> NDArray[np.bool_]:
        """Whether the band holds each true value."""
        return (truth >= self.low) & (truth <= self.high)


def path_weights(family: TrainedFamily, code: Tensor, times: Sequence[float]) -> Tensor:
    """Weights of the path of one code [number] of the first map at times: [time, weight]."""
    placed = torch.tensor(times, dtype=torch.double, device=code.device)
    return family.weights(placed, code.expand(len(placed), -1))


def ensemble_weights(family: TrainedFamily, times: Sequence[float], codes: Tensor) -> Tensor:
    """Weights of the densities of codes [map, draw, number] at times: [map and draw, time, weight]."""
    maps, draws = codes.shape[:2]
    placed = torch.tensor(times, dtype=torch.double, device=codes.device)
    weights = family.weights_of_all(placed.repeat(maps, draws), codes.repeat_interleave(len(times), 1))
    return weights.flatten(0, 1).unflatten(0, (maps * draws, len(times)))


def ensemble_samples(family: TrainedFamily, times: Sequence[float], codes: Tensor, count: int, seed: int) -> Samples:
    """Samples of the densities of codes [map, draw, number] at each time, [map and draw, time, sample, dimension].

    Those of a code and a time do not depend on which others are wanted.
    """
    weights = ensemble_weights(family, times, codes)
    keys = [f"{draw} {time_key(float(time))}" for draw in range(len(weights)) for time in times]
    drawn = family.density.sample(weights.flatten(0, 1), count, seed, keys)
    return drawn.unflatten(0, weights.shape[:2]).cpu().numpy()


def mixed(samples: Samples, count: int) -> Samples:
    """As many samples of the mixture of an ensemble as are wanted, as evenly of its members as can be.

    Args:
        samples: [draw, ..., sample, dimension], independent.
        count: at most those of all members together.

    Returns:
        [..., count, dimension].
    """
    draws = len(samples)
    each = -(-count // draws)
    chosen = np.moveaxis(samples[..., :each, :], 0, -3)  # [..., draw, each, dimension]
    # The first of every member, then the second of every member: what is cut off is one sample of some members.
    flat = np.swapaxes(chosen, -3, -2).reshape(*chosen.shape[:-3], each * draws, chosen.shape[-1])
    return np.ascontiguousarray(flat[..., :count, :])


def ensemble_log_growth(
    family: TrainedFamily,
    codes: Tensor,
    times: Sequence[float],
    since: float,
    told: Mapping[float, float],
    seed: int,
) -> Array:
    """The logarithm of the mass over that at a time, as codes and what they leave open have it [map and draw, time].

    Args:
        family: whose populations' sizes are known.
        codes: of the ensemble [map, draw, number].
        times: wanted.
        since: the time whose mass is 1.
        told: masses by time.
        seed: of the draws.
    """
    grown = []
    for place, (one, own) in enumerate(zip(family.members, codes.double().cpu().numpy(), strict=True)):
        assert one.masses is not None
        # A single code is a law that is known, and no ensemble.
        several = len(own) > 1
        draws = Draws("cpu", seed, place).normal(len(own), one.masses.coefficients).double().numpy()
        grown.append(one.masses.log_growth(own, times, since, told, draws if several else None))
    return np.concatenate(grown)


@torch.no_grad()
def mixture_log_prob(family: TrainedFamily, time: float, codes: Tensor, values: Tensor) -> Tensor:
    """Log density of the mixture of an ensemble at a time.

    Args:
        family: trained.
        time: in the data's unit.
        codes: [map, draw, number].
        values: [sample, dimension], in the data's units.

    Returns:
        [sample].
    """
    weights = ensemble_weights(family, [time], codes)[:, 0]
    found = family.density.log_prob(weights, values.expand(len(weights), -1, -1))
    return found.logsumexp(0) - np.log(len(weights))


def thresholds(truth: Samples) -> Array:
    """Thresholds of the upper tails of samples [sample, dimension]: [dimension]."""
    return np.asarray(np.quantile(truth, TAIL, axis=0, method="inverted_cdf"), dtype=np.float64)
