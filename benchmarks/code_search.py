"""What derivatives of a rollout by a few unknowns cost, which every search for a code takes: Runge-Kutta steps by the
operations that are meant for numbers, against the same as one writes it.

    OMP_NUM_THREADS=1 python benchmarks/code_search.py [--quick]

The vector field of a state of seven numbers (two hidden layers of 32), twenty frames of four environments, three
substeps between frames, derivatives by 2, 8 and 24 numbers of a code in forward mode.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from side_by_side import Effort, Row, alone, take_turns
from torch import Tensor
from torch.func import functional_call, jvp, vmap

from weightcast.core.nets.mlp import MLP
from weightcast.core.nets.runge_kutta import runge_kutta

NAME = "code search"
CODES = (2, 8, 24)
CHANNELS, WIDTH, ENVIRONMENTS, STEPS, SUBSTEPS = 7, 32, 4, 19, 3


def rows(effort: Effort) -> Iterator[Row]:
    """Derivatives by growing numbers of unknowns."""
    for size in CODES:
        ways = {"as written": _derivatives(size, as_written), "operations for numbers": _derivatives(size, runge_kutta)}
        yield from take_turns(ways, effort).rows(NAME, "numbers of a code", size)


def as_written(rate: Callable[[Tensor], Tensor], state: Tensor, length: float, substeps: int) -> Tensor:
    """The steps of :func:`weightcast.core.nets.runge_kutta.runge_kutta` with plain products."""
    step = length / substeps
    for _ in range(substeps):
        first = rate(state)
        second = rate(state + 0.5 * step * first)
        third = rate(state + 0.5 * step * second)
        fourth = rate(state + step * third)
        state = state + step / 6.0 * (first + 2.0 * second + 2.0 * third + fourth)
    return state


def _derivatives(size: int, integrate: Callable[..., Tensor]) -> Callable[[], object]:
    """Forward-mode derivatives of all environments' rollouts by their codes, in which the weights are linear."""
    torch.manual_seed(0)
    network = MLP(CHANNELS, WIDTH, 2, "silu", residual=False)
    weights = {name: value.detach() for name, value in network.named_parameters()}
    directions = {name: 0.01 * torch.randn(size, *value.shape) for name, value in weights.items()}
    states, codes = torch.randn(ENVIRONMENTS, 1, CHANNELS), torch.zeros(ENVIRONMENTS, size)

    def rollout(code: Tensor, state: Tensor) -> Tensor:
        own = {name: value + torch.tensordot(code, directions[name], 1) for name, value in weights.items()}
        frames = []
        for _ in range(STEPS):
            state = integrate(
                lambda now: functional_call(network, own, (now[..., None, None],))[..., 0, 0], state, 1.0, SUBSTEPS
            )
            frames.append(state)
        return torch.stack(frames)

    @torch.no_grad()
    def computed() -> None:
        every = torch.eye(size)[:, None].expand(-1, ENVIRONMENTS, -1).contiguous()
        vmap(lambda along: jvp(lambda trial: vmap(rollout)(trial, states), (codes,), (along,)))(every)

    return computed


if __name__ == "__main__":
    alone(rows, __doc__)
