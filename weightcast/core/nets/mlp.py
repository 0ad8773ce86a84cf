"""A multilayer perceptron: the predictor of systems of ordinary differential equations."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

Activation = Literal["tanh", "gelu", "silu"]
_ACTIVATIONS: dict[str, Callable[[Tensor], Tensor]] = {"tanh": F.tanh, "gelu": F.gelu, "silu": F.silu}


class MLP(nn.Module):
    """One-step map of a state, whose components are the channels of a field on a single point.

    [batch, channel, 1, 1] -> the next state, same shape, same units. A larger grid is refused rather than mapped point
    by point: a network without neighbours cannot predict a field.

    Args:
        channels: components of the state.
        width: of the hidden layers.
        depth: number of hidden layers.
        activation: of the hidden layers.
        residual: predict the increment of the state rather than the state itself.
    """

    def __init__(self, channels: int, width: int, depth: int, activation: Activation, residual: bool = True) -> None:
        super().__init__()
        self.activation = _ACTIVATIONS[activation]
        self.residual = residual
        self.layers = nn.ModuleList(nn.Linear(width if index else channels, width) for index in range(depth))
        self.output = nn.Linear(width, channels)

    def hidden_neurons(self) -> list[list[tuple[str, int]]]:
        """Axes of each hidden layer's neurons; see :class:`weightcast.core.nets.hidden_neurons.HiddenNeurons`."""
        names = [f"layers.{index}" for index in range(len(self.layers))]
        return [
            [(f"{name}.weight", 0), (f"{name}.bias", 0), (f"{later}.weight", 1)]
            for name, later in zip(names, [*names[1:], "output"], strict=True)
        ]

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, channel, 1, 1] -> [batch, channel, 1, 1]."""
        state = frames.flatten(1)  # [batch, channel]; on a larger grid, more than the first layer takes
        for layer in self.layers:
            state = self.activation(layer(state))
        step = self.output(state)[..., None, None]
        return frames + step if self.residual else step
