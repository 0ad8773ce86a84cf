"""How rollouts depend on weights, carried along with the state.

How a frame depends on the weights is a sum, over the steps before it, of what the weights did in that step and how the
later ones handed it on. Taken backwards, frame by frame, each frame repeats all steps before it; carried forwards with
the state, each step is differentiated once, for each number of a state. With few of them that is as many times less
work as there are frames.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor
from torch.func import jacrev, vmap

from weightcast.environments.history import advanced, embedded, recorded

Step = Callable[[Tensor, Tensor], Tensor]
"""Weights [weight], states with what is shown beside them [state, channel, y, x] -> the frames that follow, without
older ones."""
TOGETHER = 256
"""Steps that are differentiated at once."""


def rollout(step: Step, weights: Tensor, starts: Tensor, steps: int, shown: Tensor | None = None) -> Tensor:
    """Rollouts.

    Args:
        step: of the network.
        weights: [weight].
        starts: [trajectory, channel, y, x], older frames, if any, behind the newest.
        steps: of the rollout.
        shown: what each step is shown beside the state [trajectory, step, shown, y, x]; None: nothing.

    Returns:
        the frames after the starts [trajectory, step, channel, y, x].
    """
    states, found = starts, []
    for place in range(steps):
        following = step(weights, states if shown is None else torch.cat([states, shown[:, place]], 1))
        found.append(following)
        states = advanced(states, following)
    return torch.stack(found, 1)


@torch.no_grad()
def rollout_jacobian(step: Step, weights: Tensor, starts: Tensor, steps: int, shown: Tensor | None = None) -> Tensor:
    """Derivative of a rollout by the weights.

    Args:
        step: of the network, differentiable by ``torch.func``.
        weights: [weight].
        starts: [trajectory, channel, y, x], older frames, if any, behind the newest.
        steps: of the rollout.
        shown: what each step is shown beside the state [trajectory, step, shown, y, x]; None: nothing.

    Returns:
        [trajectory, step, number of a frame, weight].
    """
    ahead = rollout(step, weights, starts, steps, shown)
    history = starts.shape[1] // ahead.shape[2]
    before = embedded(torch.cat([recorded(starts[:, None], history), ahead], 1)[:, :-1], history)

    def one(weights: Tensor, state: Tensor, *beside: Tensor) -> Tensor:
        states = state.view(1, *starts.shape[1:])
        return step(weights, torch.cat([states, *(own[None] for own in beside)], 1)).flatten()

    given = () if shown is None else (shown.flatten(0, 1),)
    in_dims = (None, 0, *(0 for _ in given))
    own_step = vmap(jacrev(one, argnums=(0, 1)), in_dims=in_dims, chunk_size=TOGETHER)
    by_weights, by_state = own_step(weights, before.flatten(0, 1).flatten(1), *given)
    by_weights = by_weights.unflatten(0, before.shape[:2])  # [trajectory, step, number, weight]
    by_state = by_state.unflatten(0, before.shape[:2])
    of_frame = by_state.split(by_weights.shape[2], dim=3)  # of the newest frame, of the one before it, ...
    for place in range(1, steps):
        for age in range(min(history, place)):
            by_weights[:, place] += of_frame[age][:, place] @ by_weights[:, place - 1 - age]
    return by_weights
