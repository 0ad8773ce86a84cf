"""What comes after the last snapshot: a mixture of damped trends of the weights.

Beyond the last snapshot nothing is observed, and an equation that is solved on leaves the data within an interval or
two. A forecast here is a mixture of densities at the weights w(T) + v tau (1 - exp(-D / tau)), a time D after the last
snapshot T, where v is the velocity of the weights over the last interval. A damping tau of 0 is the last law kept
(persistence); the larger tau, the longer the motion goes on before it comes to rest (the damped trend of Gardner and
McKenzie, Management Science 31, 1985). The components part as D grows, so that the mixture widens; every one of them
stays within |v| tau of the last law, so that none leaves it for good.

The shares of the mixture are what makes the samples of later snapshots most likely when they are forecast from each
earlier one in turn: the likelihood of mixture weights, by expectation and maximisation (Dempster, Laird and Rubin, J.
Royal Statistical Society B 39, 1977), under a prior that speaks for persistence. Later origins count more, since
systems that relax move otherwise at the end than at the beginning.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from weightcast.core.errors import InputError
from weightcast.core.seeds import derive_seed
from weightcast.evolution.density import StackedDensity

RELATIVE_DAMPINGS = (0.0, 0.5, 1.0, 2.0, 4.0)
"""Dampings, in lengths of the last interval between snapshots."""
PRIOR_OF_PERSISTENCE = 1.0
"""Snapshots forecast in full agreement with persistence that the prior is worth."""
PRIOR_OF_TRENDS = 0.25
"""The same of all trends together: what data do not speak about stays open, and the forecast widens with time."""
HALVED = 0.5
"""How much less each origin counts than the one after it."""
SCORED_SAMPLES = 300
"""Most samples of a snapshot whose likelihood is taken."""
LEAST_LOG_LIKELIHOOD = -1e3
"""Below this, samples are equally impossible: a density of counts may give a probability of 0."""
ITERATIONS = 200


@dataclass(frozen=True)
class DampedTrends:
    """How a path of weights goes on.

    Attributes:
        dampings: tau of each component [component], in the data's unit of time; the first is 0.
        shares: of the mixture [component], which sum to 1.
    """

    dampings: tuple[float, ...]
    shares: tuple[float, ...]

    def weights(self, last: Tensor, velocity: Tensor, ahead: float) -> Tensor:
        """Weights of each component.

        Args:
            last: at the last snapshot [parameter].
            velocity: over the last interval [parameter], by the data's unit of time.
            ahead: how long after the last snapshot.

        Returns:
            [component, parameter].
        """
        reached = [tau * (1.0 - np.exp(-ahead / tau)) if tau > 0 else 0.0 for tau in self.dampings]
        return last + torch.tensor(reached, dtype=last.dtype, device=last.device)[:, None] * velocity

    def describe(self) -> dict[str, Any]:
        """JSON values to make it again from."""
        return {"dampings": list(self.dampings), "shares": list(self.shares)}

    @classmethod
    def described(cls, values: Any) -> DampedTrends:
        """Make it again from what :meth:`describe` gave.

        Raises:
            InputError: dampings and shares are not as many, or no shares.
        """
        dampings, shares = (tuple(float(value) for value in values[name]) for name in ("dampings", "shares"))
        if len(dampings) != len(shares) or min(*dampings, *shares) < 0 or abs(sum(shares) - 1) > 1e-6:
            raise InputError("forecast: expected a share for each damping, none below 0, and 1 together")
        return cls(dampings, shares)

    @classmethod
    def unlearned(cls, times: Sequence[float]) -> DampedTrends:
        """The prior's shares, where nothing was forecast, for snapshots at these times."""
        shares = _prior() / _prior().sum()
        return cls(_dampings(times), tuple(float(share) for share in shares))


def last_velocity(times: NDArray[np.float64], weights: Tensor) -> Tensor:
    """Velocity [parameter] of a path of weights [snapshot, parameter] over its last interval."""
    return (weights[-1] - weights[-2]) / float(times[-1] - times[-2])


@torch.no_grad()
def fit_damped_trends(
    density: StackedDensity,
    times: NDArray[np.float64],
    weights: Tensor,
    samples: Sequence[NDArray[np.float64]],
    seed: int,
) -> DampedTrends:
    """Shares of the dampings, from forecasts of each snapshot from the ones before it.

    Two snapshots leave nothing to forecast: then the shares are the prior's.

    Args:
        density: the architecture.
        times: of the snapshots [snapshot], increasing.
        weights: of the path at these times [snapshot, parameter].
        samples: of each snapshot that training saw [sample, dimension], in the data's units.
        seed: of the choice of samples where there are many.
    """
    count = len(times)
    chosen = [_some(part, seed, place) for place, part in enumerate(samples)]
    scores, importance = [], []
    for origin in range(1, count - 1):
        trends = DampedTrends.unlearned(times[: origin + 1].tolist())
        velocity = last_velocity(times[: origin + 1], weights[: origin + 1])
        for later in range(origin + 1, count):
            moved = trends.weights(weights[origin], velocity, float(times[later] - times[origin]))
            drawn = torch.from_numpy(chosen[later]).to(weights.device).expand(len(moved), -1, -1)
            found = density.log_prob(moved, drawn).T.cpu().double().numpy()
            scores.append(np.nan_to_num(found, nan=LEAST_LOG_LIKELIHOOD).clip(min=LEAST_LOG_LIKELIHOOD))
            importance.append(HALVED ** (count - 2 - origin))
    shares = _mixture_shares(scores, importance, _prior())
    return DampedTrends(_dampings(times.tolist()), tuple(float(share) for share in shares))


def _dampings(times: Sequence[float]) -> tuple[float, ...]:
    return tuple(relative * float(times[-1] - times[-2]) for relative in RELATIVE_DAMPINGS)


def _prior() -> NDArray[np.float64]:
    """Counts of snapshots [component] that the prior is worth."""
    others = len(RELATIVE_DAMPINGS) - 1
    return np.array([PRIOR_OF_PERSISTENCE, *[PRIOR_OF_TRENDS / others] * others])


def _mixture_shares(
    scores: Sequence[NDArray[np.float64]], importance: Sequence[float], prior: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Most probable shares [component] of log densities [sample, component] of several snapshots.

    Each snapshot counts as its importance says, however many samples it has: that one law moved as it did is one
    observation of a motion.
    """
    shares = prior / prior.sum()
    for _ in range(ITERATIONS if scores else 0):
        counts = prior.copy()
        for found, much in zip(scores, importance, strict=True):
            joint = found + np.log(shares)
            belonging = np.exp(joint - joint.max(1, keepdims=True))
            counts += much * (belonging / belonging.sum(1, keepdims=True)).mean(0)
        shares = counts / counts.sum()
    return shares


def _some(samples: NDArray[np.float64], seed: int, place: int) -> NDArray[np.float64]:
    if len(samples) <= SCORED_SAMPLES:
        return samples
    random = np.random.default_rng(derive_seed(seed, "forecast", place))
    return samples[random.choice(len(samples), SCORED_SAMPLES, replace=False)]
