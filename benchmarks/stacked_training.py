"""How much faster experts train stacked over a member axis than one by one, and what other ways there are.

    OMP_NUM_THREADS=1 python benchmarks/stacked_training.py [--quick]

Three predictors: the default study's FNO, the published one, and the perceptron of predator and prey. All ways train
the same number of experts for the same number of steps, batches and unrolled frames, on one thread, by turns:

stacked           what a job does: `train_experts` on all members at once
one by one        the same function on each member alone
plain loop        what most people would write: torch modules (the FNO by rfft2), torch's AdamW
compiled step     stacked, with `acceleration.compile: default`
compiled loss     stacked, with the whole unrolled loss compiled by torch.compile, which the library does not offer
jitted JAX        of perceptrons, the whole training as one loop in JAX, where it is installed

Loops are measured on a few members and multiplied. Stacks that memory or time do not suffice for have a row that says
so. Beside the time of a stacked step stands the least that the machine could do it in (benchmarks/roofline.py).
"""

from __future__ import annotations

import contextlib
import io
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import torch
from device import PUBLISHED, PUBLISHED_GRID, SMALL, SMALL_GRID
from plain_networks import plain_predictor, train_plainly
from roofline import count, machine_ways, roofline_rows
from side_by_side import FEWEST_ROUNDS, Effort, Row, Spread, alone, available_memory, take_turns
from torch import Tensor

from weightcast.core.config.device import AccelerationSettings
from weightcast.core.config.predictor import PredictorSettings
from weightcast.core.config.training import PredictorTraining
from weightcast.core.draws import Draws
from weightcast.core.nets.sizes import BACKWARD, STATES, count_weights, kept_activations
from weightcast.core.run import Run
from weightcast.environments.dataset import draw_places, windows_at
from weightcast.environments.experts import Member, plan_members, train_experts
from weightcast.environments.losses import environment_loss
from weightcast.environments.predictor import StackedPredictor

NAME = "experts"
PERCEPTRON: dict[str, object] = {"kind": "mlp", "channels": 2, "width": 24, "depth": 2, "activation": "gelu"}
ENVIRONMENTS, TRAJECTORIES, FRAMES = 8, 2, 8
MEMBERS = (1, 8, 64, 256, 1024)
LOOPED = 4
"""Members of loops that are measured; the others take as long again."""
MEMORY_SHARE = 0.7
"""Of what is free that a stack may take."""
PATIENCE = 5.0
"""How many times the seconds of an effort the stacked way may take in all."""


