"""The condition ``code``: numbers that were learned for each visible environment, and are inferred for others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from weightcast.core.errors import InputError
from weightcast.environments.conditions.condition import Condition, Known
from weightcast.environments.config.condition import ConditionSettings


class CodeCondition(Condition):
    """A learned code, as it is; an embedding is the code itself.

    Attributes:
        codes: of the visible environments [environment, dimension], with which the prior of others is described.
    """

    codes: Tensor

    def __init__(self, codes: Tensor) -> None:
        super().__init__()
        self.register_buffer("codes", codes)
        self.coordinates = self.width = codes.shape[1]

    @classmethod
    def of(
        cls, visible: Sequence[Known], logarithmic: Sequence[str] = (), settings: ConditionSettings | None = None
    ) -> CodeCondition:
        return cls(_codes(visible))

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> CodeCondition:
        return cls(torch.zeros(int(description["environments"]), int(description["dimensions"])))

    def describe(self) -> dict[str, Any]:
        return {"kind": "code", "environments": len(self.codes), "dimensions": self.codes.shape[1]}

    def prepare(self, known: Sequence[Known]) -> Tensor:
        return _codes(known)

    def forward(self, prepared: Tensor) -> Tensor:
        return prepared

    def towards(self, other: Condition) -> nn.Module:
        if not isinstance(other, CodeCondition) or other.width != self.width:
            raise InputError(f"condition: found one of another kind or size, expected codes of {self.width} numbers")
        return nn.Identity()

    def candidates(self) -> Tensor:
        return torch.cat([self.codes.mean(0, keepdim=True), self.codes])

    def named(self, prepared: Tensor) -> dict[str, float]:
        return {f"code_{number}": float(value) for number, value in enumerate(prepared, start=1)}

    def check(self, known: Known, source: str) -> list[str]:
        if known.code is None:
            raise InputError(f"{source}: found no code, expected frames, from which it is inferred")
        return []


CONDITION = CodeCondition


def _codes(known: Sequence[Known]) -> Tensor:
    if any(one.code is None for one in known):
        raise InputError("condition: found an environment without a code, expected a learned or an inferred one")
    return torch.stack([torch.as_tensor(one.code, dtype=torch.float32) for one in known])
