"""The state that a forecast goes on from, by all frames that were observed up to it.

A noisy frame is a poor start, and the frames before it say something of the same state: what each is forecast to
become. These forecasts are averaged, each by how sure it is (a lagged average; Hoffman and Kalnay, Tellus 35A, 1983).
Each member of an ensemble does so by itself, from frames that are disturbed as they may have been: states belong to the
members' dynamics, and differ as much as they are uncertain.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from weightcast.core.errors import InputError
from weightcast.environments.ensemble import disturbed, error_at
from weightcast.environments.history import recorded
from weightcast.environments.model import PhysicalPredictor

LEAST_VARIANCE = 1e-12


def smoothed_starts(
    models: Sequence[PhysicalPredictor],
    frames: Tensor,
    lags: Sequence[float],
    noise: float,
    model_error: Tensor,
    seed: int,
    columns: Tensor | None = None,
) -> Tensor:
    """What the last frame may have been, for each predictor.

    Args:
        models: in physical units.
        frames: observed [trajectory, frame, channel, y, x], physical units. Frames with a NaN are passed over.
        lags: from each frame to the last one, in steps, decreasing to 0.
        noise: of the frames, in standard deviations of the study. Without noise the last frame is as it is, if whole.
        model_error: of forecasts, normalised units [step, channel].
        seed: of what the frames may have been.
        columns: of inputs in the observed frames [trajectory, frame, column, y, x], where predictors are shown any;
            frames are then one step apart.

    Returns:
        [member, trajectory, channel, y, x]; of predictors with a history the last frames in the order of time [member,
        trajectory, frame, channel, y, x].

    Raises:
        InputError: no frame is whole, or none with its whole history.
    """
    history = models[0].history
    found = torch.isfinite(frames).flatten(2).all(2).all(0)
    whole, at = found.clone(), torch.tensor(list(lags), device=found.device)  # with the frames before them
    for age in range(1, history):
        whole[age:] &= found[:-age] & (at[:-age] - at[age:] == age)
        whole[:age] = False
    if not bool(whole.any()):
        wanted = f"{history} that follow each other" if history > 1 else "one or more"
        raise InputError(f"frames: found none without NaN, expected {wanted} to go on from")
    used = whole.nonzero()[:, 0]
    kept = torch.zeros_like(found)  # frames of which states are made
    for age in range(history):
        kept[used - age] = True
    place = kept.cumsum(0) - 1
    frames, lags = frames[:, kept], [lag for lag, usable in zip(lags, whole.tolist(), strict=True) if usable]
    if columns is not None:  # from each frame on, the last one repeated behind the end
        count = columns.shape[1]
        after = (used[:, None] + torch.arange(count, device=used.device)).clamp(max=count - 1)
        columns = columns[:, after].flatten(0, 1)  # [trajectory and frame, frame, column, y, x]
    normalisation = models[0].normalisation
    scale = torch.tensor(normalisation.scale[: frames.shape[2]], dtype=frames.dtype, device=frames.device)[
        :, None, None
    ]
    starts = disturbed(frames, len(models), noise, normalisation, seed)
    starts = torch.cat([starts[:, :, place[used - age]] for age in range(history)], dim=3)
    scale = scale.repeat(history, 1, 1)
    now = torch.stack([_at_last(model, start, lags, columns) for model, start in zip(models, starts, strict=True)])
    now = normalisation.transformed(now)  # where states differ as predictors see them
    # Noise that grew on the way, or died away, and what members do not agree on.
    variance = ((now - now.mean(0)) / scale).square().mean((0, 1, 4, 5))  # [frame, channel]
    if model_error.numel():
        # What is older is forecast over as much less.
        since = [[max(0.0, lag - age) for lag in lags] for age in range(history)]
        off = torch.cat([error_at(model_error, times, normalisation) for times in since], dim=1)
        variance = variance + (off.to(variance) / scale[:, 0, 0]).square()
    variance = torch.nan_to_num(variance, nan=torch.inf).clamp(min=LEAST_VARIANCE)
    shares = (1.0 / variance) / (1.0 / variance).sum(0)
    counted = torch.where(shares[..., None, None] > 0, now, torch.zeros_like(now))  # infinity times 0 is no number
    smoothed = normalisation.untransformed((shares[..., None, None] * counted).sum(2))
    return smoothed if history == 1 else recorded(smoothed[:, :, None], history)


def _at_last(model: PhysicalPredictor, frames: Tensor, lags: Sequence[float], columns: Tensor | None) -> Tensor:
    """What states are forecast to be at the time of the last one, same shape [trajectory, frame, channel, y, x]; with
    columns of inputs from each of them on [trajectory and frame, frame, column, y, x]."""
    times = sorted({lag for lag in lags if lag > 0})
    if not times:
        return frames
    ahead = model.states(frames.flatten(0, 1), times, columns).unflatten(0, frames.shape[:2])
    return torch.stack(
        [ahead[:, place, times.index(lag)] if lag > 0 else frames[:, place] for place, lag in enumerate(lags)],
        1,
    )
