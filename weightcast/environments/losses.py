"""What trainings through a predictor minimise: its own rollout error on the environments' trajectories."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from weightcast.core.config.training import PooledTraining
from weightcast.core.draws import Draws
from weightcast.core.share import Share
from weightcast.environments.dataset import draw_windows, windows_at
from weightcast.environments.missing_values import WindowStarts, any_missing
from weightcast.environments.predictor import StackedPredictor


def environment_loss(errors: Tensor) -> Tensor:
    """[environment, ...] squared errors -> [environment] root mean square.

    The root keeps hard environments from drowning the others: with the mean square itself, training FiLM on
    Lambda-Omega for the same steps ended a fifth worse on the visible environments.
    """
    return (errors.flatten(1).mean(1) + 1e-12).sqrt()


def pooled_loss(
    weights_of: Callable[[Tensor], Tensor],
    predictor: StackedPredictor,
    frames: Tensor,
    settings: PooledTraining,
    seed: int,
    start_share: float,
    share: Share | None = None,
    starts: WindowStarts | None = None,
) -> Callable[[int], Tensor]:
    """The loss of a step: rollout error over a few visible environments drawn for it.

    Args:
        weights_of: environments, long [n] -> weights [n, weight].
        predictor: whose weights they are.
        frames: normalised training frames [environment, trajectory, frame, channel, y, x].
        settings: unroll, batch, environments a step.
        seed: of the draws.
        start_share: of the windows that begin with a trajectory's first frame.
        share: of these environments, of which the mean error is; all if None.
        starts: where windows of the frames may begin, where somebody has found it.
    """
    starts = starts or WindowStarts(frames)
    count = min(settings.environments, len(frames))
    share = Share.all_of(count) if share is None else share

    def loss(step: int) -> Tensor:
        draws = Draws(frames.device, seed, "step", step)
        chosen = share.take(draws.permutation(len(frames))[:count])
        draws = share.draws(draws)
        length = settings.unroll + 1
        windows = draw_windows(frames, chosen, settings.batch, length, draws, start_share, starts.of(length))
        return environment_loss(predictor.rollout_error(weights_of(chosen), windows, starts.missing)).mean()

    return loss


@torch.no_grad()
def errors_of_environments(
    weights_of: Callable[[Tensor], Tensor],
    predictor: StackedPredictor,
    frames: Tensor,
    unroll: int,
    at_once: int | None,
) -> Tensor:
    """:func:`held_out_errors` of weights that are made, some environments at a time.

    Args:
        weights_of: environments, long [n] -> weights [n, weight].
        predictor: whose weights they are.
        frames: normalised validation frames [environment, trajectory, frame, channel, y, x].
        unroll: steps of the rollout.
        at_once: environments; None: all.

    Returns:
        [environment] root mean square.
    """
    every = torch.arange(len(frames), device=frames.device)
    some = every.split(at_once or len(every))
    return torch.cat([held_out_errors(weights_of(rows), predictor, frames[rows], unroll) for rows in some])


@torch.no_grad()
def held_out_errors(weights: Tensor, predictor: StackedPredictor, frames: Tensor, unroll: int) -> Tensor:
    """Rollout error of each environment's weights from the first frames of trajectories that are not trained on.

    Args:
        weights: [environment, weight].
        predictor: whose weights they are.
        frames: normalised validation frames [environment, trajectory, frame, channel, y, x].
        unroll: steps of the rollout.

    Returns:
        [environment] root mean square.
    """
    count, trajectories = frames.shape[:2]
    every = torch.arange(count, device=frames.device)
    trajectory = torch.arange(trajectories, device=frames.device).expand(count, -1)
    windows = windows_at(frames, every, trajectory, torch.zeros_like(trajectory), unroll + 1)
    return environment_loss(predictor.rollout_error(weights, windows, any_missing(windows)))


@torch.no_grad()
def rollout_rmse(weights: Tensor, frames: Tensor, predictor: StackedPredictor) -> float:
    """Median over environments of the root mean square error of rollouts.

    Args:
        weights: [environment, weight].
        frames: normalised [environment, trajectory, frame, channel, y, x]; rollouts start at the first frame.
        predictor: whose weights they are.
    """
    errors = torch.nan_to_num(predictor.rollout_error(weights, frames, any_missing(frames)), nan=torch.inf).mean(1)
    return float(errors.sqrt().median())
