"""The weights that a generator makes of the visible environments, spanned by a few numbers, so that what it generates
for another one can be refined on observed frames.

A generator that is told frames, or a label regressed from them, takes these as they are. What they tell of an
environment, amortised, is not exact enough for a long forecast, and outside of what was visible still less. But what it
generates for visible environments lies near few directions. Along these what was generated is moved to where it
explains the frames best, under the normal prior of the visible environments; all other weights stay as they are, and
nothing is trained. Directions of weights, not of latents: a decoder is not linear, and its extrapolation is worse than
that of a straight line (docs/unknown-environments.md has both, measured).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from weightcast.environments.code_priors import CodePrior
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.infer_environment import PRIOR_WIDENED, infer_environments
from weightcast.environments.predictor import StackedPredictor

EXPLAINED = 0.95
"""Share of the variance between visible environments that the directions hold together."""
MOST = 8
"""Directions, at most: each costs a forecast in every step of the search."""


class GeneratedSpan(nn.Module):
    """Principal directions of the weights that are generated for visible environments.

    Args:
        dimension: number of directions.
        environments: visible ones.
        weights: of a predictor.
    """

    mean: Tensor
    directions: Tensor
    codes: Tensor

    def __init__(self, dimension: int, environments: int, weights: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(weights))
        self.register_buffer("directions", torch.zeros(dimension, weights))  # orthonormal rows
        self.register_buffer("codes", torch.zeros(environments, dimension))

    @classmethod
    def of(cls, weights: Tensor) -> GeneratedSpan:
        """The span of weights [environment, weight], two environments or more."""
        mean = weights.mean(0)
        _, sizes, directions = torch.linalg.svd((weights - mean).double(), full_matrices=False)
        explained = sizes.square().cumsum(0)
        dimension = min(MOST, len(weights) - 1, int((explained < EXPLAINED * explained[-1]).sum()) + 1)
        span = cls(dimension, *weights.shape).to(weights.device)
        span.mean.copy_(mean)
        span.directions.copy_(directions[:dimension])
        span.codes.copy_(span.codes_of(weights))
        return span

    @property
    def learned(self) -> int:
        """Numbers that must be kept to use it."""
        return sum(numbers.numel() for numbers in self.buffers())

    def forward(self, codes: Tensor) -> Tensor:
        """Numbers along the directions [..., dimension] -> weights [..., weight]."""
        return self.mean + codes @ self.directions

    def codes_of(self, weights: Tensor) -> Tensor:
        """The nearest numbers along the directions: weights [..., weight] -> [..., dimension]."""
        return (weights - self.mean) @ self.directions.mT

    def refine(
        self,
        generated: Tensor,
        predictor: StackedPredictor,
        frames: Tensor,
        space: FrameSpace | None = None,
        land: Tensor | None = None,
    ) -> Tensor:
        """Weights that explain observed frames better than what was generated, from where the search begins.

        It begins in visible environments as well, so that one in which the generator is all wrong is no trap.

        Args:
            generated: weights [environment, weight].
            predictor: whose weights they are.
            frames: normalised [environment, trajectory, frame, channel, y, x], more than the predictor sees; NaN in
                gaps.
            space: how frames vary, to fill gaps; None where there are none.
            land: where a channel of frames never has a value, and nothing is to be explained, bool [channel, y, x], or
                [environment, 1, 1, channel, y, x]; None: nowhere.

        Returns:
            [environment, weight].
        """
        begun = self.codes_of(generated)
        prior = CodePrior.of(self.codes, PRIOR_WIDENED)
        candidates = torch.cat([begun, self.codes])
        return self(infer_environments(self, predictor, frames, candidates, space, prior=prior, land=land))
