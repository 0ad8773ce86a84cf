"""Where computations run, how exactly, and with how much memory: the keys ``device``, ``acceleration``, ``memory``."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from weightcast.core.config.settings import Settings

DEVICE_PATTERN = r"auto|cpu|cuda(:[0-9]+)?"

DeviceName = Annotated[
    str,
    Field(
        pattern=f"^({DEVICE_PATTERN})$",
        description="Where computations run: ``auto`` (a GPU where there is one), ``cpu``, ``cuda`` or "
        "``cuda:<number>``. An edit reruns nothing: what is computed on either agrees within rounding.",
    ),
]
"""The key ``device`` of both kinds of studies."""

MEMORY_GB = 4.0
"""What ``memory`` is unless somebody says otherwise."""

MemoryBudget = Annotated[
    float,
    Field(
        gt=0,
        description="Gigabytes of networks' weights that a job holds at once, as they are trained, generated, encoded "
        "or rolled out. What does not fit stays in files, and is computed with some networks at a time. A step "
        "of a training that would take more is computed in pieces of its batch. Evaluations read test trajectories in "
        "pieces that fit into as much again. Beside it a job holds the frames that it learns from, and what it trains "
        "itself: ``weightcast check`` says how much the three largest ask for, "
        "``weightcast check --memory`` what all do, and what of it this key does not bound. An edit reruns nothing: "
        "what is computed with more networks at a time or with fewer agrees within rounding.",
    ),
]
"""The key ``memory`` of studies across environments."""


class AccelerationSettings(Settings):
    """Faster and less exact arithmetic, or compiled steps. All off: a GPU agrees with a CPU within rounding."""

    tf32: bool = False
    """On CUDA: products of float32 matrices with ten bits of mantissa (TensorFloat-32)."""
    autocast: Literal["none", "bfloat16"] = "none"
    """Forward passes of trainings in bfloat16 where torch takes that for safe; weights stay float32."""
    compile: Literal["none", "default", "cuda-graphs"] = "none"
    """Compile the stacked step of predictors with torch.compile, on CUDA also as CUDA graphs. Needs a C++ compiler
    (on CUDA, Triton); without one, steps run as they are, with a warning."""
