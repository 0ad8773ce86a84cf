"""What values a dimension of the state can take: its features for the network, and what the network's outputs mean.

Neither kind has weights. Everything is in the data's own units: standardisation is inside.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional as F

from weightcast.evolution.config.density import DensitySettings
from weightcast.samples.snapshots import Snapshots

LEAST_SCALE = 1e-3
"""Smallest standard deviation of a Gaussian of a mixture, in standard deviations of the dimension."""
FARTHEST = 38.0
"""Standard deviations from the mean of a Gaussian, beyond which double precision holds no probability."""
BISECTIONS = 64
"""Of what such tails are apart, down to rounding."""


class StateSpace(Protocol):
    """Values of a dimension. Functions keep all leading axes; ``dimension`` is the position in the data."""

    @property
    def features(self) -> int:
        """Numbers that a value is read as."""

    @property
    def outputs(self) -> int:
        """Numbers that the law of a value is made of."""

    @property
    def dimensions(self) -> int:
        """Number of dimensions of the state."""

    def encode(self, values: Tensor) -> Tensor:
        """[..., dimension] -> [..., dimension, feature]."""

    def log_prob(self, outputs: Tensor, values: Tensor) -> Tensor:
        """Outputs [..., dimension, output], values [..., dimension] -> log density or mass of each."""

    def draw(self, outputs: Tensor, dimension: int, noise: Tensor) -> Tensor:
        """Outputs [..., output] of one dimension -> values [...].

        The noise [2, ...] is evenly distributed from 0 to 1, in double precision: two numbers a value. It is handed in
        rather than drawn here, so that a value depends on its own numbers alone, on any device.
        """

    def encode_one(self, values: Tensor, dimension: int) -> Tensor:
        """Values [...] of one dimension -> [..., feature]."""

    def describe(self) -> dict[str, Any]:
        """JSON values to build it again from."""


@dataclass(frozen=True)
class Counts:
    """Whole numbers 0 to states - 1: read in binary, drawn from a softmax over all of them."""

    states: int
    dimensions: int

    @property
    def features(self) -> int:
        return max(1, math.ceil(math.log2(self.states)))

    @property
    def outputs(self) -> int:
        return self.states

    def encode(self, values: Tensor) -> Tensor:
        return ((values.long()[..., None] >> torch.arange(self.features, device=values.device)) & 1).to(
            torch.get_default_dtype()
        )

    def encode_one(self, values: Tensor, dimension: int) -> Tensor:
        return self.encode(values)

    def log_prob(self, outputs: Tensor, values: Tensor) -> Tensor:
        """Log probability of values; minus infinity for one that is no whole number from 0 to states - 1."""
        index = values.long()
        known = (index == values) & (index >= 0) & (index < self.states)
        found = outputs.log_softmax(-1).gather(-1, index.clamp(0, self.states - 1)[..., None])[..., 0]
        return torch.where(known, found, -torch.inf)

    def draw(self, outputs: Tensor, dimension: int, noise: Tensor) -> Tensor:
        return drawn_position(outputs, noise[0])

    def describe(self) -> dict[str, Any]:
        return {"kind": "counts", "states": self.states, "dimensions": self.dimensions}


@dataclass(frozen=True)
class Reals:
    """Real numbers: read standardised, drawn from a mixture of Gaussians.

    Attributes:
        mean: [dimension], of the data, in its units.
        deviation: [dimension], above 0.
        components: Gaussians of a mixture.
    """

    mean: tuple[float, ...]
    deviation: tuple[float, ...]
    components: int

    @classmethod
    def of(cls, samples: Sequence[NDArray[np.float64]], components: int) -> Reals:
        """Standardised by all samples [sample, dimension] together, every time weighing the same."""
        mean = np.mean([part.mean(0) for part in samples], axis=0)
        variance = np.mean([((part - mean) ** 2).mean(0) for part in samples], axis=0)
        return cls(tuple(mean.tolist()), tuple(np.sqrt(variance).tolist()), components)

    @property
    def dimensions(self) -> int:
        return len(self.mean)

    @property
    def features(self) -> int:
        return 1

    @property
    def outputs(self) -> int:
        return 3 * self.components

    def encode(self, values: Tensor) -> Tensor:
        return self.standardised(values)

    def standardised(self, values: Tensor) -> Tensor:
        """Values [..., dimension] in standard deviations from the mean: [..., dimension, 1]."""
        mean = torch.tensor(self.mean, dtype=torch.float64, device=values.device)  # data may lie far from zero
        return ((values - mean) / torch.tensor(self.deviation, device=values.device))[..., None].float()

    def encode_one(self, values: Tensor, dimension: int) -> Tensor:
        return ((values - self.mean[dimension]) / self.deviation[dimension])[..., None].float()

    def log_prob(self, outputs: Tensor, values: Tensor) -> Tensor:
        logits, means, scales = self._mixture(outputs)
        standardised = self.standardised(values)
        scale = torch.tensor(self.deviation, device=outputs.device)
        normal = -0.5 * ((standardised - means) / scales).square() - scales.log() - 0.5 * math.log(2 * math.pi)
        return torch.logsumexp(logits.log_softmax(-1) + normal, dim=-1) - scale.log()

    def draw(self, outputs: Tensor, dimension: int, noise: Tensor) -> Tensor:
        logits, means, scales = self._mixture(outputs)
        chosen = drawn_position(logits, noise[0])[..., None]
        return self.drawn_value(means.gather(-1, chosen), scales.gather(-1, chosen), dimension, noise[1])

    def drawn_value(self, mean: Tensor, scale: Tensor, dimension: int, noise: Tensor) -> Tensor:
        """A value [...] of a Gaussian, standardised mean and scale [..., 1], by even noise [...] from 0 to 1."""
        normal = torch.special.ndtri(noise.clamp(min=2.0**-54))  # 0 has no normal number
        standardised = mean[..., 0] + scale[..., 0] * normal
        return self.mean[dimension] + self.deviation[dimension] * standardised.double()

    def tails(self, outputs: Tensor, dimension: int, values: Tensor) -> tuple[Tensor, Tensor]:
        """Probabilities of less and of more than values [...] of one dimension, double precision, by outputs [...,
        output]: the smaller one says where a value stands, however far out it is."""
        logits, means, scales = (part.double() for part in self._mixture(outputs))
        standardised = ((values.double() - self.mean[dimension]) / self.deviation[dimension])[..., None]
        # erfc, unlike torch's ndtr, keeps the digits of both tails.
        place, shares = (standardised - means) / (scales * math.sqrt(2)), logits.softmax(-1) / 2
        return (shares * torch.erfc(-place)).sum(-1), (shares * torch.erfc(place)).sum(-1)

    def with_tails(self, outputs: Tensor, dimension: int, less: Tensor, more: Tensor) -> Tensor:
        """The values [...] of one dimension that :meth:`tails` are of, by bisection; of a tail that double precision
        does not hold, one that far out."""
        _, means, scales = (part.double() for part in self._mixture(outputs))
        low, high = (means - FARTHEST * scales).amin(-1), (means + FARTHEST * scales).amax(-1)
        low, high = (self.mean[dimension] + self.deviation[dimension] * bound for bound in (low, high))
        for _ in range(BISECTIONS):
            middle = (low + high) / 2
            below, above = self.tails(outputs, dimension, middle)
            too_low = torch.where(less <= more, below < less, above > more)
            low, high = torch.where(too_low, middle, low), torch.where(too_low, high, middle)
        return (low + high) / 2

    def _mixture(self, outputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Logits, means and standard deviations, standardised, each [..., component]."""
        logits, means, scales = outputs.unflatten(-1, (3, self.components)).unbind(-2)
        # Means start spread over the data: all components alike would stay alike.
        spread = torch.linspace(-1.5, 1.5, self.components, device=outputs.device)
        if self.components == 1:
            spread = torch.zeros_like(spread)
        return logits, means + spread, F.softplus(scales) + LEAST_SCALE

    def describe(self) -> dict[str, Any]:
        return {
            "kind": "real",
            "mean": list(self.mean),
            "deviation": list(self.deviation),
            "components": self.components,
        }


