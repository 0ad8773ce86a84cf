"""Densities that see the shown samples of one environment alone: what a new environment is worth without a family."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.core.config.training import TrainingSettings
from weightcast.core.draws import Draws
from weightcast.core.run import Run
from weightcast.core.seeds import derive_seed
from weightcast.evolution.density import StackedDensity
from weightcast.families.inference import ShownSamples

HELD_BACK = 5
"""One in so many samples of a snapshot says when its density has been trained enough."""


def fit_alone(
    run: Run, density: StackedDensity, shown: ShownSamples, settings: TrainingSettings, seed: int, name: str
) -> tuple[Tensor, float]:
    """Fit a density to each shown snapshot, from random weights; all of them on a leading member axis.

    Args:
        run: that they are trained in.
        density: the architecture.
        shown: of the environments.
        settings: of the training; with ``keep: best`` a fifth of the samples chooses where it stops.
        seed: of initial weights.
        name: of the training, its own within the stage.

    Returns:
        weights of each environment's last snapshot [environment, weight], and the seconds that it took.

    Raises:
        TrainingDiverged: a loss or a gradient is not finite.
    """
    last = (shown.there.any(-1).sum(-1) - 1).tolist()
    chosen = torch.arange(len(last))
    values, there = run.place(shown.values[chosen, last]), run.place(shown.there[chosen, last])
    held_back = _held_back(there.cpu(), seed).to(there.device)
    seen = there & ~held_back
    held_back = torch.where(held_back.any(1, keepdim=True), held_back, there)  # a single sample is all there is
    weights = torch.stack([density.initial_weights(derive_seed(seed, "alone", place)) for place in range(len(last))])
    weights = run.place(weights).requires_grad_()

    def error(part: Tensor) -> Tensor:
        return -density.log_prob(weights, values).where(part, 0.0).sum(1) / part.sum(1)

    def validation() -> Tensor:
        with torch.no_grad():
            return error(held_back)

    kept = None if settings.keep == "last" else validation
    result = run.fit([weights], lambda step: error(seen), settings, name=name, stacked=True, validation=kept)
    return weights.detach(), result.seconds


def _held_back(there: Tensor, seed: int) -> Tensor:
    """[member, sample] bool: a fifth of each member's samples, at least one of two or more."""
    order = Draws("cpu", seed, "held back").uniform(*there.shape).where(there, 2.0).argsort(1).argsort(1)
    count = there.sum(1, keepdim=True)
    chosen = order < (count // HELD_BACK).clamp(min=1)
    return torch.where(count > 1, chosen, False) & there
