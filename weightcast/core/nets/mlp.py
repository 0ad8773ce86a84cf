"""A multilayer perceptron: the predictor of ordinary differential equations, as a map or as a vector field."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from weightcast.core.nets.runge_kutta import runge_kutta

Activation = Literal["tanh", "gelu", "silu"]
Integrator = Literal["map", "rk4"]
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
        residual: predict the increment of the state rather than the state itself; of a map alone.
        integrator: ``map``: the network is the step. ``rk4``: it is the state's rate of change, and a step integrates
            it by the classical Runge-Kutta method of fourth order, so that steps may have any length.
        substeps: of the integrator, in a step.
        constants: constant numbers that it is shown beside the state, as further channels behind the state's: a step
            does not return them.
    """

    def __init__(
        self,
        channels: int,
        width: int,
        depth: int,
        activation: Activation,
        residual: bool = True,
        integrator: Integrator = "map",
        substeps: int = 1,
        constants: int = 0,
    ) -> None:
        super().__init__()
        self.channels = channels
        self.activation = _ACTIVATIONS[activation]
        self.residual = residual
        self.integrator = integrator
        self.substeps = substeps
        inputs = [channels + constants, *[width] * (depth - 1)]
        self.layers = nn.ModuleList(nn.Linear(inputs[index], width) for index in range(depth))
        self.output = nn.Linear(width, channels)

    def hidden_neurons(self) -> list[list[tuple[str, int]]]:
        """Axes of each hidden layer's neurons; see :class:`weightcast.core.nets.hidden_neurons.HiddenNeurons`."""
        names = [f"layers.{index}" for index in range(len(self.layers))]
        return [
            [(f"{name}.weight", 0), (f"{name}.bias", 0), (f"{later}.weight", 1)]
            for name, later in zip(names, [*names[1:], "output"], strict=True)
        ]

    def forward(self, frames: Tensor, length: float = 1.0) -> Tensor:
        """[batch, channel, 1, 1] -> [batch, channel, 1, 1].

        Args:
            frames: states; constant numbers, if any, behind their components.
            length: of the step, in time steps between frames; a map knows no other than 1.

        Raises:
            ValueError: another length is asked of a map.
        """
        shown = frames.flatten(1)  # [batch, channel]; on a larger grid, more than the first layer takes
        state, constants = shown[:, : self.channels], shown[:, self.channels :]
        if self.integrator == "rk4":
            moved = runge_kutta(lambda now: self._network(now, constants), state, length, self.substeps)
            return moved[..., None, None]
        if length != 1.0:
            raise ValueError(f"found a step of {length} frame steps, expected 1: the network is a map of one")
        step = self._network(state, constants)[..., None, None]
        return frames[:, : self.channels] + step if self.residual else step

    def _network(self, state: Tensor, constants: Tensor) -> Tensor:
        """[batch, channel], [batch, constant] -> [batch, channel]."""
        hidden = torch.cat([state, constants], 1)
        for layer in self.layers:
            hidden = self.activation(layer(hidden))
        output: Tensor = self.output(hidden)
        return output
