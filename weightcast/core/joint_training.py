"""How the processes of a job share a training: what each does in a step, and how its state becomes one file.

What is trained on batches is the same in all processes: each computes a share of every batch, and gradients are added
up (:class:`SharedBatches`). Members of a stack are independent: each process has some of them, and nothing of them is
sent but for a state (:class:`SharedMembers`). States are as one process saves them, so that another number of processes
goes on from there.

Gradients are added up after the backward pass, in buckets, and not by ``DistributedDataParallel``. That wraps a
module's forward pass, where losses here go through several methods of several modules and through ``torch.func``; it
averages over processes alike, where shares here may differ by a row. What is forgone is to send the gradients of the
last layers while those of the first are computed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import torch
from torch import Tensor

from weightcast.core.interruption import asked
from weightcast.core.processes import Processes
from weightcast.core.share import Share


class OneProcess:
    """A training that nobody shares.

    Attributes:
        processes: of the job.
    """

    def __init__(self, processes: Processes) -> None:
        self.processes = processes

    def begin(self, parameters: Sequence[Tensor]) -> None:
        """Begin in all processes with the same parameters."""

    def step(self, parameters: Sequence[Tensor], value: Tensor, due: bool) -> Tensor:
        """After the backward pass: make each gradient, and the loss, that of the whole batch.

        Args:
            parameters: with gradients of this process's share.
            value: its loss [member].
            due: whether a state is to be saved after this step, as this process's clock says.

        Returns:
            The loss of the whole batch [member].
        """
        self._due = due
        return value

    @property
    def saves(self) -> bool:
        """Whether a state is to be saved after this step."""
        return self._due

    @property
    def stops(self) -> bool:
        """Whether the training is to save its state and end, since somebody asked a process of the job to."""
        return asked()

    def validated(self, validation: Callable[[], Tensor], members: int) -> Tensor:
        """The validation error [member]."""
        return validation().detach().reshape(-1).expand(members)

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Join the states of what each process trains to one of everything, in the first process."""
        return dict(tensors)

    def own(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Take of a state of everything what this process trains: the inverse of :meth:`whole`."""
        return dict(tensors)


class SharedBatches(OneProcess):
    """Every process has all parameters, and a share of each batch."""

    def __init__(self, processes: Processes) -> None:
        super().__init__(processes)
        self._stops = False

    def begin(self, parameters: Sequence[Tensor]) -> None:
        self._device = parameters[0].device
        self.processes.copy([parameter.detach() for parameter in parameters])

    def step(self, parameters: Sequence[Tensor], value: Tensor, due: bool) -> Tensor:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        message = torch.cat([value, value.new_tensor([float(asked())])])
        self.processes.add([*gradients, message])
        self._due = due
        self._stops = float(message[-1]) > 0.0
        return message[:-1]

    @property
    def stops(self) -> bool:
        return self._stops

    def validated(self, validation: Callable[[], Tensor], members: int) -> Tensor:
        # Of one process, so that all keep the same weights as the best, to the bit.
        found = validation().detach().reshape(-1).float() if self.processes.leads else torch.zeros(1)
        error = found[:1].clone().to(self._device)
        self.processes.copy([error])
        return error.expand(members)


class SharedMembers(OneProcess):
    """Every process has members of its own, on the leading axis of all parameters.

    Args:
        processes: of the job.
        members: of this process.
    """

    def __init__(self, processes: Processes, members: int) -> None:
        super().__init__(processes)
        count = torch.tensor([members])
        processes.add([count])
        self.share: Share = processes.share(int(count))
        self._stops = self._saves = False

    def step(self, parameters: Sequence[Tensor], value: Tensor, due: bool) -> Tensor:
        # All go from step to step together, so that a state has all members after the same step.
        flags = torch.tensor([float(asked()), float(due and self.processes.leads)])
        self.processes.add([flags])
        self._stops, self._saves = (flags > 0.0).tolist()
        return value

    @property
    def saves(self) -> bool:
        return self._saves

    @property
    def stops(self) -> bool:
        return self._stops

    def whole(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: tensor if (axis := _member_axis(name, tensor)) is None else self._joined(tensor, axis)
            for name, tensor in tensors.items()
        }

    def own(self, tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
        return {
            name: tensor
            if (axis := _member_axis(name, tensor)) is None
            else tensor.narrow(axis, self.share.first, len(self.share)).clone()
            for name, tensor in tensors.items()
        }

    def _joined(self, tensor: Tensor, axis: int) -> Tensor:
        return self.processes.joined(tensor, self.share.whole, axis)


def joint_training(processes: Processes, stacked: bool, members: int) -> OneProcess:
    """How a training is shared.

    Args:
        processes: of the job.
        stacked: whether parameters have a leading axis of independent members.
        members: how many, of this process.
    """
    if processes.alone:
        return OneProcess(processes)
    return SharedMembers(processes, members) if stacked else SharedBatches(processes)


def _member_axis(name: str, tensor: Tensor) -> int | None:
    """The axis of members of a tensor in a training's state; None where it has none: the optimiser's count of steps."""
    if tensor.ndim == 0:
        return None
    return 1 if name in ("losses", "validation") else 0
