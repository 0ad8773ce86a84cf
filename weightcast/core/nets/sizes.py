"""How large a predictor is, counted from its settings without importing torch: what jobs' memory depends on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import prod
from typing import Any

from weightcast.core.config.predictor import (
    AnyPredictor,
    FNOSettings,
    MLPSettings,
    PredictorSettings,
    StencilSettings,
    UNetSettings,
    UNOSettings,
)
from weightcast.core.config.training import TrainingSettings
from weightcast.core.nets.input_layout import InputLayout

STATES = 6
"""Numbers held at most for a trained one: itself, its gradient, two moments, the best so far and an average."""
BACKWARD = 1.5
"""What a backward pass holds, over what was kept for it."""


def states_of(training: TrainingSettings) -> int:
    """Numbers that a training holds for one that it trains."""
    return STATES - (training.keep == "last") - (training.average is None)


def step_numbers(kept: int, weights: int, windows: int, unroll: int) -> int:
    """Numbers that a training step through the predictor holds for one network.

    Args:
        kept: for the gradient of one frame's step.
        weights: of the network.
        windows: of frames, all at once.
        unroll: steps of each.
    """
    return round(BACKWARD * (windows * unroll * kept + (1 + unroll) * 2 * weights))


def kept_in_step(architecture: Mapping[str, Any], grid: Sequence[int]) -> int:
    """Numbers that a step of one frame keeps for the gradient, of a predictor as artifacts describe it."""
    described = dict(architecture)
    channels, inputs = described.pop("channels"), InputLayout.from_description(described.pop("inputs", None)).shown
    inputs += (described.pop("history", 1) - 1) * channels  # older frames are seen as inputs are
    return kept_activations(PredictorSettings.model_validate(described).root, channels, (grid[0], grid[1]), inputs)


def layer_sizes(settings: AnyPredictor, channels: int, inputs: int = 0) -> list[tuple[int, int]]:
    """Every layer of the weight graph as (nodes, weights of a node); ``inputs`` are channels seen beside the newest
    frame's: older frames, and what is shown of known inputs."""
    match settings:
        case FNOSettings():
            return _fno(settings, channels, inputs)
        case UNOSettings():
            return _uno(settings, channels, inputs)
        case UNetSettings():
            return _unet(settings, channels, inputs)
        case MLPSettings():
            seen = [channels + inputs, *[settings.width] * (settings.depth - 1)]
            return [*((settings.width, width + 1) for width in seen), (channels, settings.width + 1)]
        case StencilSettings():
            seen = [9 * channels + inputs, *[settings.width] * (settings.depth - 1)]
            return [*((settings.width, width + 1) for width in seen), (channels, settings.width)]


def count_weights(settings: AnyPredictor, channels: int, inputs: int = 0) -> int:
    """Numbers that a predictor consists of."""
    return sum(nodes * width for nodes, width in layer_sizes(settings, channels, inputs))


def count_nodes(settings: AnyPredictor, channels: int) -> int:
    """Nodes of its weight graph: output units of all layers."""
    return sum(nodes for nodes, _ in layer_sizes(settings, channels))


def kept_activations(settings: AnyPredictor, channels: int, grid: tuple[int, int], inputs: int = 0) -> int:
    """Numbers that a training step keeps for the gradient, of one frame and one step of the predictor.

    Layers keep their inputs, activation functions theirs; within a half, which tests hold against torch.
    """
    numbers: float
    grid = _inside(settings, grid)
    ends = 4 * channels + 2 * inputs  # the frame, the next one, their difference
    match settings:
        case FNOSettings():
            numbers = 2 * settings.width * settings.depth + 2 * settings.projection
        case UNOSettings():
            numbers = 4 * settings.width * _coarser(len(settings.modes)) + 2 * settings.projection
        case UNetSettings():
            numbers = 10 * settings.width * _coarser(settings.levels)
        case MLPSettings():
            evaluations = 4 * settings.substeps if settings.integrator == "rk4" else 1
            numbers = evaluations * settings.width * settings.depth * (1 if settings.activation == "tanh" else 2)
        case StencilSettings():
            numbers = settings.substeps * (9 * channels + inputs + 2 * settings.width * settings.depth)
    return round(numbers + ends) * prod(grid)


def widest_layer(settings: AnyPredictor, channels: int, grid: tuple[int, int], inputs: int = 0) -> int:
    """Numbers of a frame inside a predictor where it is widest: what a step without gradient holds a few times."""
    grid = _inside(settings, grid)
    if isinstance(settings, StencilSettings):
        return max(settings.width, 9 * channels + inputs) * prod(grid)
    inside = settings.width if isinstance(settings, MLPSettings | UNetSettings) else settings.projection
    return max(inside, settings.width, channels + inputs) * prod(grid)


def _inside(settings: AnyPredictor, grid: tuple[int, int]) -> tuple[int, int]:
    """The grid that layers work on: the field's own, and what is padded to it."""
    padding = settings.padding if isinstance(settings, FNOSettings) else 0
    return grid[0] + (padding if grid[0] > 1 else 0), grid[1] + padding


def _coarser(levels: int) -> float:
    """Numbers on all grids of a U over those on its finest: each level has twice the channels on a quarter of it."""
    return float(sum(2.0**-level for level in range(levels + 1)))


def _fourier(inputs: int, outputs: int, modes: tuple[int, int]) -> tuple[int, int]:
    """A Fourier layer: two blocks of complex modes, one along a line, a skip and its bias."""
    return outputs, inputs * (4 * prod(modes) if modes[0] else 2 * modes[1]) + inputs + 1


def _fno(settings: FNOSettings, channels: int, inputs: int) -> list[tuple[int, int]]:
    width = settings.width
    return [
        (width, channels + inputs + 2 * settings.positional + 1),
        *[_fourier(width, width, settings.modes)] * settings.depth,
        (settings.projection, width + 1),
        (channels, settings.projection),
    ]


def _uno(settings: UNOSettings, channels: int, inputs: int) -> list[tuple[int, int]]:
    levels = len(settings.modes)
    widths = [settings.width * 2**level for level in range(levels + 1)]
    down = [_fourier(widths[level], widths[level + 1], settings.modes[level]) for level in range(levels)]
    up = [
        _fourier(widths[level + 1] * (1 if level == levels - 1 else 2), widths[level], settings.modes[level])
        for level in reversed(range(levels))
    ]
    lifting = (settings.width, channels + inputs + 2 * settings.positional + 1)
    return [lifting, *down, *up, (settings.projection, 2 * settings.width + 1), (channels, settings.projection)]


def _unet(settings: UNetSettings, channels: int, inputs: int) -> list[tuple[int, int]]:
    widths = [settings.width * 2**level for level in range(settings.levels + 1)]
    entering = [channels + inputs + 2 * settings.positional, *widths[:-1]]

    def block(inputs: int, outputs: int) -> list[tuple[int, int]]:
        return [(outputs, 9 * inputs + 1), (outputs, 9 * outputs + 1)]

    layers = [layer for level, width in enumerate(widths) for layer in block(entering[level], width)]
    for level in range(settings.levels):
        layers += block(2 * widths[level], widths[level])
        layers.append((widths[level], 4 * widths[level + 1] + 1))  # transposed convolution of 2 x 2
        if settings.downsampling == "strided":
            layers.append((widths[level], 9 * widths[level] + 1))
    return [*layers, (channels, settings.width)]
