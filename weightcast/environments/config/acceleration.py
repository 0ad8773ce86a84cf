"""The section ``acceleration`` of a study across environments: less exact arithmetic, compiled steps, processes."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Field

from weightcast.core.config.device import AccelerationSettings

MOST_PROCESSES = 1024
"""On one machine: what is beyond it is a slip."""


def _number_or_auto(value: object) -> object:
    """Refuse what is neither, in words that name no type.

    Raises:
        ValueError: it is neither.
    """
    if value == "auto" or (str(value).isdecimal() and 1 <= int(str(value)) <= MOST_PROCESSES):
        return value
    raise ValueError(f"input should be a number from 1 to {MOST_PROCESSES}, or 'auto'")


ProcessCount = Annotated[
    Annotated[int, Field(ge=1, le=MOST_PROCESSES)] | Literal["auto"], BeforeValidator(_number_or_auto)
]
"""How many processes share a training: a number, or ``auto``, one for each GPU that its job sees."""


class SharedAcceleration(AccelerationSettings):
    """Faster and less exact arithmetic, compiled steps, and several processes for a training. All off: a GPU agrees
    with a CPU within rounding. So do several processes with one, whatever their number."""

    processes: ProcessCount = 1
    """Processes that share the training of a VAE, of a diffusion and end to end, each a share of every batch: on CUDA a
    GPU each, on a CPU a core. ``auto``: one for each GPU that the job sees, one on a CPU. Never more than a batch has
    rows. An edit reruns nothing."""
    expert_processes: ProcessCount = 1
    """The same of a shard's experts, of which each process trains some. Where there are many shards, jobs side by side
    are the better use of several GPUs."""

    def processes_of(self, stage: str) -> int | Literal["auto"]:
        """How many processes share the trainings of a stage."""
        return {"train_experts": self.expert_processes}.get(stage, self.processes)
