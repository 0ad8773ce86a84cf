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
        environments: their ids, by which they are known; none where nobody asks by them.
    """

    codes: Tensor

    def __init__(self, codes: Tensor, environments: Sequence[str] = ()) -> None:
        super().__init__()
        self.register_buffer("codes", codes)
        self.environments = list(environments)
        self.coordinates = self.width = codes.shape[1]

    @classmethod
    def of(
        cls, visible: Sequence[Known], logarithmic: Sequence[str] = (), settings: ConditionSettings | None = None
    ) -> CodeCondition:
        return cls(torch.stack([_given(one) for one in visible]))

    @classmethod
    def from_description(cls, description: Mapping[str, Any]) -> CodeCondition:
        codes = torch.zeros(int(description["environments"]), int(description["dimensions"]))
        return cls(codes, description.get("ids", ()))

    def describe(self) -> dict[str, Any]:
        named = {"ids": self.environments} if self.environments else {}
        return {"kind": "code", "environments": len(self.codes), "dimensions": self.codes.shape[1]} | named

    def has(self, environment: str | None) -> bool:
        """Whether the code of an environment was learned."""
        return environment in self.environments

    def prepare(self, known: Sequence[Known]) -> Tensor:
        return torch.stack([self._code(one) for one in known])

    def _code(self, known: Known) -> Tensor:
        if known.code is None and self.has(known.environment):
            return self.codes[self.environments.index(str(known.environment))].cpu()
        return _given(known)

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
        if known.code is None and not self.has(known.environment):
            raise InputError(f"{source}: found no code, expected frames, from which it is inferred")
        return []


CONDITION = CodeCondition


def _given(known: Known) -> Tensor:
    if known.code is None:
        raise InputError(
            f"condition: found {known.environment or 'an environment'} without a code, expected a learned or an "
            "inferred one (of an environment that joined the table: delete base/context.safetensors and the record "
            "beside it, and codes are learned anew)"
        )
    return torch.as_tensor(known.code, dtype=torch.float32)
