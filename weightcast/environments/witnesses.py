"""What frames of known environments leave, seen as the frames of an unknown one were: with their gaps, and as few.

Gaps in a frame are filled before forecasts start from it, and what the filling is off by shows in every forecast. How
much that is depends on the gaps. So frames with gaps are not held to what whole ones leave, but to what frames of a few
visible environments leave under the same gaps, which nobody had to foresee when a context was trained. These frames are
of trajectories that neither the map nor the filling was fitted to, wherever there are such.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from weightcast.environments.context import Context
from weightcast.environments.windows import Windows

MOST = 8
"""Visible environments that frames are kept of."""
MOST_NUMBERS = 2_000_000
"""Numbers of these frames together."""
TENSOR = "witnesses.frames"


def witness_rows(environments: int, count: int) -> Tensor:
    """Which of the visible environments these are, by position, evenly chosen; long [witness]."""
    return torch.linspace(0, environments - 1, count).round().long()


def with_witnesses(context: Context, frames: Tensor) -> Context:
    """A context that keeps frames of some of its visible environments.

    Args:
        context: trained.
        frames: of all of them, of trajectories that nothing was fitted to [environment, trajectory, frame, channel, y,
            x], normalised, inputs behind the channels. Of the first trajectory; where values of it are missing, in any
            environment that would be kept, none are kept, and frames with gaps are judged as whole ones are.
    """
    count = min(MOST, len(frames), max(1, MOST_NUMBERS // max(1, frames[0, :1].numel())))
    kept = frames[witness_rows(len(frames), count).to(frames.device), 0] if frames.shape[1] else frames[:0, 0:0]
    if not kept.numel() or not bool(torch.isfinite(kept).all()):
        return context
    base = context.base
    return replace(context, base=replace(base, further={**base.further, TENSOR: kept.contiguous()}))


@torch.no_grad()
def residual_of_witnesses(context: Context, frames: Tensor) -> float | None:
    """The greatest root mean square residual that a visible environment's frames leave its own predictor, observed as
    these frames are, normalised units; None where the context keeps none, or too few of their frames are left to be
    compared.

    Args:
        context: trained.
        frames: normalised [trajectory, frame, channel, y, x], as predictors see them; NaN where nothing was observed.
    """
    kept = context.base.further.get(TENSOR)
    if kept is None or kept.shape[2:] != frames.shape[2:]:
        return None
    kept = kept.to(frames.device)
    layout, history = context.base.predictor.layout, context.base.predictor.history
    count = min(kept.shape[1], frames.shape[1])
    seen = torch.isfinite(frames[:, :count])
    if layout.shown:  # known as they are
        seen[:, :, -layout.shown :] = True
    shown = kept[:, None, :count].expand(-1, len(frames), -1, -1, -1, -1).masked_fill(~seen, torch.nan)
    if count < 2 or not bool(torch.isfinite(shown[:, :, 1:]).any()):
        return None
    whole, settings = context.space.complete(shown), context.settings
    windows = Windows.of(shown, whole, settings.unroll, settings.windows, layout.shown, history)
    codes = context.codes[witness_rows(len(context.codes), len(kept)).to(context.codes.device)]
    of = torch.arange(len(kept), device=frames.device)
    residuals = windows.residuals(context.weights(codes), of, context.base.predictor)
    squares = residuals.square().sum(1) / windows.counts.clamp(min=1)
    left = squares[torch.isfinite(squares) & (windows.counts > 0)]
    return float(left.max().sqrt()) if len(left) else None
