"""A network in context: it sees observed frames of an environment as further channels beside the state that it steps.

The same network for all environments, larger than a predictor: the small version of a foundation model. What it is
shown stays the same while its forecast is fed back, so that forecasts may begin at any state of the environment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor, nn

from weightcast.core.config.training import PooledTraining
from weightcast.core.draws import Draws
from weightcast.core.graph import WeightGraph
from weightcast.core.nets.build import build_predictor, history_of, input_layout_of
from weightcast.environments.base import BaseNetwork
from weightcast.environments.config.condition import FramesSettings
from weightcast.environments.dataset import draw_windows
from weightcast.environments.gaps import FrameSpace
from weightcast.environments.history import advanced, newest
from weightcast.environments.inputs import held
from weightcast.environments.losses import environment_loss
from weightcast.environments.missing_values import WindowStarts, comparable
from weightcast.environments.observation import ObservationLayout, draw_observations

FIRST_FRAMES = 0.5
"""Share of what is shown in training that begins a trajectory, as what is observed of an unknown environment does."""


def contexts(observed: Tensor, count: int, space: FrameSpace, inputs: int = 0) -> Tensor:
    """What the network is shown of environments.

    Args:
        observed: consecutive frames, normalised [environment, frame, channel, y, x]; NaN where nothing was observed.
        count: frames that are shown: the last ones, the earliest repeated where there are fewer.
        space: of frames, to fill gaps.
        inputs: how many of the channels, the last ones, are inputs, which are not shown.

    Returns:
        [environment, count * channel, y, x].
    """
    last = observed[:, -count:]
    earliest = last[:, :1].expand(-1, count - last.shape[1], -1, -1, -1)
    whole = space.complete(torch.cat([earliest, last], 1))
    return whole[:, :, : whole.shape[2] - inputs].flatten(1, 2)


def draw_contexts(
    frames: Tensor,
    rows: Tensor,
    count: int,
    space: FrameSpace,
    settings: FramesSettings,
    draws: Draws,
    inputs: int = 0,
) -> Tensor:
    """Random observations of environments, as the network may be shown them: 1 to ``count`` consecutive frames, half of
    them from the start of a trajectory and half from a random place, with noise and gaps.

    Args:
        frames: normalised [environment, trajectory, frame, channel, y, x].
        rows: environments, long [observation].
        count: frames that are shown.
        space: of frames, to fill gaps.
        settings: which noise, how many points.
        draws: source of the draw.
        inputs: how many of the channels, the last ones, are inputs, which are not shown.

    Returns:
        [observation, count * channel, y, x].
    """
    layout = ObservationLayout(count, frames.shape[3], (frames.shape[4], frames.shape[5]))
    consecutive = settings.model_copy(update={"frames": count, "strides": [1]})
    spread = torch.ones(frames.shape[3], device=frames.device)
    spread[len(spread) - inputs :] = 0.0  # known without noise, and not shown in the end
    drawn = draw_observations(layout, frames, rows, spread, consecutive, draws, FIRST_FRAMES)
    times, values = layout.unpack(drawn)
    seen = torch.isfinite(times[:, 0]).sum(1)  # frames come first, empty slots after them
    slot = torch.arange(count, device=frames.device) - (count - seen[:, None])
    every = torch.arange(len(rows), device=frames.device)[:, None]
    return contexts(values[every, 0, slot.clamp(min=0)], count, space, inputs)


def in_context_loss(
    network: nn.Module,
    frames: Tensor,
    space: FrameSpace,
    count: int,
    training: PooledTraining,
    shown: FramesSettings,
    seed: int,
    start_share: float,
) -> Callable[[int], Tensor]:
    """The loss of a step: rollout error in a few visible environments, each window with an observation of its own.

    Args:
        network: of frames with constant fields behind their channels.
        frames: normalised training frames [environment, trajectory, frame, channel, y, x].
        space: of single frames, to fill gaps.
        count: frames that are shown.
        training: unroll, batch, environments a step.
        shown: which noise, how many points.
        seed: of the draws.
        start_share: of the windows that begin with a trajectory's first frame.
    """

    inputs, history = input_layout_of(network).shown, history_of(network)
    single, starts = single_frames(frames, history, inputs), WindowStarts(frames)
    length = training.unroll + 1

    def loss(step: int) -> Tensor:
        draws = Draws(frames.device, seed, "step", step)
        chosen = draws.permutation(len(frames))[: training.environments]
        windows = draw_windows(frames, chosen, training.batch, length, draws, start_share, starts.of(length))
        rows = chosen.repeat_interleave(training.batch)
        fields = draw_contexts(single, rows, count, space, shown, draws, inputs)
        if starts.missing:
            return environment_loss(observed_error(network, windows, fields)).mean()
        errors = rollout_error(network, windows.flatten(0, 1), fields).unflatten(0, windows.shape[:2])
        return environment_loss(errors).mean()

    return loss


def rollout_error(network: nn.Module, windows: Tensor, fields: Tensor) -> Tensor:
    """Squared error of an unrolled forecast.

    Args:
        network: of frames with constant fields behind their channels.
        windows: the start and the frames to be forecast, normalised [window, 1 + step, channel, y, x], inputs behind
            the channels of the state.
        fields: what is shown of the environment of each [window, field, y, x].

    Returns:
        [window]: mean over steps, channels and grid.
    """
    error = windows.new_zeros(len(windows))
    for difference in _differences(network, windows, fields):
        error = error + difference.square().flatten(1).mean(1)
    return error / (windows.shape[1] - 1)


def observed_error(network: nn.Module, windows: Tensor, fields: Tensor) -> Tensor:
    """The same where values are missing (:meth:`StackedPredictor.rollout_error`).

    Args:
        network: as for :func:`rollout_error`.
        windows: [environment, window, 1 + step, channel, y, x]; NaN where a value is missing.
        fields: [environment * window, field, y, x].

    Returns:
        [environment, window]: sums over what is there, in units of how much the windows of an environment have on
        average.
    """
    seen = comparable(windows, input_layout_of(network), history_of(network))
    error = windows.new_zeros(windows.shape[:2])
    differences = _differences(network, torch.nan_to_num(windows.flatten(0, 1)), fields)
    for there, difference in zip(seen.unbind(2), differences, strict=True):
        own = torch.where(there, difference.unflatten(0, windows.shape[:2]), 0.0)
        error = error + own.square().flatten(2).sum(2)
    counts = seen.flatten(2).sum(2).to(error.dtype).mean(1, keepdim=True)
    return error / torch.where(counts > 0, counts, 1.0)


def _differences(network: nn.Module, windows: Tensor, fields: Tensor) -> Iterator[Tensor]:
    """What an unrolled forecast is off by, step by step [window, channel, y, x]."""
    layout = input_layout_of(network)
    states = windows.shape[2] - layout.shown
    shown, windows = held(windows[:, :, states:], layout), windows[:, :, :states]
    truth = newest(windows, history_of(network))
    state = windows[:, 0]
    for step in range(1, windows.shape[1]):
        following = network(torch.cat([state, shown[:, step - 1], fields], 1))
        yield following - truth[:, step]
        state = advanced(state, following)


def single_frames(frames: Tensor, history: int, inputs: int = 0) -> Tensor:
    """Frames [..., channel, y, x] without the older ones behind their own channels; inputs, the last so many channels,
    stay."""
    if history == 1:
        return frames
    states = frames.shape[-3] - inputs
    return torch.cat([newest(frames[..., :states, :, :], history), frames[..., states:, :, :]], dim=-3)


def in_context_weights(trained: BaseNetwork, observed: Tensor, space: FrameSpace) -> tuple[dict[str, Any], Tensor]:
    """The network with what was observed of each environment, as predictors of an architecture of their own.

    Args:
        trained: a network of frames with constant fields behind their channels.
        observed: frames of one trajectory of each environment, normalised [environment, frame, channel, y, x], as
            predictors see them.
        space: of such frames, to fill gaps.

    Returns:
        The architecture, and weights [environment, weight], those of the network and the frames themselves.
    """
    inner = dict(trained.metadata["architecture"])
    grid = observed.shape[-2:]
    architecture = {"kind": "in-context", "network": inner, "constants": inner["constants"], "grid": list(grid)}
    architecture |= {name: inner[name] for name in ("inputs", "history") if name in inner}
    predictor, channels = trained.predictor, inner["channels"]
    if predictor.history > 1:  # all that was seen, also before the first frame that has a whole history
        space = space.of_channels(slice(0, channels), observed.shape[2])
        fields = contexts(predictor.recorded(observed), inner["constants"] // channels, space)
    else:
        fields = contexts(observed, inner["constants"] // channels, space, predictor.layout.shown)
    weights = trained.predictor.graph.unflatten(trained.weight_map.weights.detach())
    state = {f"network.{name}": value.expand(len(fields), *value.shape) for name, value in weights.items()}
    graph = WeightGraph(build_predictor(architecture))
    return architecture, graph.flatten(state | {"fields": fields})
