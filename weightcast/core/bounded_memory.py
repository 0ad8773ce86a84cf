"""A limit on the numbers that are made while something is built from a description that somebody else wrote."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import prod
from typing import Any

import torch
from torch.overrides import TorchFunctionMode

from weightcast.core.errors import InputError

SLACK = 2_000_000
"""Numbers that may be made beside those of the tensors in a file: schedules, grids, what is looked at on the way."""
_SIZED = {torch.empty, torch.zeros, torch.ones, torch.full, torch.rand, torch.randn}


class BoundedMemory(TorchFunctionMode):
    """Within the block no more tensors are made than a network of so many numbers needs.

    Networks are not built without numbers first (torch's meta device), since that imports a second of torch's compiler.

    Args:
        numbers: of the network, as the file has them.

    Raises:
        InputError: by the call that would make too many; nothing was allocated for it.
    """

    def __init__(self, numbers: int) -> None:
        super().__init__()
        self.numbers = numbers
        self._left = 4 * (numbers + SLACK)

    def __torch_function__(
        self, func: Callable[..., Any], types: Iterable[type], args: tuple[Any, ...] = (), kwargs: Any = None
    ) -> Any:
        kwargs = kwargs or {}
        if func in _SIZED or func in (torch.linspace, torch.arange):
            wanted = _numbers_of(func, args, kwargs)
            self._left -= wanted
            if wanted > self.numbers + SLACK or self._left < 0:
                raise InputError(
                    f"metadata: found a description of {wanted:,} numbers or more, expected one of {self.numbers:,} as "
                    "in the tensors"
                )
        return func(*args, **kwargs)


def _numbers_of(func: Callable[..., Any], args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> int:
    """How many numbers a call makes."""
    if func is torch.linspace:
        return int(kwargs.get("steps", args[2] if len(args) > 2 else 0))
    if func is torch.arange:
        return int(max((abs(one) for one in args if isinstance(one, int | float)), default=0))
    size = kwargs.get("size", args[0] if args and isinstance(args[0], tuple | list) else args)
    return prod(max(0, int(one)) for one in size if isinstance(one, int))
