"""Counting the floating-point operations of torch."""

from __future__ import annotations

from typing import Any

import torch
from torch.utils.flop_counter import FlopCounterMode, sdpa_backward_flop_count, sdpa_flop_count


class OperationCounter(FlopCounterMode):
    """Counts what torch computes in a ``with`` block, backward passes included.

    Counted are products of matrices, convolutions and attention, as torch.utils.flop_counter does: a product of an
    [m, k] with a [k, n] matrix is 2 m k n operations, vectorised over members (``torch.func.vmap``) or not. Elementwise
    functions, norms and optimisers are not: they take time for moving numbers rather than for arithmetic.
    """

    def __init__(self) -> None:
        super().__init__(display=False, custom_mapping=_ATTENTION)

    @property
    def operations(self) -> int:
        """So far."""
        return int(self.get_total_flops())


def _attention(query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_flop_count(query, key, value))


def _attention_backward(gradient: Any, query: Any, key: Any, value: Any, *_: Any, **__: Any) -> int:
    return int(sdpa_backward_flop_count(gradient, query, key, value))


# torch has formulas for attention on GPUs alone; without these, attention would count as nothing on a CPU.
_ATTENTION = {
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu: _attention,
    torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward: _attention_backward,
}
