"""What is observed of an environment in a case of the evaluation: a few frames, with noise and gaps."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from weightcast.core.draws import Draws
from weightcast.core.seeds import derive_seed
from weightcast.environments.config.data import TransformName
from weightcast.environments.config.evaluation import ObservedCase
from weightcast.environments.history import embedded, recorded
from weightcast.environments.missing_values import observed_spread
from weightcast.environments.transform import never_negative


def observe(
    frames: Tensor,
    case: ObservedCase,
    environments: Sequence[str],
    seed: int,
    inputs: int = 0,
    transforms: Sequence[TransformName | None] = (),
    history: int = 1,
) -> Tensor:
    """Spoil frames as a case says.

    Args:
        frames: [environment, trajectory, frame, channel, y, x], physical units; NaN where a value is missing.
        case: how many frames, which noise and gaps.
        environments: ids: what is drawn for one depends on no other.
        seed: of the study.
        inputs: how many of the channels, the last ones, are inputs, which are known as they are.
        transforms: of the channels before these (`DataSettings.channel_transforms`). Noise is in the quantity's own
            units all the same, but what has a transform is never below 0, with noise either.
        history: frames of a state. The case counts those that were observed, of which states are made; a frame is
            spoilt once, in all states that it is in.

    Returns:
        [environment, trajectory, frame, channel, y, x]: of the first trajectories; NaN where nothing is observed.
    """
    shown = frames[:, : case.trajectories, : case.frames - history + 1].clone()
    if history > 1:
        states = shown.shape[3] - inputs
        frames = recorded(shown[:, :, :, :states], history)
        spoilt = observe(frames, case, environments, seed, transforms=transforms)
        return torch.cat([embedded(spoilt, history), shown[:, :, :, states:]], dim=3)
    for row, environment in enumerate(environments):
        draws = Draws(frames.device, derive_seed(seed, "observed", environment))
        own = shown[row, :, :, : shown.shape[3] - inputs]
        flat = own.movedim(2, 0).flatten(1)
        several = flat.shape[1] > 1  # of one number: none
        spread = (observed_spread(flat).nan_to_num() if several else flat.new_zeros(len(flat)))[:, None, None]
        own.copy_(never_negative(own + case.noise * spread * draws.normal(*own.shape), transforms))
        own.masked_fill_(_hidden(own.shape[-3:], case, draws).to(frames.device), torch.nan)
    return shown


def _hidden(shape: Sequence[int], case: ObservedCase, draws: Draws) -> Tensor:
    """Which values of a frame [channel, y, x] are not observed: the same in all frames."""
    channels, rows, columns = shape
    hidden = torch.zeros(channels, rows, columns, dtype=torch.bool)
    if case.every > 1:
        hidden[:] = True
        hidden[:, :: case.every, :: case.every] = False
    if case.masked:
        if rows == columns == 1:
            count = min(channels - 1, round(case.masked * channels))
            hidden[draws.permutation(channels)[:count].cpu()] = True
        else:  # a block of whole columns, anywhere on the circle
            width = min(columns - 1, max(1, round(case.masked * columns)))
            first = draws.integer(0, columns)
            hidden[:, :, [(first + column) % columns for column in range(width)]] = True
    return hidden