def drawn_position(logits: Tensor, noise: Tensor) -> Tensor:
    """Logits [..., position] and even noise [...] from 0 to 1 -> a position [...], by the inverse of its law's sum."""
    summed = logits.softmax(-1).cumsum(-1, dtype=torch.float64)
    found = torch.searchsorted(summed, noise[..., None] * summed[..., -1:], right=True)[..., 0]
    return found.clamp(max=logits.shape[-1] - 1)  # rounding may lead beyond the last one


def build_state_space(described: Mapping[str, Any]) -> StateSpace:
    """Build what :meth:`StateSpace.describe` described."""
    if described["kind"] == "counts":
        return Counts(int(described["states"]), int(described["dimensions"]))
    plain = tuple(described["mean"]), tuple(described["deviation"]), int(described["components"])
    if "atoms" not in described:
        return Reals(*plain)
    from weightcast.evolution.atoms import RealsWithAtoms

    return RealsWithAtoms(*plain, tuple(tuple(map(float, values)) for values in described["atoms"]))


def state_space_of(snapshots: Snapshots, settings: DensitySettings) -> StateSpace:
    """The values that these samples can take; real ones standardised by what training may see, and with a probability
    of their own for values that repeat."""
    if snapshots.states is not None:
        return Counts(snapshots.states, len(snapshots.dimensions))
    return real_space(snapshots.observed_train, settings)


def real_space(samples: Sequence[NDArray[np.float64]], settings: DensitySettings) -> Reals:
    """Real numbers, as samples of several snapshots [sample, dimension] say: their scale, and values that repeat."""
    from weightcast.evolution.atoms import RealsWithAtoms, repeated_values

    plain = Reals.of(samples, settings.components)
    atoms = repeated_values(samples, settings.atoms)
    return RealsWithAtoms(plain.mean, plain.deviation, plain.components, atoms) if any(atoms) else plain
