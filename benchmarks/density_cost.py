"""How the cost of a density grows with the dimensions of the state and with the number of states.

    OMP_NUM_THREADS=1 python benchmarks/density_cost.py

Eleven densities on a leading axis, one training step (log-likelihood of 128 samples each, and its gradient) and one
draw of 1000 samples each; sizes take turns in every round, so that a busy machine slows all of them alike. Printed: the
median over rounds, and what each dimension (or state) costs relative to the smallest size. Linear cost is a ratio of 1.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence

import numpy as np
import torch

from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.state_space import Counts

MEMBERS, BATCH, DRAWN = 11, 128, 1000
DIMENSIONS = (3, 10, 30, 100)
STATES = (13, 52, 208, 832)


def jobs(dimensions: int, states: int, backbone: str) -> tuple[Callable[[], object], Callable[[], object]]:
    """A training step and a draw of a stack of densities."""
    settings = DensitySettings.model_validate({"backbone": backbone, "hidden": 16})
    density = StackedDensity.new(settings, Counts(states, dimensions), 0)
    weights = density.initial_weights(0).expand(MEMBERS, -1).clone().requires_grad_()
    samples = torch.randint(states, (MEMBERS, BATCH, dimensions), generator=torch.Generator().manual_seed(0)).double()

    def train() -> None:
        weights.grad = None
        density.log_prob(weights, samples).mean().backward()

    return train, lambda: density.sample(weights.detach(), DRAWN, 0)


def compare(name: str, sizes: Sequence[int], stacks: Sequence[tuple[Callable, Callable]], rounds: int) -> None:
    """Time all sizes in turns and print a row for each."""
    seconds = np.zeros((rounds, len(sizes), 2))
    for pair in stacks:
        for job in pair:
            job()  # the first call allocates
    for turn in range(rounds):
        for size, pair in enumerate(stacks):
            for which, job in enumerate(pair):
                started = time.perf_counter()
                job()
                seconds[turn, size, which] = time.perf_counter() - started
    median = np.median(seconds, axis=0)
    print(f"{name:>12s} {'step, ms':>10s} {'each':>6s} {'draw, ms':>10s} {'each':>6s}")
    for size, (step, draw) in zip(sizes, median, strict=True):
        ratios = (np.array([step, draw]) / size) / (median[0] / sizes[0])
        print(f"{size:12d} {1000 * step:10.1f} {ratios[0]:6.2f} {1000 * draw:10.1f} {ratios[1]:6.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--backbone", choices=("gru", "transformer"), default="gru")
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    by_dimension = [jobs(dimensions, 52, arguments.backbone) for dimensions in DIMENSIONS]
    compare("dimensions", DIMENSIONS, by_dimension, arguments.rounds)
    by_states = [jobs(3, states, arguments.backbone) for states in STATES]
    compare("states", STATES, by_states, arguments.rounds)


if __name__ == "__main__":
    main()
