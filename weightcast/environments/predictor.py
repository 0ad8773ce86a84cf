"""Many predictors of one architecture, called at once on a leading member axis."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from weightcast.core.bounded_memory import BoundedMemory
from weightcast.core.config.messages import LONGEST_SHOWN
from weightcast.core.config.settings import MOST_WEIGHTS
from weightcast.core.errors import InputError
from weightcast.core.graph import WeightGraph
from weightcast.core.nets.build import NO_INPUTS, build_predictor, history_of, input_layout_of
from weightcast.core.nets.input_layout import InputLayout
from weightcast.core.run import Run
from weightcast.environments.history import advanced, newest, recorded
from weightcast.environments.inputs import held
from weightcast.environments.missing_values import comparable


class StackedPredictor:
    """One architecture, any number of weights: ``predictor(weights [member, parameter], frames [member, ...])``.

    The members are vectorised over (``torch.func.vmap``), never looped over: a thousand small networks cost a handful
    of large matrix products.
    """

    layout: InputLayout = NO_INPUTS
    """Of the inputs that it is shown beside the state."""
    history: int = 1
    """Frames of a state, newest first (:mod:`weightcast.environments.history`)."""

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self.graph = WeightGraph(module)
        self.layout = input_layout_of(module)
        self.history = history_of(module)

    @classmethod
    def of_architecture(cls, architecture: Mapping[str, Any]) -> StackedPredictor:
        """The architecture that an artifact describes.

        Raises:
            InputError: there is none like it, or none of a size that anything could hold.
        """
        try:
            with BoundedMemory(MOST_WEIGHTS):
                return cls(build_predictor(dict(architecture)))
        except (KeyError, TypeError, ValueError, RuntimeError) as error:
            said = " ".join(str(error).split())[:LONGEST_SHOWN]
            raise InputError(f"architecture: cannot be built ({said}), expected a predictor's") from None

    def to(self, device: torch.device) -> StackedPredictor:
        """The same architecture, for weights and frames on a device."""
        return StackedPredictor(self.module.to(device))

    def on(self, run: Run) -> StackedPredictor:
        """The same architecture as a run's trainings call it: on its device, compiled if it says so."""
        return self.to(run.device).compiled(run.acceleration.compile)

    def compiled(self, mode: Literal["none", "default", "cuda-graphs"]) -> StackedPredictor:
        """The same architecture with its stacked step compiled by torch.compile, for trainings of many equal steps.

        Args:
            mode: ``default``; ``cuda-graphs``, which on CUDA records each step as a graph; or ``none``.

        The first step is run as it is, which fills the tables that compilation reads, and the next one compiles, which
        takes seconds to minutes. What needs no gradient, of other shapes as a rule, is computed as it is.
        """
        return self if mode == "none" else _CompiledPredictor(self.module, mode)

    def __call__(self, weights: Tensor, frames: Tensor) -> Tensor:
        """One step of every member: frames [member, batch, channel, y, x] -> the next frames, same shape.

        Of a predictor with a history older frames stand behind the newest one's channels, of one that is shown inputs
        these behind the channels of the state. The next frame alone is returned, without either.
        """
        state = self.graph.unflatten(weights)
        return vmap(lambda member, batch: functional_call(self.module, member, (batch,)))(state, frames)

    def state(self, frames: Tensor) -> Tensor:
        """The channels [..., channel, y, x] of frames without those that are inputs: what a rollout starts from."""
        return frames[..., : frames.shape[-3] - self.layout.shown, :, :] if self.layout.shown else frames

    def newest(self, frames: Tensor) -> Tensor:
        """The channels of the newest frame alone: what forecasts are compared with."""
        return newest(self.state(frames), self.history)

    def recorded(self, frames: Tensor) -> Tensor:
        """The frames that consecutive states [..., frame, channel, y, x] are made of, each once."""
        return recorded(self.state(frames), self.history)

    def inputs(self, frames: Tensor) -> Tensor:
        """The inputs [..., shown, y, x] of frames, which are their last channels."""
        return frames[..., frames.shape[-3] - self.layout.shown :, :, :]

    def rollout(self, weights: Tensor, initial: Tensor, steps: int, inputs: Tensor | None = None) -> Tensor:
        """Feed the predictor its own output.

        Args:
            weights: [member, parameter].
            initial: states [member, batch, channel, y, x], older frames, if any, behind the newest.
            inputs: what each step is shown beside the state [member, batch, step, shown, y, x]; what is known in the
                past alone is taken of the first one.

        Returns:
            [member, batch, step, channel, y, x]: the ``steps`` frames after ``initial``, each once.

        Raises:
            ValueError: the predictor is shown inputs, and there are too few or none.
        """
        shown = self._driving(inputs, steps)
        state, forecast = initial, []
        for step in range(steps):
            following = self(weights, state if shown is None else torch.cat([state, shown[:, :, step]], dim=2))
            forecast.append(following)
            state = advanced(state, following)
        return torch.stack(forecast, dim=2)

    def forecast(self, weights: Tensor, windows: Tensor) -> Tensor:
        """Rollouts from the first frames of windows, as long as these, with the inputs that they have.

        Args:
            weights: [member, parameter].
            windows: [member, batch, 1 + step, channel, y, x], inputs behind the channels of the state.

        Returns:
            [member, batch, step, channel, y, x], to be compared with the windows' newest frames.
        """
        steps = windows.shape[2] - 1
        inputs = self.inputs(windows[:, :, :steps]) if self.layout.shown else None
        return self.rollout(weights, self.state(windows[:, :, 0]), steps, inputs)

    def _driving(self, inputs: Tensor | None, steps: int) -> Tensor | None:
        """What steps are shown; None where that is nothing."""
        if not self.layout.shown:
            return None
        if inputs is None or inputs.shape[2] < steps or inputs.shape[3] != self.layout.shown:
            found = "none" if inputs is None else f"{inputs.shape[3]} of {inputs.shape[2]} steps"
            raise ValueError(f"inputs: found {found}, expected {self.layout.shown} of {steps} steps")
        return held(inputs, self.layout)

    def rollout_error(self, weights: Tensor, windows: Tensor, missing: bool = False) -> Tensor:
        """Squared error of an unrolled forecast, which every predictor here is trained with.

        Args:
            weights: [member, parameter].
            windows: [member, batch, 1 + step, channel, y, x]: the start and the frames to be forecast, inputs behind
                the channels of the state.
            missing: whether values of the windows may be missing, as NaN.

        Returns:
            [member, batch]: mean over steps, channels and grid, in the windows' (normalised) units. Where values are
            missing, the sum over those that a forecast can be compared with, in units of how many a member's windows
            have on average: the mean over its windows is the mean over all of its values that are there.
        """
        if missing:
            return self._error_of_observed(weights, windows)
        shown = self._driving(self.inputs(windows) if self.layout.shown else None, windows.shape[2] - 1)
        state, truth = self.state(windows[:, :, 0]), self.newest(windows)
        error = truth.new_zeros(truth.shape[:2])
        for step in range(1, truth.shape[2]):
            following = self(weights, state if shown is None else torch.cat([state, shown[:, :, step - 1]], dim=2))
            error = error + (following - truth[:, :, step]).square().flatten(2).mean(2)
            state = advanced(state, following)
        return error / (truth.shape[2] - 1)

    def _error_of_observed(self, weights: Tensor, windows: Tensor) -> Tensor:
        """The same where values are missing. What takes their place on the way reaches nothing that is compared."""
        seen = comparable(windows, self.layout, self.history)
        known = torch.nan_to_num(windows)
        shown = self._driving(self.inputs(known) if self.layout.shown else None, windows.shape[2] - 1)
        state, truth = self.state(known[:, :, 0]), self.newest(known)
        error = truth.new_zeros(truth.shape[:2])
        for step in range(1, truth.shape[2]):
            following = self(weights, state if shown is None else torch.cat([state, shown[:, :, step - 1]], dim=2))
            difference = torch.where(seen[:, :, step - 1], following - truth[:, :, step], 0.0)
            error = error + difference.square().flatten(2).sum(2)
            state = advanced(state, following)
        counts = seen.flatten(2).sum(2).to(error.dtype).mean(1, keepdim=True)
        return error / torch.where(counts > 0, counts, 1.0)


class _CompiledPredictor(StackedPredictor):
    """A stacked predictor whose step is compiled when it is called for the second time."""

    def __init__(self, module: nn.Module, mode: str) -> None:
        super().__init__(module)
        self._mode = "reduce-overhead" if mode == "cuda-graphs" else None
        self._warm = False
        self._compiled: Callable[[Tensor, Tensor], Tensor] | None = None

    def __call__(self, weights: Tensor, frames: Tensor) -> Tensor:
        if not self._warm or not torch.is_grad_enabled():
            self._warm = True
            return super().__call__(weights, frames)
        if self._compiled is None:
            self._compiled = torch.compile(super().__call__, mode=self._mode)
        return self._compiled(weights, frames)
