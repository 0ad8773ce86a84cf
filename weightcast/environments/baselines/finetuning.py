"""Few-shot adaptation: fine-tune a base on the first frames of one trajectory of each environment."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor

from weightcast.core.config.training import TrainingSettings
from weightcast.core.training import fit
from weightcast.environments.config.baselines import FinetuneSettings
from weightcast.environments.pooled_training import environment_loss
from weightcast.environments.predictor import StackedPredictor


def finetune(
    start: Tensor, observed: Tensor, predictor: StackedPredictor, steps: int, learning_rate: float
) -> tuple[Tensor, float]:
    """Fine-tune all environments at once on every consecutive pair of their observed frames.

    Args:
        start: [environment, weight].
        observed: normalised [environment, frame, channel, y, x].
        predictor: whose weights they are.
        steps: of Adam.
        learning_rate: its peak.

    Returns:
        Weights [environment, weight] and the seconds spent.
    """
    weights = start.clone().requires_grad_()
    pairs = torch.stack([observed[:, :-1], observed[:, 1:]], dim=2)  # [environment, pair, 2, channel, y, x]
    result = fit(
        [weights],
        lambda step: environment_loss(predictor.rollout_error(weights, pairs)),
        TrainingSettings(steps=steps, learning_rate=learning_rate),
        stacked=True,
        label=f"fine-tuning, {steps} steps at {learning_rate:g}",
    )
    return weights.detach(), result.seconds


@torch.no_grad()
def _rollout_rmse(weights: Tensor, frames: Tensor, predictor: StackedPredictor) -> float:
    """Median over environments of the rollout error on frames [environment, trajectory, frame, channel, y, x]."""
    errors = torch.nan_to_num(predictor.rollout_error(weights, frames), nan=torch.inf).mean(1)
    return float(errors.median())


def choose_settings(
    start: Tensor, observed: Tensor, held_out: Tensor, predictor: StackedPredictor, settings: FinetuneSettings
) -> tuple[int, float, float]:
    """The steps and learning rate with the least rollout error on other trajectories of visible environments.

    Args:
        start: weights of the visible environments to choose on [environment, weight].
        observed: their observed frames, normalised [environment, frame, channel, y, x].
        held_out: their validation frames, normalised [environment, trajectory, frame, channel, y, x].
        predictor: whose weights they are.
        settings: the candidates.

    Returns:
        Steps, learning rate, and the seconds that choosing took.
    """
    best, spent = (settings.steps[0], settings.learning_rates[0]), 0.0
    lowest = float("inf")
    for steps, rate in itertools.product(settings.steps, settings.learning_rates):
        weights, seconds = finetune(start, observed, predictor, steps, rate)
        spent += seconds
        error = _rollout_rmse(weights, held_out, predictor)
        if error < lowest:
            lowest, best = error, (steps, rate)
    return best[0], best[1], spent
