"""Training a weight map on all visible environments, through the predictor's own rollout error."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from weightcast.core.config.training import PooledTraining
from weightcast.core.seeds import derive_seed
from weightcast.core.training import Fit, Resume, fit
from weightcast.environments.dataset import draw_windows
from weightcast.environments.predictor import StackedPredictor


def environment_loss(errors: Tensor) -> Tensor:
    """[environment, ...] squared errors -> [environment] root mean square.

    The root keeps hard environments from drowning the others: with the mean square itself, training FiLM on
    Lambda-Omega for the same steps ended a fifth worse on the visible environments.
    """
    return (errors.flatten(1).mean(1) + 1e-12).sqrt()


def train_weight_map(
    weight_map: nn.Module,
    predictor: StackedPredictor,
    frames: Tensor,
    parameters: Tensor,
    settings: PooledTraining,
    seed: int,
    resume: Resume | None = None,
    label: str = "weight map",
) -> Fit:
    """Train in place.

    Args:
        weight_map: scaled parameters [environment, parameter] -> weights [environment, weight].
        predictor: whose weights they are.
        frames: normalised training frames [environment, trajectory, frame, channel, y, x].
        parameters: scaled parameters [environment, parameter].
        settings: steps, rate, unroll, batch, environments a step.
        seed: of the draws.
        resume: where state is kept.
        label: for the progress bar.
    """
    loss = pooled_loss(lambda chosen: weight_map(parameters[chosen]), predictor, frames, settings, seed)
    return fit(list(weight_map.parameters()), loss, settings, resume=resume, label=label)


def pooled_loss(
    weights_of: Callable[[Tensor], Tensor],
    predictor: StackedPredictor,
    frames: Tensor,
    settings: PooledTraining,
    seed: int,
) -> Callable[[int], Tensor]:
    """The loss of a step: rollout error over a few visible environments drawn for it.

    Args:
        weights_of: environments, long [n] -> weights [n, weight].
    """

    def loss(step: int) -> Tensor:
        generator = torch.Generator().manual_seed(derive_seed(seed, "step", step))
        chosen = torch.randperm(len(frames), generator=generator)[: settings.environments]
        windows = draw_windows(frames, chosen, settings.batch, settings.unroll + 1, generator)
        return environment_loss(predictor.rollout_error(weights_of(chosen), windows)).mean()

    return loss
