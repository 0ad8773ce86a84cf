"""Experts of ordinary differential equations in JAX: the whole training as one jitted loop over stacked members.

A rival, imported only where somebody has installed JAX; weightcast does not depend on it. The training is that of
:func:`weightcast.environments.experts.train_experts`: the same windows, AdamW, clipping and learning rates, so that
both end in the same weights within rounding.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

# One thread, as torch has here. Read when JAX starts, so said before it is imported.
os.environ.setdefault("XLA_FLAGS", "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1")
os.environ.setdefault("JAX_PLATFORMS", "cpu")

import jax
import jax.numpy as jnp

from weightcast.core.config.training import PredictorTraining
from weightcast.core.training import learning_rate

FIRST, SECOND, TINY = 0.9, 0.999, 1e-8
"""Of AdamW, as torch has them."""


def network(weights: Mapping[str, Any], state: Any, depth: int) -> Any:
    """A step of one member: the perceptron of weightcast.core.nets.mlp with GELU, a residual map [batch, channel]."""
    hidden = state
    for layer in range(depth):
        mapped = hidden @ weights[f"layers.{layer}.weight"].T + weights[f"layers.{layer}.bias"]
        hidden = jax.nn.gelu(mapped, approximate=False)
    return state + hidden @ weights["output.weight"].T + weights["output.bias"]


def experts(
    start: Mapping[str, np.ndarray],
    frames: np.ndarray,
    environments: np.ndarray,
    trajectory: np.ndarray,
    begin: np.ndarray,
    depth: int,
    training: PredictorTraining,
) -> Callable[[], dict[str, Any]]:
    """A training, compiled when it is called for the first time.

    Args:
        start: weights by name [member, ...].
        frames: [environment, trajectory, frame, channel].
        environments: of each member [member].
        trajectory: of each window [step, member, batch].
        begin: first frame of each window [step, member, batch].
        depth: hidden layers.
        training: steps, rate, unroll.

    Returns:
        A function that trains all members and returns their weights.
    """
    rates = jnp.array([learning_rate(step, training) for step in range(training.steps)])
    ahead = jnp.arange(training.unroll + 1)

    def error(weights: Mapping[str, Any], window: Any) -> Any:
        """Of one member, on windows [batch, frame, channel]."""
        state, total = window[:, 0], jnp.zeros(())
        for step in range(1, training.unroll + 1):
            state = network(weights, state, depth)
            total = total + jnp.square(state - window[:, step]).mean()
        return jnp.sqrt(total / training.unroll + 1e-12)

    def loss(weights: Mapping[str, Any], windows: Any) -> Any:
        return jax.vmap(error)(weights, windows).sum()

    def step(carried: Any, drawn: Any) -> Any:
        weights, mean, square, count = carried
        rate, of_trajectory, first = drawn
        where = (jnp.asarray(environments)[:, None, None], of_trajectory[..., None], first[..., None] + ahead)
        gradient = jax.grad(loss)(weights, jnp.asarray(frames)[where])
        norm = jnp.sqrt(sum(jnp.square(one).reshape(len(one), -1).sum(1) for one in gradient.values()))
        scale = jnp.minimum(training.clip / jnp.maximum(norm, 1e-12), 1.0)
        gradient = {name: one * scale.reshape(-1, *[1] * (one.ndim - 1)) for name, one in gradient.items()}
        count = count + 1
        mean = {name: FIRST * mean[name] + (1 - FIRST) * one for name, one in gradient.items()}
        square = {name: SECOND * square[name] + (1 - SECOND) * one**2 for name, one in gradient.items()}
        moved = {
            name: weights[name]
            - rate * (mean[name] / (1 - FIRST**count)) / (jnp.sqrt(square[name] / (1 - SECOND**count)) + TINY)
            for name in weights
        }
        return (moved, mean, square, count), None

    @jax.jit
    def trained(weights: dict[str, Any], of_trajectory: Any, first: Any) -> dict[str, Any]:
        zeros = {name: jnp.zeros_like(one) for name, one in weights.items()}
        carried, _ = jax.lax.scan(step, (weights, zeros, zeros, 0.0), (rates, of_trajectory, first))
        return carried[0]

    arguments = ({name: jnp.asarray(one) for name, one in start.items()}, jnp.asarray(trajectory), jnp.asarray(begin))
    return lambda: jax.block_until_ready(trained(*arguments))
