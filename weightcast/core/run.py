"""What a computation runs in: its device, its random numbers, its trainings and where their states lie.

Stages that compute nothing with torch are given a run as well, and do not wait for torch to be imported: device,
provenance and trainings are looked up when they are asked for.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from weightcast.core.config.device import MEMORY_GB, AccelerationSettings
from weightcast.core.processes import Processes

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from weightcast.core.config.training import TrainingSettings
    from weightcast.core.draws import Draws
    from weightcast.core.stored_tensor import Rows, ScratchTensor
    from weightcast.core.training import Fit, Loss, Resume

    Placed = TypeVar("Placed", bound=Tensor | nn.Module)

Kept = tuple["Mapping[str, Rows]", Mapping[str, Any]]
"""Tensors by name, and JSON values by name."""
Identity = Callable[[], tuple[str, Mapping[str, Any]]]
"""Computes the key of everything that a run's results depend on, and the parts that it is made of."""


class Run:
    """The one object that every stage, and every function that trains or draws, is given.

    ``Run()`` computes on the CPU and keeps no state: what tests, notebooks and other programs need.

    Args:
        device: where everything lives: ``cpu``, ``cuda``, ``cuda:<number>``, ``auto``, or a torch device. Random
            numbers are drawn on the CPU and moved, files hold CPU tensors.
        acceleration: less exact arithmetic, compiled steps.
        resume: where trainings keep their states; None keeps none, unless ``state`` says where.
        state: folder for states, under the key that ``identity`` gives.
        identity: computed when it is needed, since digesting all inputs takes a moment.
        provenance: replaces the parts of the identity in what artifacts say of where they come from.
        outputs: where the stage's outputs go, by name.
        processes: that share its trainings, each of which has such a run; this one alone if None.
        memory: gigabytes of networks' weights, or of a training step's activations, that are held at once; the default
            of studies if None.

    Attributes:
        memory: in bytes.
        curves: training and validation errors of what has been trained, by name.
    """

    def __init__(
        self,
        device: torch.device | str = "cpu",
        acceleration: AccelerationSettings | None = None,
        *,
        resume: Resume | None = None,
        state: Path | None = None,
        identity: Identity | None = None,
        provenance: Mapping[str, Any] | None = None,
        outputs: Mapping[str, Path] | None = None,
        processes: Processes | None = None,
        memory: float | None = None,
    ) -> None:
        self._device = device
        self.acceleration = acceleration or AccelerationSettings()
        self._resume = resume
        self._state = state
        self._identity = identity
        self._provenance = provenance
        self.outputs = dict(outputs or {})
        self.processes = processes or Processes()
        self.memory = int(1e9 * (MEMORY_GB if memory is None else memory))
        self._promised = 0
        self.curves: dict[str, Any] = {}
        self._states: list[Resume] = []

    @cached_property
    def device(self) -> torch.device:
        """Where everything lives; the first look at it also sets the precision of this process.

        Raises:
            InputError: there is no such device.
        """
        from weightcast.core.device import choose_device, device_of_process, set_precision

        set_precision(self.acceleration)
        if not isinstance(self._device, str):
            return self._device
        return device_of_process(choose_device(self._device), self._device, self.processes)

    @cached_property
    def resume(self) -> Resume | None:
        """Where trainings keep their states, if anywhere."""
        if self._resume is not None or self._state is None:
            return self._resume
        from weightcast.core.training import Resume

        return Resume(self._state, self.key[0])

    @cached_property
    def key(self) -> tuple[str, Mapping[str, Any]]:
        """The key of everything that the results depend on, and its parts."""
        return ("", {}) if self._identity is None else self._identity()

    @property
    def provenance(self) -> Mapping[str, Any]:
        """What artifacts say of where they come from: stage, digests of settings, inputs and code."""
        return self.key[1] if self._provenance is None else self._provenance

    def draws(self, *purpose: str | int) -> Draws:
        """Random numbers for a purpose, on this device; see :class:`weightcast.core.draws.Draws`."""
        from weightcast.core.draws import Draws

        return Draws(self.device, *purpose)

    def place(self, value: Placed) -> Placed:
        """A tensor or module on this device."""
        return cast("Placed", value.to(self.device))

    def holds(self, numbers: int) -> bool:
        """Whether so many numbers of four bytes may be in memory at once."""
        return 4 * numbers <= self.memory

    def together(self, numbers_each: int) -> int:
        """How many networks to compute with at once, of which each takes so many numbers; at least one."""
        return max(1, self.memory // (4 * max(1, numbers_each)))

    def room(self, *shape: int) -> Tensor | ScratchTensor:
        """Room for what a stage makes row by row, in memory or, beyond a quarter of what may be there, in a file.

        A quarter, since what is written is copied once, and as much is made meanwhile.
        """
        import torch

        from weightcast.core.stored_tensor import ScratchTensor

        size = 4 * math.prod(shape)
        if self._promised + size <= self.memory // 4:
            self._promised += size
            return torch.empty(shape)
        output = next(iter(self.outputs.values()), None)
        return ScratchTensor(Path(tempfile.gettempdir()) if output is None else output.parent, shape)

    @contextmanager
    def initialised(self, seed: int) -> Iterator[None]:
        """Within the block, modules get their first weights from this seed; torch's own state is left as it was."""
        import torch

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            yield

    def fit(
        self,
        parameters: Sequence[Tensor],
        loss: Loss | Sequence[Loss],
        settings: TrainingSettings,
        *,
        name: str,
        stacked: bool = False,
        may_diverge: bool = False,
        validation: Callable[[], Tensor] | None = None,
    ) -> Fit:
        """Train as :func:`weightcast.core.training.fit`, and note the curve under this name.

        A training's state is kept under the run's key and this name, which must be its own within the stage. Several
        processes share the training, each with its share of the loss, or of a stack's members.
        """
        from weightcast.core.training import fit, joined, losses_of

        state = None if self.resume is None else self.resume.part(name)
        result = fit(
            parameters,
            list(map(self._cast, losses_of(loss))),
            settings,
            stacked=stacked,
            may_diverge=may_diverge,
            validation=validation,
            resume=state,
            label=name,
            processes=self.processes,
        )
        self.curves[name] = (joined(result, self.processes) if stacked else result).curve()
        if state is not None:
            self._states.append(state)
        return result

    def alone(self) -> Run:
        """This run as one whose trainings no other process shares; curves and states are this run's."""
        own = copy(self)
        own.processes = Processes()
        return own

    @contextmanager
    def iterations(self, count: int, name: str, sizes: tuple[int, ...] | None = None) -> Iterator[int]:
        """How many of so many iterations, one as long as the other, the block is to do: all; a rehearsal does fewer.

        Args:
            count: of the iterations.
            name: of what they are of.
            sizes: that one takes as long as they say, where the block is iterations and nothing else; a rehearsal then
                does one of these sizes, and none the next time. None: the block also looks at the start.
        """
        yield count

    def kept(self, name: str, compute: Callable[[], Kept]) -> Kept:
        """What a computation that is no training gives: kept, like the state of one, until the stage is over.

        For stages that go through many methods, each in its turn: one that is killed goes on with the next one.

        Args:
            name: of the computation, its own within the stage.
            compute: gives tensors by name, and JSON values by name.
        """
        if self.resume is None:
            return compute()
        from weightcast.core.artifacts import load_artifact, open_artifact, save_artifact
        from weightcast.core.errors import InputError

        state = self.resume.part("kept", name)
        self._states.append(state)
        if state.path.is_file():
            try:
                if state.path.stat().st_size > self.memory // 4:  # as it was made, in a file: see `room`
                    large = open_artifact(state.path, "resume")
                    return large.tensors, large.metadata["values"]
                found = load_artifact(state.path, "resume")
            except InputError:  # damaged: computed again
                state.clear()
            else:
                return {key: self.place(tensor) for key, tensor in found.tensors.items()}, found.metadata["values"]
        tensors, values = compute()
        save_artifact(state.path, "resume", tensors, {"values": dict(values)})
        return tensors, values

    def described(self) -> dict[str, Any]:
        """Provenance and curves, as the metadata of this run's artifacts hold them."""
        return dict(self.provenance) | {"curves": dict(self.curves)}

    def finish(self) -> None:
        """Forget the states of trainings: what came of them is safely written."""
        for state in self._states:
            state.clear()
        self._states.clear()

    def _cast(self, loss: Loss) -> Loss:
        """The loss in the precision that the settings ask for."""
        if self.acceleration.autocast == "none":
            return loss

        def cast(step: int) -> Tensor:
            import torch

            with torch.autocast(self.device.type, torch.bfloat16):
                return loss(step).float()

        return cast
