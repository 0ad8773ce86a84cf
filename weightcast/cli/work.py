"""What computing takes: seconds of a core of this machine, and floating-point operations."""

from __future__ import annotations

from dataclasses import dataclass

FORWARD_SHARE = 1 / 3
"""Of a training step's work: a backward pass takes about twice as much as a forward pass."""


@dataclass(frozen=True)
class Work:
    """Of a step, a training or a part of a study; adds up, and grows in proportion.

    Attributes:
        seconds: on one core of this machine.
        operations: floating-point, as `weightcast.cli.operations` counts them; 0 where they are not counted.
    """

    seconds: float = 0.0
    operations: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.seconds + other.seconds, self.operations + other.operations)

    def __mul__(self, times: float) -> Work:
        return Work(self.seconds * times, self.operations * times)

    __rmul__ = __mul__
