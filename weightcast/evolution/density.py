"""Autoregressive densities: many at once on a leading member axis, or one with its weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from weightcast.core.bounded_memory import BoundedMemory
from weightcast.core.draws import Draws
from weightcast.core.errors import InputError
from weightcast.core.graph import WeightGraph
from weightcast.core.nets.backbones import GRUBackbone, TransformerBackbone
from weightcast.core.seeds import derive_seed
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.state_space import Reals, StateSpace, build_state_space

DRAWN_AT_ONCE = 20_000
"""Samples times outputs, in thousands of numbers, that are held at once while drawing."""

Key = str | int


class _Methods(nn.Module):
    """Lets ``functional_call``, which calls ``forward``, reach the backbone's other methods."""

    def __init__(self, backbone: GRUBackbone | TransformerBackbone) -> None:
        super().__init__()
        self.backbone = backbone

    def forward(self, method: str, *arguments: Tensor) -> Any:
        return getattr(self.backbone, method)(*arguments)


class StackedDensity:
    """One architecture of densities p(x) = prod_i p(x_i | x_<i), any number of weights (WeightFlow, section 3.1).

    Attributes:
        space: values of a dimension.
        order: the order in which dimensions are drawn, positions in the data.
        graph: of the backbone's weights.
        architecture: JSON values to build it again from.
    """

    def __init__(self, architecture: Mapping[str, Any]) -> None:
        self.architecture = dict(architecture)
        self.space: StateSpace = build_state_space(architecture["space"])
        self.order: list[int] = list(architecture["order"])
        with torch.random.fork_rng(devices=[]):  # its initial weights are never used
            self.module = _Methods(_backbone(architecture, self.space))
        self.graph = WeightGraph(self.module)

    @classmethod
    def new(cls, settings: DensitySettings, space: StateSpace, seed: int) -> StackedDensity:
        """The architecture for data of these values; a random order depends on the seed."""
        order = np.arange(space.dimensions)
        if settings.order == "random":
            order = np.random.default_rng(derive_seed(seed, "order")).permutation(space.dimensions)
        plain = settings.model_dump(mode="json", include={"backbone", "hidden", "layers", "heads"})
        return cls(plain | {"space": space.describe(), "order": [int(position) for position in order]})

    def initial_weights(self, seed: int) -> Tensor:
        """Weights of one freshly initialised density: [parameter]. The caller's random state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            return self.graph.read(_Methods(_backbone(self.architecture, self.space)))

    def log_prob(self, weights: Tensor, samples: Tensor) -> Tensor:
        """Log density of samples, in the data's units.

        Args:
            weights: [member, parameter].
            samples: [member, sample, dimension].

        Returns:
            [member, sample]; minus infinity for counts that are out of range.
        """
        ordered = samples[..., self.order]
        seen = self.space.encode(samples)[..., self.order, :]
        # The first dimension sees nothing; each later one sees those before it.
        features = torch.cat([torch.zeros_like(seen[..., :1, :]), seen[..., :-1, :]], dim=-2)
        outputs = self._call(weights, "forward", features)
        return self._unordered_log_prob(outputs, ordered).sum(-1)

    def sample(
        self, weights: Tensor, count: int, seed: int, keys: Sequence[Key] | None = None, even: bool = False
    ) -> Tensor:
        """Draw samples of every member.

        Args:
            weights: [member, parameter].
            count: samples of each member.
            seed: of the draws.
            keys: what tells a member from others, the time it belongs to, say; its place in the stack if None. A
                member's samples depend on the seed, its key and its weights alone, whatever else is drawn.
            even: whether they are drawn of scrambled Sobol points (Owen, J. Complexity 14, 1998) rather than each by
                itself: every part of the law then has as many of them as it should, but for one or two.

        Returns:
            [member, count, dimension], in the data's units, where the weights are.
        """
        keys = range(len(weights)) if keys is None else keys
        seeds = [derive_seed(seed, "density", key) for key in keys]
        size = max(1, DRAWN_AT_ONCE // max(1, count * self.space.outputs // 1000))
        parts = [
            self._sample(weights[first : first + size], count, seeds[first : first + size], even)
            for first in range(0, len(weights), size)
        ]
        return torch.cat(parts)

    @torch.no_grad()
    def _sample(self, weights: Tensor, count: int, seeds: Sequence[int], even: bool) -> Tensor:
        members, device = len(weights), weights.device
        shape = (self.space.dimensions, 2, count)
        if even:
            streams = [_even_numbers(seed, shape) for seed in seeds]
        else:
            streams = [Draws("cpu", seed).uniform(*shape, dtype=torch.float64) for seed in seeds]
        noise = torch.stack(streams, dim=2).to(device)  # [dimension, 2, member, sample]
        drawn = torch.zeros(members, count, self.space.dimensions, dtype=torch.float64, device=device)
        features = torch.zeros(members, count, self.space.features, device=device)
        start = self.module.backbone.start(count, device)
        state = start.expand(members, *start.shape)
        for place, dimension in enumerate(self.order):
            outputs, state = self._call(weights, "step", features, state)
            values = self.space.draw(outputs, dimension, noise[place])
            drawn[..., dimension] = values
            features = self.space.encode_one(values, dimension)
        return drawn

    @property
    def carries(self) -> bool:
        """Whether samples have ranks to be carried along by: those of real numbers, none of which repeat."""
        return type(self.space) is Reals

    @torch.no_grad()
    def carry(self, start: Tensor, end: Tensor, samples: Tensor) -> Tensor:
        """Samples of one density, carried along to another: each dimension keeps its rank among the values that the
        dimensions before it leave open (the rearrangement of Knothe and Rosenblatt, as in Villani, "Optimal Transport:
        Old and New", 2009, chapter 1). What is distributed as the first density is then distributed as the second.

        The map depends on the order in which dimensions are drawn; of one dimension it is the optimal transport.

        Args:
            start, end: weights of both [parameter].
            samples: [sample, dimension], real numbers in the data's units.

        Returns:
            [sample, dimension], in double precision, where the weights are.

        Raises:
            InputError: the state is made of counts, or has values that repeat, of which many have the same rank.
        """
        space = self.space
        if not isinstance(space, Reals) or not self.carries:
            found = "values that repeat (density.atoms)" if isinstance(space, Reals) else "counts"
            raise InputError(f"carry: found a state with {found}, expected real numbers, each of a rank of its own")
        weights = torch.stack([start, end])
        moved = samples.double().clone()
        features = torch.zeros(2, len(samples), space.features, device=weights.device)
        begun = self.module.backbone.start(len(samples), weights.device)
        state = begun.expand(2, *begun.shape)
        for dimension in self.order:
            outputs, state = self._call(weights, "step", features, state)
            less, more = space.tails(outputs[0], dimension, samples[:, dimension])
            moved[:, dimension] = space.with_tails(outputs[1], dimension, less, more)
            pair = torch.stack([samples[:, dimension].double(), moved[:, dimension]])
            features = space.encode_one(pair, dimension)
        return moved

    def _unordered_log_prob(self, outputs: Tensor, ordered: Tensor) -> Tensor:
        """Outputs and values in drawing order -> log density of each dimension, in the data's order."""
        back = np.argsort(self.order).tolist()
        return self.space.log_prob(outputs[..., back, :], ordered[..., back])

    def _call(self, weights: Tensor, method: str, *arguments: Tensor) -> Any:
        state = self.graph.unflatten(weights)
        return vmap(lambda member, *batch: functional_call(self.module, member, (method, *batch)))(state, *arguments)


@dataclass(frozen=True)
class Laws:
    """Laws at a number of times: each one density, or a mixture of densities of the same architecture.

    Attributes:
        density: the architecture.
        weights: of each law's components [component, parameter].
        shares: of the components in each law [component], which sum to 1, in double precision on the CPU.
    """

    density: StackedDensity
    weights: tuple[Tensor, ...]
    shares: tuple[Tensor, ...]

    @classmethod
    def of(cls, density: StackedDensity, weights: Tensor) -> Laws:
        """A density at each time, of weights [time, parameter]."""
        alone = torch.ones(1, dtype=torch.float64)
        return cls(density, tuple(one[None] for one in weights), (alone,) * len(weights))

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def finite(self) -> list[bool]:
        """Whether each law can be drawn from: its weights are numbers."""
        return [bool(torch.isfinite(one).all()) for one in self.weights]

    def chosen(self, positions: Sequence[int]) -> Laws:
        """Those at some positions."""
        weights, shares = (tuple(each[position] for position in positions) for each in (self.weights, self.shares))
        return Laws(self.density, weights, shares)

    def sample(self, count: int, seed: int, keys: Sequence[Key] | None = None, even: bool = False) -> Tensor:
        """Draw samples of every law, as :meth:`StackedDensity.sample` does.

        The components of a law are given the same random numbers, so that near ones give near samples; which component
        a sample is of is drawn by their shares.

        Returns:
            [time, count, dimension], where the weights are.
        """
        keys = range(len(self)) if keys is None else keys
        repeated = [key for key, one in zip(keys, self.weights, strict=True) for _ in one]
        drawn = self.density.sample(torch.cat(self.weights), count, seed, repeated, even)
        parts = drawn.split([len(one) for one in self.weights])
        return torch.stack(
            [self._mixed(part, shares, seed, key) for part, shares, key in zip(parts, self.shares, keys, strict=True)]
        )

    def log_prob(self, position: int, samples: Tensor) -> Tensor:
        """Log density of samples [sample, dimension] under the law at a position: [sample]."""
        weights, shares = self.weights[position], self.shares[position]
        found = self.density.log_prob(weights, samples.expand(len(weights), *samples.shape))
        if len(weights) == 1:
            return found[0]
        return torch.logsumexp(found + shares.to(found).log()[:, None], dim=0)

    @staticmethod
    def _mixed(drawn: Tensor, shares: Tensor, seed: int, key: Key) -> Tensor:
        """Samples [component, count, dimension] of a law's components -> [count, dimension], by their shares."""
        if len(drawn) == 1:
            return drawn[0]
        places = Draws("cpu", derive_seed(seed, "component", key)).uniform(drawn.shape[1], dtype=torch.float64)
        component = torch.searchsorted(shares.cumsum(0), places, right=True).clamp(max=len(shares) - 1)
        return drawn[component.to(drawn.device), torch.arange(drawn.shape[1], device=drawn.device)]


class Density:
    """p(x) at one time, in the data's units: one density with its weights, or, of a forecast, a mixture of several.

    It computes where its weights are; samples and likelihoods are given on the CPU.

    Attributes:
        laws: this one alone.
        time: the time it belongs to.
        extrapolated: whether that lies after the snapshots that it was learned from.
    """

    def __init__(self, laws: Laws, time: float, extrapolated: bool = False) -> None:
        self.laws = laws
        self.time = time
        self.extrapolated = extrapolated

    @property
    def weights(self) -> Tensor:
        """[parameter]; of a mixture, of each component [component, parameter]."""
        (weights,) = self.laws.weights
        return weights[0] if len(weights) == 1 else weights

    @property
    def shares(self) -> Tensor:
        """Shares of the components of a mixture [component]."""
        return self.laws.shares[0]

    def sample(self, n: int, seed: int = 0) -> Tensor:
        """Draw [n, dimension]; the seed and the time determine the samples.

        Raises:
            InputError: ``n`` is less than 1.
        """
        if n < 1:
            raise InputError(f"n: found {n}, expected at least 1")
        return self.laws.sample(n, seed, [time_key(self.time)])[0].cpu()

    @torch.no_grad()
    def log_prob(self, x: Tensor) -> Tensor:
        """Natural logarithm of the density (of the probability, for counts): [..., dimension] -> [...].

        Raises:
            InputError: the last axis is not the state's.
        """
        x = self._checked(x)
        return self.laws.log_prob(0, x.reshape(-1, x.shape[-1])).reshape(x.shape[:-1]).cpu()

    def score(self, x: Tensor) -> Tensor:
        """Gradient of the log density at points of a real state: [..., dimension] -> the same shape, double precision.

        Raises:
            InputError: the last axis is not the state's, or the state is made of counts.
        """
        x = self._checked(x)
        if self.laws.density.space.describe()["kind"] == "counts":
            raise InputError("score: found a state of counts, expected a real one: probabilities have no gradient")
        points = x.reshape(-1, x.shape[-1]).double().detach().requires_grad_()
        with torch.enable_grad():
            (gradient,) = torch.autograd.grad(self.laws.log_prob(0, points).sum(), points)
        return gradient.reshape(x.shape).cpu()

    def _checked(self, x: Tensor) -> Tensor:
        """Points [..., dimension], where the weights are."""
        x = torch.as_tensor(x, device=self.laws.weights[0].device)
        dimensions = self.laws.density.space.dimensions
        if x.ndim == 0 or x.shape[-1] != dimensions:
            raise InputError(f"x: found shape {list(x.shape)}, expected [..., {dimensions}]")
        return x

    def moments(self, n: int = 10_000, seed: int = 0) -> tuple[Tensor, Tensor]:
        """Mean [dimension] and covariance [dimension, dimension], estimated from ``n`` samples."""
        drawn = self.sample(n, seed)
        return drawn.mean(0), torch.cov(drawn.T).reshape(drawn.shape[1], drawn.shape[1])


def _even_numbers(seed: int, shape: tuple[int, int, int]) -> Tensor:
    """Scrambled Sobol points, one for each sample, in double precision: [dimension, number, sample]."""
    points = torch.quasirandom.SobolEngine(shape[0] * shape[1], scramble=True, seed=seed)
    return points.draw(shape[2], dtype=torch.float64).T.reshape(shape)


def time_key(time: float) -> str:
    """What tells the density at a time from those at others: the same samples are drawn, however many times are.

    A time that is reached in steps, 3 * 0.1, is the same as one that is named.
    """
    return repr(float(f"{time:.12g}"))


def described_density(architecture: Mapping[str, Any], weights: int) -> StackedDensity:
    """The density that an artifact describes, which may not be larger than what there are weights for.

    Raises:
        InputError: it has more or fewer.
    """
    with BoundedMemory(weights):
        density = StackedDensity(architecture)
    if (announced := density.graph.num_parameters) != weights:
        raise InputError(
            f"metadata: architecture: found one of {announced} weights, expected {weights} as in the tensors"
        )
    return density


def _backbone(architecture: Mapping[str, Any], space: StateSpace) -> GRUBackbone | TransformerBackbone:
    shape = {name: int(architecture[name]) for name in ("hidden", "layers")}
    if architecture["backbone"] == "gru":
        return GRUBackbone(space.features, space.outputs, **shape)
    return TransformerBackbone(
        space.features, space.outputs, **shape, heads=int(architecture["heads"]), dimensions=space.dimensions
    )
