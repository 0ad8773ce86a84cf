"""What densities of snapshots cost: stacked against one by one, and with more dimensions and states.

    OMP_NUM_THREADS=1 python benchmarks/density_cost.py [--quick]

stacked           a training step (log-likelihood of 128 samples each) of the densities of all snapshots at once
one by one        the same training of each density alone
plain loop        what most people would write: `torch.nn.GRU`, torch's AdamW, one snapshot after the other

Loops are measured on a few snapshots and multiplied. How cost grows is measured on eleven densities: a training step,
and a draw of 1000 samples each; all sizes take turns. Beside the milliseconds stands what each dimension (or state)
costs relative to the smallest size: linear cost is a ratio of 1.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Callable, Iterator, Sequence
from typing import Literal

import torch
from plain_networks import PlainDensity
from side_by_side import Effort, Row, Spread, alone, take_turns
from torch import Tensor, nn

from weightcast.core.config.training import TrainingSettings
from weightcast.core.run import Run
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.state_space import Counts

NAME = "densities"
BATCH, DRAWN, HIDDEN, STATES = 128, 1000, 16, 52
SNAPSHOTS = (1, 11, 51, 201)
GROWTH_MEMBERS = 11
BY_DIMENSIONS, BY_STATES = (3, 10, 30, 100), (13, 52, 208, 832)
STEPS = 5
"""Of a training, in a turn."""
LOOPED = 3
"""Snapshots of loops that are measured."""
TRAINING = TrainingSettings(steps=STEPS, learning_rate=0.01)

Backbone = Literal["gru", "transformer"]


def rows(effort: Effort) -> Iterator[Row]:
    """Stacks of snapshots, then growth."""
    for members in SNAPSHOTS:
        yield from stack_rows(members, effort)
    backbones: tuple[Backbone, ...] = ("gru",) if effort.quick else ("gru", "transformer")
    for backbone in backbones:
        dimensions = [(count, STATES) for count in (BY_DIMENSIONS[:3] if effort.quick else BY_DIMENSIONS)]
        yield from growth_rows(f"{backbone}, dimensions", dimensions, 0, backbone, effort)
        states = [(3, count) for count in BY_STATES]
        yield from growth_rows(f"{backbone}, states of a dimension", states, 1, backbone, effort)


def stack_rows(members: int, effort: Effort) -> Iterator[Row]:
    """Training the densities of so many snapshots in every way."""
    density, samples = _density(3, STATES, "gru"), _samples(members, 3, STATES)
    start = density.initial_weights(0).expand(members, -1)

    def fit(rows: slice) -> None:
        weights = start[rows].clone().requires_grad_()
        with contextlib.redirect_stderr(io.StringIO()):
            Run().fit(
                [weights],
                lambda _: -density.log_prob(weights, samples[rows]).mean(1),
                TRAINING,
                name="densities",
                stacked=True,
            )

    def one_by_one() -> None:
        for row in range(min(LOOPED, members)):
            fit(slice(row, row + 1))

    def plain_loop() -> None:
        for own in samples[:LOOPED]:
            train_plainly(PlainDensity(density.space.features, STATES, HIDDEN), density, own)

    ways: dict[str, Callable[[], object]] = {
        "stacked": lambda: fit(slice(None)),
        "one by one": one_by_one,
        "plain loop": plain_loop,
    }
    parts = dict.fromkeys(("one by one", "plain loop"), max(1.0, members / LOOPED))
    yield from take_turns(ways, effort, parts=parts).rows(NAME, "gru, snapshots", members, per=STEPS)


def train_plainly(plain: PlainDensity, density: StackedDensity, samples: Tensor) -> None:
    """Train one density as a torch module on samples [sample, dimension]."""
    seen = density.space.encode(samples)
    features = torch.cat([torch.zeros_like(seen[:, :1]), seen[:, :-1]], dim=1)
    optimiser = torch.optim.AdamW(plain.parameters(), lr=TRAINING.learning_rate, weight_decay=0.0)
    for _ in range(TRAINING.steps):
        optimiser.zero_grad()
        (-plain.log_prob(features, samples).mean()).backward()
        nn.utils.clip_grad_norm_(plain.parameters(), TRAINING.clip)
        optimiser.step()


def growth_rows(
    case: str, shapes: Sequence[tuple[int, int]], axis: int, backbone: Backbone, effort: Effort
) -> Iterator[Row]:
    """A training step and a draw at growing sizes, all of which take turns.

    Args:
        case: in words.
        shapes: dimensions and states of each size.
        axis: which of the two is the size.
        backbone: of the densities.
        effort: of the measurement.
    """
    ways: dict[str, Callable[[], object]] = {}
    for shape in shapes:
        step, draw = _jobs(*shape, backbone)
        ways |= {f"step {shape[axis]}": step, f"draw {shape[axis]}": draw}
    turns, smallest = take_turns(ways, effort), shapes[0][axis]
    for shape in shapes:
        size = shape[axis]
        for what in ("step", "draw"):
            name, first = f"{what} {size}", f"{what} {smallest}"
            yield Row.of(NAME, case, size, f"{what}, ms", Spread.of([1e3 * one for one in turns.seconds[name]]))
            each = [ratio * smallest / size for ratio in turns.ratios(name, first)]
            yield Row.of(NAME, case, size, f"{what} for each / at the smallest", Spread.of(each))


def _jobs(dimensions: int, states: int, backbone: Backbone) -> tuple[Callable[[], object], Callable[[], object]]:
    """A training step and a draw of a stack of densities."""
    density, samples = _density(dimensions, states, backbone), _samples(GROWTH_MEMBERS, dimensions, states)
    weights = density.initial_weights(0).expand(GROWTH_MEMBERS, -1).clone().requires_grad_()

    def step() -> None:
        weights.grad = None
        density.log_prob(weights, samples).mean().backward()

    return step, lambda: density.sample(weights.detach(), DRAWN, 0)


def _density(dimensions: int, states: int, backbone: Backbone) -> StackedDensity:
    return StackedDensity.new(DensitySettings(backbone=backbone, hidden=HIDDEN), Counts(states, dimensions), 0)


def _samples(members: int, dimensions: int, states: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randint(states, (members, BATCH, dimensions), generator=generator).double()


if __name__ == "__main__":
    alone(rows, __doc__)
