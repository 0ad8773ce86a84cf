"""What a computation runs in: its device, its random numbers, its trainings and where their states lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import torch
from torch import Tensor, nn

from weightcast.core.config.device import AccelerationSettings
from weightcast.core.config.training import TrainingSettings
from weightcast.core.draws import Draws
from weightcast.core.training import Fit, Resume, fit

Placed = TypeVar("Placed", Tensor, nn.Module)


@dataclass
class Run:
    """The one object that every stage, and every function that trains or draws, is given.

    ``Run()`` computes on the CPU and keeps no state: what tests, notebooks and other programs need.

    Attributes:
        device: where everything lives. Random numbers are drawn on the CPU and moved, files hold CPU tensors.
        acceleration: less exact arithmetic, compiled steps.
        resume: where trainings keep their states, by a key that is computed from the stage's settings, inputs and code;
            None keeps none.
        provenance: what artifacts say of where they come from: stage, digests of settings, inputs and code.
        outputs: where the stage's outputs go, by name.
        curves: training and validation errors of what has been trained, by name.
    """

    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    acceleration: AccelerationSettings = field(default_factory=AccelerationSettings)
    resume: Resume | None = None
    provenance: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Path] = field(default_factory=dict)
    curves: dict[str, Any] = field(default_factory=dict)
    _states: list[Resume] = field(default_factory=list)

    def draws(self, *purpose: str | int) -> Draws:
        """Random numbers for a purpose, on this device; see :class:`weightcast.core.draws.Draws`."""
        return Draws(self.device, *purpose)

    def place(self, value: Placed) -> Placed:
        """A tensor or module on this device."""
        return value.to(self.device)

    @contextmanager
    def initialised(self, seed: int) -> Iterator[None]:
        """Within the block, modules get their first weights from this seed; torch's own state is left as it was."""
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield

    def fit(
        self,
        parameters: Sequence[Tensor],
        loss: Callable[[int], Tensor],
        settings: TrainingSettings,
        *,
        name: str,
        stacked: bool = False,
        may_diverge: bool = False,
        validation: Callable[[], Tensor] | None = None,
    ) -> Fit:
        """Train as :func:`weightcast.core.training.fit`, and note the curve under this name.

        A training's state is kept under the stage's key and this name, which must be its own within the stage.
        """
        state = None if self.resume is None else self.resume.part(name)
        result = fit(
            parameters,
            self._cast(loss),
            settings,
            stacked=stacked,
            may_diverge=may_diverge,
            validation=validation,
            resume=state,
            label=name,
        )
        self.curves[name] = result.curve()
        if state is not None:
            self._states.append(state)
        return result

    def described(self) -> dict[str, Any]:
        """Provenance and curves, as the metadata of this run's artifacts hold them."""
        return dict(self.provenance) | {"curves": dict(self.curves)}

    def finish(self) -> None:
        """Forget the states of trainings: what came of them is safely written."""
        for state in self._states:
            state.clear()
        self._states.clear()

    def _cast(self, loss: Callable[[int], Tensor]) -> Callable[[int], Tensor]:
        """The loss in the precision that the settings ask for."""
        if self.acceleration.autocast == "none":
            return loss

        def cast(step: int) -> Tensor:
            with torch.autocast(self.device.type, torch.bfloat16):
                return loss(step).float()

        return cast
