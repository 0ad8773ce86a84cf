"""Known inputs beside the state: what of their columns a step is shown (:mod:`weightcast.core.nets.input_layout`)."""

from __future__ import annotations

import torch
from torch import Tensor

from weightcast.core.nets.input_layout import InputLayout
from weightcast.environments.history import embedded


def shown_inputs(columns: Tensor, layout: InputLayout) -> Tensor:
    """What a step is shown that begins at each frame; of the last one, at which none begins, its own twice.

    Args:
        columns: [..., frame, column, y, x].
        layout: of the columns.

    Returns:
        [..., frame, shown, y, x].
    """
    following = torch.cat([columns[..., 1:, :, :, :], columns[..., -1:, :, :, :]], dim=-4)
    ahead, others = list(layout.ahead), list(layout.shown_once)
    return torch.cat([columns[..., ahead, :, :], following[..., ahead, :, :], columns[..., others, :, :]], dim=-3)


def held(inputs: Tensor, layout: InputLayout) -> Tensor:
    """Inputs of a forecast with what is known in the past alone as it was in the first frame.

    Args:
        inputs: [..., step, shown, y, x].
        layout: of them.
    """
    if not layout.held:
        return inputs
    known = inputs.shape[-3] - layout.held
    first = inputs[..., :1, known:, :, :].expand(*inputs.shape[:-3], layout.held, *inputs.shape[-2:])
    return torch.cat([inputs[..., :known, :, :], first], dim=-3)


def with_shown(frames: Tensor, layout: InputLayout, history: int = 1) -> Tensor:
    """Frames as predictors take them, of such with the columns of inputs behind the channels of the state.

    Args:
        frames: [..., frame, channel and column, y, x].
        layout: of the columns.
        history: frames that predictors see, the newest among them.

    Returns:
        [..., frame - history + 1, history * channel and shown, y, x].
    """
    if not layout.columns:
        return embedded(frames, history)
    channels = frames.shape[-3] - len(layout.columns)
    states = embedded(frames[..., :channels, :, :], history)
    shown = shown_inputs(frames[..., history - 1 :, channels:, :, :], layout)
    return torch.cat([states, shown], dim=-3)
