"""Predictors in physical units: what a user gets, on disk and as torch modules."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from numpy.typing import ArrayLike
from torch import Tensor, nn

from weightcast.core.artifacts import Artifact, load_artifact, save_artifact, understood
from weightcast.core.errors import InputError
from weightcast.core.graph import WeightGraph
from weightcast.core.nets.build import build_predictor, history_of, input_layout_of
from weightcast.core.nets.input_layout import InputLayout
from weightcast.environments.history import advanced, embedded, newest
from weightcast.environments.inputs import held, shown_inputs
from weightcast.environments.normalisation import Normalisation

WHOLE = 1e-6
"""By which a number of steps may miss a whole one."""


class PhysicalPredictor(nn.Module):
    """A one-step map in physical units: a predictor between a normalisation and its inverse.

    One that sees several frames takes the older ones behind the channels of the newest
    (:mod:`weightcast.environments.history`), one that is shown inputs what a step is shown of them behind these
    (:mod:`weightcast.environments.inputs`); both give the next frame alone.

    Attributes:
        environment: parameters of the environment that the weights are for, if known.
        grid: points (y, x) of the study's frames, if known.
    """

    def __init__(
        self,
        network: nn.Module,
        normalisation: Normalisation,
        environment: Mapping[str, float],
        grid: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.network = network
        self.normalisation = normalisation
        self.environment = dict(environment)
        self.grid = grid

    @property
    def inputs(self) -> InputLayout:
        """Layout of the inputs that it is shown beside the state."""
        return input_layout_of(self.network)

    @property
    def history(self) -> int:
        """Frames that it sees, the newest among them."""
        return history_of(self.network)

    def forward(self, frames: Tensor) -> Tensor:
        """[batch, channel, y, x] in physical units -> the next frames, same shape and units."""
        return self.normalisation.invert(self.network(self.normalisation.apply(frames)))

    @property
    def integrates(self) -> bool:
        """Whether the network is a rate of change, so that it knows any time and not whole steps alone; but inputs, and
        frames before the last, are known at whole steps."""
        return getattr(self.network, "integrator", "map") == "rk4" and not self.inputs.shown and self.history == 1

    @torch.no_grad()
    def rollout(
        self,
        initial: ArrayLike | Tensor,
        steps: int | None = None,
        times: Sequence[float] | None = None,
        inputs: ArrayLike | Tensor | None = None,
    ) -> Tensor:
        """Initial frames [batch, channel, y, x] -> the frames that follow [batch, step, channel, y, x].

        Args:
            initial: in physical units; numbers of any kind and on any device, which are made those of the network. Of a
                network with a history the last so many frames, in the order of time [batch, history, channel, y, x].
            steps: how many frames, one step apart, or
            times: since the initial frames, in steps between frames, from 0 on and increasing. Where the network
                integrates a rate of change they may be any; otherwise whole numbers.
            inputs: columns of inputs from the initial frame on [batch, frame, column, y, x], in physical units, where
                the network is shown any; one batch serves all. What is known in the past alone is taken of the first.

        Raises:
            InputError: the frames have another shape, not one of ``steps`` and ``times`` is given, the times are of no
                use, or inputs are missing.
        """
        if (steps is None) == (times is None):
            raise InputError("rollout: expected either a number of steps or times")
        if steps is not None:
            times = range(1, steps + 1)
        assert times is not None
        frames = self._checked(initial)
        states = embedded(frames, self.history)[:, 0] if self.history > 1 else frames
        return newest(self.states(states, times, inputs), self.history)

    @torch.no_grad()
    def states(self, initial: Tensor, times: Sequence[float], inputs: ArrayLike | Tensor | None = None) -> Tensor:
        """The same with older frames behind the newest one's channels, newest first.

        Args:
            initial: states [batch, history * channel, y, x], physical units, as the network's numbers are.
            times: see :meth:`rollout`.
            inputs: likewise.

        Returns:
            [batch, step, history * channel, y, x].
        """
        now, frames, forecast = 0.0, self.normalisation.apply(initial), []
        shown = self._shown(inputs, frames, math.ceil(max(times, default=0.0)))
        for time in times:
            frames = self._advance(frames, now, float(time), shown)
            now = float(time)
            forecast.append(self.normalisation.invert(frames))
        return torch.stack(forecast, dim=1)

    def _checked(self, initial: ArrayLike | Tensor) -> Tensor:
        """Frames as the network takes them."""
        like = next(self.network.parameters(), torch.zeros(()))
        try:
            frames = torch.as_tensor(initial).to(device=like.device, dtype=like.dtype)
        except (TypeError, ValueError, RuntimeError) as error:
            reason = (str(error).splitlines() or [type(error).__name__])[0]
            raise InputError(f"rollout: initial: found no numbers ({reason}), expected an array or tensor") from None
        channels = (len(self.normalisation.mean) - self.inputs.shown) // self.history
        points = [str(size) for size in self.grid or ("y", "x")]
        wanted, words = ((self.history, channels), "frame, channel") if self.history > 1 else ((channels,), "channel")
        if frames.ndim != 3 + len(wanted) or tuple(frames.shape[1:-2]) != wanted:
            raise InputError(
                f"rollout: initial: found the shape {list(frames.shape)}, expected [batch, "
                f"{', '.join(map(str, wanted))}, {', '.join(points)}]: batch, {words}, y, x"
            )
        if self.grid is not None and tuple(frames.shape[-2:]) == self.grid[::-1] != self.grid:
            raise InputError(
                f"rollout: initial: found {frames.shape[-2]} x {frames.shape[-1]} points, expected "
                f"{' x '.join(points)} (y, x): are y and x swapped?"
            )
        return frames

    def _shown(self, inputs: ArrayLike | Tensor | None, frames: Tensor, steps: int) -> Tensor | None:
        """What so many steps are shown beside the state, normalised [batch, step, shown, y, x]; None: nothing."""
        layout = self.inputs
        if not layout.shown:
            return None
        columns = None if inputs is None else torch.as_tensor(inputs).to(frames)
        expected = (len(layout.columns), *frames.shape[2:])
        if columns is None or columns.ndim != 5 or columns.shape[2:] != expected:
            found = "none" if columns is None else f"the shape {list(columns.shape)}"
            raise InputError(
                f"rollout: inputs: found {found}, expected [batch, frame, {', '.join(map(str, expected))}]: columns "
                f"{', '.join(layout.columns)} from the initial frame on"
            )
        if columns.shape[1] < layout.needed(steps):
            raise InputError(
                f"rollout: inputs: found {columns.shape[1]} frames, expected {layout.needed(steps)} from the initial "
                f"one on for {steps} steps"
            )
        short = max(0, steps - columns.shape[1])  # of what is known in the past alone
        columns = torch.cat([columns, columns[:, -1:].expand(-1, short, -1, -1, -1)], dim=1)
        shown = held(shown_inputs(columns, layout)[:, :steps], layout)
        return self.normalisation.apply_to_inputs(shown).expand(len(frames), -1, -1, -1, -1)

    def _advance(self, frames: Tensor, now: float, then: float, shown: Tensor | None) -> Tensor:
        """Normalised frames at a later time, in steps no longer than the trained one."""
        length = then - now
        if not math.isfinite(length) or length < 0:
            raise InputError(f"times: found {then:g} after {now:g}, expected numbers from 0 on that increase")
        whole = math.isclose(length, round(length), abs_tol=WHOLE)
        if not (whole or self.integrates):
            raise InputError(f"times: found {then:g} after {now:g}, expected whole steps: the network is a map of one")
        parts = round(length) if whole else math.ceil(length)
        for part in range(parts):
            seen = frames if shown is None else torch.cat([frames, shown[:, round(now) + part]], dim=1)
            following = self.network(seen) if whole else self.network(seen, length / parts)
            frames = advanced(frames, following)
        return frames


def physical_predictors(
    weights: Tensor, shared: Mapping[str, Any], environment: Mapping[str, float]
) -> list[PhysicalPredictor]:
    """Modules from weights.

    Args:
        weights: [sample, weight].
        shared: architecture and normalisation, as artifacts hold them.
        environment: parameters that the weights are for.
    """
    models: list[PhysicalPredictor] = []
    grid = shared.get("grid")
    for row in weights:
        network = build_predictor(dict(shared["architecture"]))
        WeightGraph(network).write(network, row)
        network.requires_grad_(False)
        normalisation = Normalisation.from_metadata(shared["normalisation"])
        models.append(PhysicalPredictor(network, normalisation, environment, None if grid is None else tuple(grid)))
    return models


def save_models(
    path: str | Path,
    weights: Tensor,
    shared: Mapping[str, Any],
    metadata: Mapping[str, Any],
    probabilities: Tensor | None = None,
    further: Mapping[str, Tensor] | None = None,
) -> None:
    """Write generated predictors as one ``model`` artifact.

    Args:
        path: a ``.safetensors`` file.
        weights: [sample, weight].
        shared: architecture and normalisation.
        metadata: environment, seed, channels, grid, digest of the generator, ...
        probabilities: of the samples, with a sum of 1 [sample]; None where each counts as much as any other.
        further: tensors that are kept beside them, by name.
    """
    tensors = {"weights": weights} | ({} if probabilities is None else {"probabilities": probabilities})
    tensors |= further or {}
    save_artifact(path, "model", tensors, dict(shared) | dict(metadata))


def load_models(path: str | Path) -> tuple[list[PhysicalPredictor], Artifact]:
    """Read a ``model`` artifact: its predictors in physical units, and the artifact.

    Raises:
        InputError: it is missing, damaged or of another kind.
    """
    artifact = load_artifact(path, "model")
    metadata = artifact.metadata
    with understood(artifact):
        weights, probabilities = artifact.tensors["weights"], artifact.tensors.get("probabilities")
        if weights.ndim != 2 or not weights.numel():
            raise InputError(f"{path}: tensors: weights: found shape {list(weights.shape)}, expected [sample, weight]")
        if probabilities is not None and probabilities.shape != weights.shape[:1]:
            found = list(probabilities.shape)
            raise InputError(f"{path}: tensors: probabilities: found shape {found}, expected {[len(weights)]}")
        return physical_predictors(weights, metadata, metadata["environment"]), artifact
