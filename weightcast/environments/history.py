"""Frames with those before them: what a predictor sees whose next frame is not in the last one alone.

A delay embedding (F. Takens, Detecting strange attractors in turbulence, Lecture Notes in Mathematics 898, 1981): the
state at a time is its frame and the frames before it, as further channels, newest first. A network makes the next frame
of a state; the next state is that frame with all but the oldest of those that were there. So rollouts, searches and
maps see a state like any other. What is forecast, scored and shown is the newest frame of each state.
"""

from __future__ import annotations

import torch
from torch import Tensor


def embedded(frames: Tensor, history: int) -> Tensor:
    """States of consecutive frames. Frames that have no whole history are dropped: nothing is made up before the first.

    Args:
        frames: [..., frame, channel, y, x].
        history: frames of a state.

    Returns:
        [..., frame - history + 1, history * channel, y, x]; the frames themselves with a history of 1.
    """
    if history == 1:
        return frames
    count = max(0, frames.shape[-4] - history + 1)
    ends = [frames[..., history - 1 - age : history - 1 - age + count, :, :, :] for age in range(history)]
    return torch.cat(ends, dim=-3)


def recorded(states: Tensor, history: int) -> Tensor:
    """The inverse: the frames that consecutive states were made of.

    Args:
        states: [..., frame, history * channel, y, x], one or more.
        history: frames of a state.

    Returns:
        [..., frame + history - 1, channel, y, x].
    """
    if history == 1:
        return states
    first = states[..., 0, :, :, :].unflatten(-3, (history, -1)).flip(-4)  # oldest first, the newest last
    return torch.cat([first[..., :-1, :, :, :], newest(states, history)], dim=-4)


def newest(states: Tensor, history: int) -> Tensor:
    """The newest frame [..., channel, y, x] of states [..., history * channel, y, x]."""
    return states if history == 1 else states[..., : states.shape[-3] // history, :, :]


def advanced(states: Tensor, following: Tensor) -> Tensor:
    """The states a step later.

    Args:
        states: [..., history * channel, y, x].
        following: the frame after each [..., channel, y, x].

    Returns:
        As ``states``.
    """
    if states.shape == following.shape:
        return following
    kept = states.shape[-3] - following.shape[-3]
    return torch.cat([following, states[..., :kept, :, :]], dim=-3)
