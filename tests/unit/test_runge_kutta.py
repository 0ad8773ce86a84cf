"""The classical Runge-Kutta step: exact solutions, plain arithmetic, derivatives in both modes."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.func import jvp, vmap

from weightcast.core.nets.runge_kutta import plus, runge_kutta, times


def plainly(rate: Tensor, state: Tensor, length: float, substeps: int) -> Tensor:
    """Steps of x' = sin(rate x) in arithmetic as one writes it."""
    step = length / substeps
    for _ in range(substeps):
        first = torch.sin(rate * state)
        second = torch.sin(rate * (state + 0.5 * step * first))
        third = torch.sin(rate * (state + 0.5 * step * second))
        fourth = torch.sin(rate * (state + step * third))
        state = state + step / 6.0 * (first + 2.0 * second + 2.0 * third + fourth)
    return state


def test_decay_is_followed_to_the_fourth_order() -> None:
    state = torch.tensor([2.0], dtype=torch.double)
    errors = [float(runge_kutta(torch.neg, state, 1.0, steps) - 2.0 / math.e) for steps in (2, 4)]
    assert 14 < errors[0] / errors[1] < 20


def test_steps_are_those_of_plain_arithmetic_bit_for_bit_and_so_are_derivatives() -> None:
    random = torch.Generator().manual_seed(0)
    rates, states = torch.randn(2, 5, generator=random)
    found = runge_kutta(lambda state: torch.sin(rates * state), states, 0.7, 3)
    assert torch.equal(found, plainly(rates, states, 0.7, 3))

    def along(direction: Tensor) -> tuple[Tensor, Tensor]:
        mine = jvp(lambda rate: runge_kutta(lambda now: torch.sin(rate * now), states, 0.7, 3), (rates,), (direction,))
        other = jvp(lambda rate: plainly(rate, states, 0.7, 3), (rates,), (direction,))
        return mine[1], other[1]

    mine, other = vmap(along)(torch.eye(5))
    assert torch.equal(mine, other)
    leaf = rates.clone().requires_grad_()
    runge_kutta(lambda state: torch.sin(leaf * state), states, 0.7, 3).sum().backward()
    torch.testing.assert_close(leaf.grad, mine.sum(1))


def test_numbers_are_added_and_multiplied() -> None:
    assert torch.equal(plus(times(torch.tensor([1.0, 2.0]), 3.0), 1.0), torch.tensor([4.0, 7.0]))
