"""The least time that a computation can take on this machine: its operations at the rate of a large product of
matrices, or its numbers through memory at the rate of a large copy, whichever is longer (Williams, Waterman and
Patterson, Roofline, Commun. ACM 52 (2009) 65).

Operations are counted as `weightcast check` counts them. Bytes are those of every tensor that an operation of torch
reads or writes, once for each operation: what eager torch asks of memory. Caches serve a part of it, and what a
compiler fuses is not asked for at all, so a step may be faster than its bound by memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from side_by_side import Row, Spread, Turns
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from weightcast.cost.operations import OperationCounter

COPIED = 2**26
"""Numbers of the copy, 256 MB: more than any cache holds."""
SIDE = 1024
"""Of the square matrices that are multiplied."""
COPY, PRODUCT = "copy", "product"


class TrafficCounter(TorchDispatchMode):
    """Counts the bytes that operations of torch read and write in a ``with`` block, backward passes included."""

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        result = func(*args, **kwargs)
        if not _is_view(func):
            self.bytes += sum(_bytes(one) for one in tree_leaves((args, kwargs, result)) if isinstance(one, Tensor))
        return result


def _is_view(func: Any) -> bool:
    """Whether an operation only looks at its input in another shape."""
    return any(one.alias_info is not None and not one.alias_info.is_write for one in func._schema.returns)


def _bytes(tensor: Tensor) -> int:
    """Bytes of a tensor's own numbers; one that is expanded has fewer than its shape says."""
    return min(tensor.numel() * tensor.element_size(), tensor.untyped_storage().nbytes())


@dataclass(frozen=True)
class Counted:
    """What a step asks for: floating-point operations, and bytes moved."""

    operations: int
    bytes: int


def count(step: Callable[[], object]) -> Counted:
    """Count one step, backward pass included."""
    with OperationCounter() as operations, TrafficCounter() as traffic:
        step()
    return Counted(operations.operations, traffic.bytes)


def machine_ways() -> dict[str, Callable[[], object]]:
    """What the machine's two rates are measured by, to take turns with a step."""
    source, target = torch.rand(COPIED), torch.empty(COPIED)
    left, right, product = torch.rand(SIDE, SIDE), torch.rand(SIDE, SIDE), torch.empty(SIDE, SIDE)
    return {COPY: lambda: target.copy_(source), PRODUCT: lambda: torch.mm(left, right, out=product)}


def roofline_rows(
    turns: Turns, way: str, counted: Counted, per: float, benchmark: str, case: str, size: int
) -> Iterator[Row]:
    """The bound, and how many times as long a way took, from turns that :func:`machine_ways` took part in.

    Args:
        turns: measured.
        way: that is compared.
        counted: of one step.
        per: steps of a call of it.
        benchmark: of the rows.
        case: likewise.
        size: likewise.
    """
    bandwidth = [2 * 4 * COPIED / seconds for seconds in turns.seconds[COPY]]
    rate = [2 * SIDE**3 / seconds for seconds in turns.seconds[PRODUCT]]
    by_memory = [counted.bytes / one for one in bandwidth]
    by_products = [counted.operations / one for one in rate]
    over = [
        seconds / per / max(bounds) for seconds, *bounds in zip(turns.seconds[way], by_memory, by_products, strict=True)
    ]
    for measure, spread in {
        "multiply-adds of a step, millions": Spread.exact(counted.operations / 2e6),
        "moved by a step, MB": Spread.exact(counted.bytes / 1e6),
        "products of matrices, GFLOP/s": Spread.of([one / 1e9 for one in rate]),
        "copy, GB/s": Spread.of([one / 1e9 for one in bandwidth]),
        "bound by products, ms": Spread.of([1e3 * one for one in by_products]),
        "bound by memory, ms": Spread.of([1e3 * one for one in by_memory]),
        f"{way} / roofline": Spread.of(over),
    }.items():
        yield Row.of(benchmark, case, size, measure, spread)
