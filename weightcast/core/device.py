"""The device that computations run on, chosen by name."""

from __future__ import annotations

import re

import torch

from weightcast.core.config.device import DEVICE_PATTERN, AccelerationSettings
from weightcast.core.errors import InputError
from weightcast.core.processes import Processes


def choose_device(name: str = "auto", source: str = "device") -> torch.device:
    """The device of a name.

    Args:
        name: ``auto`` (a GPU where torch sees one, else the CPU), ``cpu``, ``cuda`` or ``cuda:<number>``.
        source: where the name was given, for messages.

    Raises:
        InputError: another name, or a GPU that is not there.
    """
    if re.fullmatch(DEVICE_PATTERN, name) is None:
        raise InputError(f"{source}: found {name!r}, expected auto, cpu, cuda or cuda:<number>")
    there = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "cpu" or (name == "auto" and not there):
        return torch.device("cpu")
    number = int(name.partition(":")[2] or 0)
    if number >= there:
        found = "no GPU" if not there else f"{there} GPU{'s' if there > 1 else ''}, numbered from 0"
        raise InputError(f"{source}: found {name!r}, expected a device of this machine: torch sees {found}")
    return torch.device("cuda", number)


def device_of_process(device: torch.device, name: str, processes: Processes) -> torch.device:
    """The device of one of several processes: a CPU they have together, of GPUs each has its own.

    Args:
        device: that the name stands for.
        name: as :func:`choose_device` takes it.
        processes: of the job.

    Raises:
        InputError: there are not so many GPUs, or a single one was named.
    """
    if processes.alone or device.type == "cpu":
        return device
    there = torch.cuda.device_count()
    if ":" in name:
        raise InputError(f"device: found {name!r} with {processes.count} processes, expected cuda: each has a GPU")
    if processes.count > there:
        gpus = f"{there} GPU{'s' if there > 1 else ''}"
        raise InputError(f"--processes: found {processes.count}, expected at most {there}: torch sees {gpus}")
    return torch.device("cuda", processes.rank)


def gpus_of(name: str) -> int:
    """How many GPUs a job may use on devices of a name, as :func:`choose_device` takes it; 0 on a CPU."""
    device = choose_device(name)
    if device.type == "cpu":
        return 0
    return 1 if ":" in name else torch.cuda.device_count()


def set_precision(acceleration: AccelerationSettings) -> None:
    """Set how exactly products of float32 matrices are computed on CUDA, for the whole process."""
    torch.backends.cuda.matmul.allow_tf32 = acceleration.tf32
    torch.backends.cudnn.allow_tf32 = acceleration.tf32


def stack_size(device: torch.device, bytes_each: int, on_cpu: int) -> int:
    """How many networks to compute with at once.

    Args:
        device: a GPU is filled up to half of its free memory; a CPU has caches, and a job the memory that it asked for.
        bytes_each: that one network needs, with what is computed on the way.
        on_cpu: the number for a CPU.
    """
    if device.type != "cuda":
        return on_cpu
    free, _ = torch.cuda.mem_get_info(device)
    return max(1, int(free / 2 / max(1, bytes_each)))
