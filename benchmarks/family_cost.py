"""How the cost of a family of paths grows with its environments, with their snapshots, and with dimensions.

    OMP_NUM_THREADS=1 python benchmarks/family_cost.py [--quick]

pass     likelihood and gradient of map, directions and codes, of 24 samples of every snapshot of every environment
search   one step of the search for codes: of as many new environments, of as many snapshots, 20 samples each, 4 starts
draw     200 samples of every environment at every snapshot's time

One of the three sizes grows at a time, all sizes of it take turns, on one thread. Beside the milliseconds stands what
each environment (snapshot, dimension) costs relative to the smallest size: linear cost is a ratio of 1, a lower one
means that batches are not yet full.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import torch
from side_by_side import Effort, Row, Spread, alone, take_turns

from weightcast.environments.scaling import ParameterScaling
from weightcast.evolution.config.density import DensitySettings
from weightcast.evolution.density import StackedDensity
from weightcast.evolution.state_space import Counts
from weightcast.families.inference import ShownSamples, log_likelihood
from weightcast.families.inflation import Inflation
from weightcast.families.path_map import PathMap
from weightcast.families.trained_family import TrainedFamily

NAME = "families"
SMALLEST = {"environments": 12, "snapshots": 4, "dimensions": 3}
GROWTH = (1, 2, 4, 8)
STATES, HIDDEN, CODE, RANK, WIDTH = 61, 16, 4, 32, 64
BATCH, SHOWN, STARTS, DRAWN = 24, 20, 4, 200


def rows(effort: Effort) -> Iterator[Row]:
    """Growth of each size alone."""
    for axis in SMALLEST:
        yield from growth_rows(axis, GROWTH[:3] if effort.quick else GROWTH, effort)


def growth_rows(axis: str, factors: tuple[int, ...], effort: Effort) -> Iterator[Row]:
    """What is computed at growing sizes, all of which take turns.

    Args:
        axis: of `SMALLEST`, the size that grows.
        factors: times the smallest size.
        effort: of the measurement.
    """
    ways: dict[str, Callable[[], object]] = {}
    for factor in factors:
        sizes = SMALLEST | {axis: factor * SMALLEST[axis]}
        ways |= {f"{what} {factor}": job for what, job in jobs(**sizes).items()}
    turns = take_turns(ways, effort)
    for factor in factors:
        size = factor * SMALLEST[axis]
        for what in ("pass", "search", "draw"):
            name = f"{what} {factor}"
            yield Row.of(NAME, axis, size, f"{what}, ms", Spread.of([1e3 * one for one in turns.seconds[name]]))
            each = [ratio / factor for ratio in turns.ratios(name, f"{what} {factors[0]}")]
            yield Row.of(NAME, axis, size, f"{what} for each / at the smallest", Spread.of(each))


def jobs(environments: int, snapshots: int, dimensions: int) -> dict[str, Callable[[], object]]:
    """What a family of these sizes computes, by name."""
    family = untrained_family(environments, dimensions)
    generator = torch.Generator().manual_seed(0)

    def counts(*shape: int) -> torch.Tensor:
        return torch.randint(STATES, (*shape, dimensions), generator=generator).double()

    times = torch.linspace(0, 1, snapshots, dtype=torch.double)
    members = times.repeat(environments)
    codes = family.codes.clone().requires_grad_()
    learned = [*family.map.requires_grad_().parameters(), codes]
    seen = counts(environments * snapshots, BATCH)

    def one_pass() -> None:
        weights = family.weights(members, codes.repeat_interleave(snapshots, 0))
        torch.autograd.grad(family.density.log_prob(weights, seen).mean(), learned)

    shown = ShownSamples(
        times.expand(environments, -1),
        counts(environments, snapshots, SHOWN),
        torch.ones(environments, snapshots, SHOWN, dtype=torch.bool),
    )
    fixed = untrained_family(environments, dimensions)
    starts = torch.randn(1, environments, STARTS, CODE, generator=generator).requires_grad_()

    def search() -> None:
        torch.autograd.grad(log_likelihood(fixed, starts, shown).sum(), starts)

    @torch.no_grad()
    def draw() -> None:
        weights = fixed.weights(members, fixed.codes.repeat_interleave(snapshots, 0))
        fixed.density.sample(weights, DRAWN, 0)

    return {"pass": one_pass, "search": search, "draw": draw}


def untrained_family(environments: int, dimensions: int) -> TrainedFamily:
    """A family of so many visible environments, as it is before its training."""
    density = StackedDensity.new(DensitySettings(hidden=HIDDEN), Counts(STATES, dimensions), 0)
    path_map = PathMap(density.graph.num_parameters, CODE, "low-rank", RANK, WIDTH)
    path_map.begin(density.initial_weights(0), 0.1)
    generator = torch.Generator().manual_seed(1)
    return TrainedFamily(
        density,
        path_map.requires_grad_(False),
        "codes",
        0.0,
        1.0,
        tuple(f"environment-{number}" for number in range(environments)),
        torch.randn(environments, CODE, generator=generator),
        ParameterScaling((), (), ()),
        torch.zeros(environments, 0),
        Inflation(),
        1.0,
    )


if __name__ == "__main__":
    alone(rows, __doc__)
