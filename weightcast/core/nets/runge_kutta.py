"""A step of the classical Runge-Kutta method, as fast in forward mode as elsewhere.

Where a tensor is multiplied with a plain number, torch takes the number for a tensor without a derivative, and its
forward mode then works out what zeros of that size amount to, in Python: more than the derivatives themselves cost
(benchmarks/code_search.py). The operation that is meant for numbers computes the same, bit for bit, without the zeros.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor


def times(tensor: Tensor, number: float) -> Tensor:
    """A tensor times a plain number."""
    product: Tensor = torch.ops.aten.mul.Scalar(tensor, number)
    return product


def plus(tensor: Tensor, number: float) -> Tensor:
    """A tensor plus a plain number."""
    total: Tensor = torch.ops.aten.add.Scalar(tensor, number)
    return total


def runge_kutta(rate: Callable[[Tensor], Tensor], state: Tensor, length: float, substeps: int) -> Tensor:
    """The state after a time, by equal steps of the classical method of fourth order.

    Args:
        rate: state -> its rate of change, same shape.
        state: at the start.
        length: of the time.
        substeps: steps.
    """
    step = length / substeps
    for _ in range(substeps):
        first = rate(state)
        second = rate(state + times(first, 0.5 * step))
        third = rate(state + times(second, 0.5 * step))
        fourth = rate(state + times(third, step))
        state = state + times(first + times(second, 2.0) + times(third, 2.0) + fourth, step / 6.0)
    return state