@dataclass(frozen=True)
class Case:
    """A predictor and how it is trained.

    Attributes:
        name: in the table.
        architecture: as artifacts hold it.
        grid: points along y, x.
        batch: windows of a step.
        steps: of a call; fewer of large stacks.
        compiled: numbers of members at which compiled ways take part.
        compiled_quickly: of a quick run.
    """

    name: str
    architecture: dict[str, object]
    grid: tuple[int, int]
    batch: int
    steps: int
    compiled: tuple[int, ...] = ()
    compiled_quickly: tuple[int, ...] = ()

    def training(self, members: int) -> PredictorTraining:
        """Settings of a call."""
        steps = max(1, self.steps // max(1, members // 64))
        return PredictorTraining(steps=steps, learning_rate=1e-4, unroll=4, batch=self.batch)

    def bytes(self, members: int) -> float:
        """What a stacked step holds, as the memory of jobs is computed."""
        settings = PredictorSettings.model_validate(
            {name: value for name, value in self.architecture.items() if name != "channels"}
        ).root
        training = self.training(members)
        kept = BACKWARD * kept_activations(settings, 2, self.grid) * training.batch * training.unroll
        return 4.0 * members * (kept + STATES * count_weights(settings, 2))


CASES = (
    Case("small FNO", {**SMALL, "positional": False}, SMALL_GRID, 2, 4, (8, 64)),
    Case("published FNO", {**PUBLISHED, "positional": False}, PUBLISHED_GRID, 2, 1),
    Case("perceptron of an ODE", PERCEPTRON, (1, 1), 16, 50, (8, 64, 1024), (64,)),
)


class Stack:
    """Members of a case, ready to be trained in every way."""

    def __init__(self, case: Case, members: int) -> None:
        self.case, self.members = case, members
        self.training = case.training(members)
        self.predictor = StackedPredictor.of_architecture(case.architecture)
        self.start = self.predictor.graph.read(self.predictor.module).repeat(members, 1)
        count = min(ENVIRONMENTS, members)
        self.frames = Draws("cpu", 0, "frames").normal(count, TRAJECTORIES, FRAMES, 2, *case.grid)
        self.planned: list[Member] = plan_members([f"e{number}" for number in range(members)], 1, 0)
        self.environments = [number % count for number in range(members)]

    def train(self, predictor: StackedPredictor, run: Run, rows: slice = slice(None)) -> Tensor:
        """Train some members together."""
        chosen = (self.start[rows], self.planned[rows], self.frames, self.environments[rows])
        return train_experts(run, *chosen, predictor, self.training)[0]

    def one_by_one(self) -> None:
        """Train a few members, one after the other."""
        for row in range(min(LOOPED, self.members)):
            self.train(self.predictor, Run(), slice(row, row + 1))

    def plainly(self) -> None:
        """Train a few members as torch modules."""
        networks = (plain_predictor(self.case.architecture) for _ in range(min(LOOPED, self.members)))
        train_plainly(networks, self.frames, self.training)

    def places(self) -> tuple[Tensor, Tensor]:
        """The windows that `train_experts` draws: trajectory and first frame, each [step, member, batch]."""
        shape = (self.training.steps, self.training.batch)
        drawn = [
            draw_places(self.frames, shape, self.training.unroll + 1, Draws("cpu", member.seed, "windows"), 0.0)
            for member in self.planned
        ]
        trajectory, begin = (torch.stack(part, dim=1) for part in zip(*drawn, strict=True))
        return trajectory, begin

    def one_step(self) -> None:
        """Loss and gradient of a stacked step."""
        weights = self.start.clone().requires_grad_()
        first = torch.zeros(self.members, self.training.batch, dtype=torch.long)
        environments = torch.as_tensor(self.environments)
        windows = windows_at(self.frames, environments, first, first, self.training.unroll + 1)
        environment_loss(self.predictor.rollout_error(weights, windows)).sum().backward()

    def ways(self, compiled: bool) -> dict[str, Callable[[], object]]:
        """All ways that can be had here, quiet ones."""
        ways: dict[str, Callable[[], object]] = {
            "stacked": lambda: self.train(self.predictor, Run()),
            "one by one": self.one_by_one,
            "plain loop": self.plainly,
        }
        if compiled:
            run = Run(acceleration=AccelerationSettings(compile="default"))
            step = StackedPredictor.of_architecture(self.case.architecture).on(run)
            ways["compiled step"] = lambda: self.train(step, run)
            loss = StackedPredictor.of_architecture(self.case.architecture)
            loss.rollout_error = torch.compile(loss.rollout_error)  # type: ignore[method-assign]
            ways["compiled loss"] = lambda: self.train(loss, Run())
        if self.case.architecture["kind"] == "mlp" and find_spec("jax") is not None:
            ways["jitted JAX"] = self.in_jax()
        return {name: _quiet(way) for name, way in ways.items()}

    def in_jax(self) -> Callable[[], object]:
        """The same training in JAX."""
        from jax_experts import experts

        start = {name: value.numpy() for name, value in self.predictor.graph.unflatten(self.start).items()}
        trajectory, begin = (part.numpy() for part in self.places())
        frames = self.frames.flatten(3).numpy()
        layers = int(str(self.case.architecture["depth"]))
        environments = torch.as_tensor(self.environments).numpy()
        return experts(start, frames, environments, trajectory, begin, layers, self.training)


def rows(effort: Effort) -> Iterator[Row]:
    """Every case at every number of members that there is memory and time for."""
    for case in CASES:
        yield from case_rows(case, MEMBERS, effort)


def case_rows(case: Case, sizes: tuple[int, ...], effort: Effort) -> Iterator[Row]:
    """One case at growing numbers of members."""
    took: dict[int, float] = {}  # seconds of a stacked step
    for members in sizes:
        training, wanted, free = case.training(members), case.bytes(members), available_memory()
        patient = PATIENCE * effort.seconds
        expected = _extended(took, members) * training.steps * (1 + FEWEST_ROUNDS)
        if wanted > MEMORY_SHARE * free:
            why = f"a stack of {wanted / 1e9:.0f} GB, with {free / 1e9:.0f} GB free"
            yield Row.skipped(NAME, case.name, members, why)
        elif expected > patient:
            why = f"{expected:.0f} s of a core for {1 + FEWEST_ROUNDS} calls, with {patient:.0f} s to spend"
            yield Row.skipped(NAME, case.name, members, why)
        else:
            measured = list(stack_rows(Stack(case, members), effort))
            took[members] = next(row.value for row in measured if row.measure == "stacked, ms") / 1e3
            yield from measured


def _extended(took: dict[int, float], members: int) -> float:
    """Seconds of a step with more members than were measured, along a line; 0 where there is none yet: a step of few
    members is mostly what it costs to begin one."""
    if len(took) < 2:
        return 0.0
    (few, short), (many, long) = list(took.items())[-2:]
    return max(long, long + (members - many) * (long - short) / (many - few))


def stack_rows(stack: Stack, effort: Effort) -> Iterator[Row]:
    """One case at one number of members: times of a step, ratios, roofline."""
    case, members, steps = stack.case, stack.members, stack.training.steps
    wanted = case.compiled_quickly if effort.quick else case.compiled
    compiler = any(map(shutil.which, ("c++", "g++", "clang++")))
    torch.compiler.reset()  # compiled for one number of members, it would be compiled for any with the next one
    ways = stack.ways(compiled=members in wanted and compiler)
    if members in wanted and not compiler:
        yield Row.skipped(NAME, case.name, members, "compiled ways, found no C++ compiler")
    if len(ways) > 3:
        ways["stacked"]()  # fills the tables that compilation reads
    for name, way in ways.items():
        if name.startswith(("compiled", "jitted")):
            started = time.monotonic()
            way()
            taken = Spread.exact(time.monotonic() - started)
            yield Row.of(NAME, case.name, members, f"first call of {name}, s", taken)
    counted = count(stack.one_step)
    parts = dict.fromkeys(("one by one", "plain loop"), max(1.0, members / LOOPED))
    turns = take_turns({**ways, **machine_ways()}, effort, parts=parts)
    yield from turns.only(ways).rows(NAME, case.name, members, per=steps)
    yield from roofline_rows(turns, "stacked", counted, steps, NAME, case.name, members)


def _quiet(way: Callable[[], object]) -> Callable[[], object]:
    """Without progress bars."""

    def quiet() -> object:
        with contextlib.redirect_stderr(io.StringIO()):
            return way()

    return quiet


if __name__ == "__main__":
    alone(rows, __doc__)
