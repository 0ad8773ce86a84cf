"""What several processes gain for a training and what they cost, beside one, in one run on this machine.

    OMP_NUM_THREADS=1 python benchmarks/processes.py [--processes 2] [--rounds 7] [--seconds 1.5]

Timed are the functions that the stages call, with the sizes of the default study and of a larger diffusion. In every
round one process trains alone while the others wait, and then all train together, for as many steps of the same
batches; the ratio of each round is what counts, so a machine that slows down slows both. Beside the time on the clock
stands that of the processor, in which a process that waits spends nothing: on a machine with fewer free cores than
processes it is what tells. "adding up" is the time of a step in which the first process sends, receives and waits for
the others: sending gradients during the backward pass, as DistributedDataParallel does, could hide no more of a step.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import statistics
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial

import torch
from device import PUBLISHED, SMALL, SMALL_GRID, diffusion_step, vae_step
from torch import Tensor

from weightcast.core.config.training import PredictorTraining, TrainingSettings
from weightcast.core.launch import launch
from weightcast.core.processes import Processes
from weightcast.core.run import Run
from weightcast.environments.conditions import Known, new_condition
from weightcast.environments.config.diffusion import DiffusionSettings
from weightcast.environments.config.end_to_end import EndToEndSettings
from weightcast.environments.config.vae import VAESettings
from weightcast.environments.experts import plan_members, train_experts
from weightcast.environments.generator import new_generator
from weightcast.environments.predictor import StackedPredictor
from weightcast.environments.stages.tune_generator import tune_end_to_end

ENVIRONMENTS, LATENT = 16, 8
ONE_STEP = TrainingSettings(steps=1, learning_rate=1e-4)

Prepare = Callable[[Run], Callable[[int], object]]
"""A run -> a function of a number of steps that does them."""


@dataclass(frozen=True)
class TimedProcesses(Processes):
    """Processes that note how long they add up.

    Attributes:
        spent: seconds of each time.
        numbers: that were added up, of each time.
    """

    spent: list[float] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)

    def add(self, tensors: Sequence[Tensor]) -> None:
        started = time.perf_counter()
        super().add(tensors)
        self.spent.append(time.perf_counter() - started)
        self.numbers.append(sum(tensor.numel() for tensor in tensors))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--seconds", type=float, default=1.5, help="that one process alone is to take in a round")
    arguments = parser.parse_args()
    started = Processes.started()
    if started.alone:
        os.environ["OMP_NUM_THREADS"] = str(arguments.processes)  # which they share: one each
        told = ["--rounds", str(arguments.rounds), "--seconds", str(arguments.seconds)]
        launch([__file__, *told], arguments.processes)
        return
    processes = TimedProcesses(started.rank, started.count)
    processes.meet(torch.device("cpu"))
    say = print if processes.leads else lambda *_, **__: None
    say(f"torch {torch.__version__}, {processes.count} processes of {torch.get_num_threads()} thread(s), gloo")
    say(f"{'milliseconds a step':42s} {'alone':>7s} {'together':>8s}  {'gain':20s} {'adding up':>9s} {'numbers':>8s}")
    for name, prepare in cases().items():
        measured = measure(prepare, processes, arguments.rounds, arguments.seconds)
        for label, alone, together in (("", measured.alone, measured.together), ("  processor", *measured.processor)):
            gain = f"{_shown(one / several for one, several in zip(alone, together, strict=True))}"
            one, several = (1e3 * statistics.median(times) for times in (alone, together))
            adding = "" if label else f"{1e3 * statistics.median(measured.adding):9.2f} {measured.numbers:8d}"
            say(f"{label or name:42s} {one:7.1f} {several:8.1f}  {gain:20s} {adding}", flush=True)
    say("\nadding up alone, no training:")
    for numbers in (10_000, 1_000_000, 10_000_000, 50_000_000):
        spent = []
        for _ in range(5):
            processes.wait()
            started_at = time.perf_counter()
            processes.add([torch.ones(numbers)])
            spent.append(time.perf_counter() - started_at)
        say(f"{numbers:12,d} numbers: {1e3 * statistics.median(spent):8.2f} ms", flush=True)
    processes.leave()


def cases() -> dict[str, Prepare]:
    """Every row, in the order of printing."""
    wide = DiffusionSettings(width=256, heads=8, layers=6, batch=32, training=ONE_STEP)
    return {
        "experts: small FNO, 16 members": partial(expert_steps, SMALL, SMALL_GRID, 16),
        "experts: small FNO, 64 members": partial(expert_steps, SMALL, SMALL_GRID, 64),
        "experts: published FNO, 2 members, 32 x 32": partial(expert_steps, PUBLISHED, (32, 32), 2),
        "VAE: default study": partial(vae_step, SMALL, SMALL_GRID, VAESettings(training=ONE_STEP), 48),
        "diffusion: default study": partial(diffusion_step, 71, LATENT, DiffusionSettings(training=ONE_STEP)),
        "diffusion: width 256, 6 layers": partial(diffusion_step, 71, LATENT, wide),
        "end to end: default study": end_to_end_steps,
    }


@dataclass
class Measured:
    """Of each round, seconds a step.

    Attributes:
        alone: on the clock, of one process.
        together: of all.
        processor: the same of the processor: of one, and of the busiest of all.
        adding: of adding up.
        numbers: that are added up in a step.
    """

    alone: list[float] = field(default_factory=list)
    together: list[float] = field(default_factory=list)
    processor: tuple[list[float], list[float]] = field(default_factory=lambda: ([], []))
    adding: list[float] = field(default_factory=list)
    numbers: int = 0


def measure(prepare: Prepare, processes: TimedProcesses, rounds: int, seconds: float) -> Measured:
    """Train alone and together in turns."""
    measured = Measured()
    with quietly():
        by_one = prepare(Run()) if processes.leads else None
        by_all = prepare(Run(processes=processes))
        by_all(3)  # tables and memory are paid for here
        one_step = 0.0
        if by_one is not None:
            by_one(3)
            one_step = _seconds(by_one, 3)[0]
        steps = int(processes.agreed(max(3, int(seconds / max(one_step, 1e-6)))))
        for _ in range(rounds):
            processes.wait()
            alone = _seconds(by_one, steps) if by_one is not None else (0.0, 0.0)
            processes.wait()
            processes.spent.clear()
            processes.numbers.clear()
            together = _seconds(by_all, steps)
            measured.adding.append(sum(processes.spent) / steps)
            measured.numbers = max(processes.numbers)
            busiest = -processes.least(-round(1e9 * together[1]))
            measured.alone.append(alone[0])
            measured.together.append(together[0])
            measured.processor[0].append(alone[1])
            measured.processor[1].append(1e-9 * busiest)
    return measured


def _seconds(work: Callable[[int], object], steps: int) -> tuple[float, float]:
    """Of a step, on the clock and of the processor."""
    started, processor = time.perf_counter(), time.process_time()
    work(steps)
    return (time.perf_counter() - started) / steps, (time.process_time() - processor) / steps


def _shown(ratios: Iterable[float]) -> str:
    each = list(ratios)
    return f"{statistics.median(each):.2f} ({min(each):.2f} to {max(each):.2f})"


def expert_steps(
    architecture: dict[str, object], grid: tuple[int, int], members: int, run: Run
) -> Callable[[int], object]:
    """Stacked steps of experts, two windows of four steps each, of which a process trains its share."""
    predictor = StackedPredictor.of_architecture(architecture)
    share = run.processes.share(members)
    start = predictor.graph.read(predictor.module).repeat(len(share), 1)
    planned = plan_members([f"e{number}" for number in range(members)], 1, 0)[share.rows]
    frames = run.draws(0, "frames").normal(ENVIRONMENTS, 2, 8, 2, *grid)
    of = [number % ENVIRONMENTS for number in range(members)][share.rows]

    def work(steps: int) -> object:
        training = PredictorTraining(steps=steps, learning_rate=1e-4, unroll=4, batch=2)
        return train_experts(run, start, planned, frames, of, predictor, training)

    return work


def end_to_end_steps(run: Run) -> Callable[[int], object]:
    """Steps through sampler, decoder and predictor: eight environments, two windows of four steps each."""
    corners = [Known(parameters={"a": end, "b": end}) for end in (0.0, 1.0)]
    condition = new_condition("parameters", corners)
    metadata = {
        "architecture": SMALL,
        "normalisation": {"mean": [0.0, 0.0], "scale": [1.0, 1.0]},
        "condition": condition.describe(),
        "origin": None,
        "vae": VAESettings(training=ONE_STEP).model_dump(mode="json"),
        "diffusion": DiffusionSettings(training=ONE_STEP, sample_steps=2).model_dump(mode="json"),
    }
    generator = new_generator(metadata, seed=0)
    with torch.no_grad():
        generator.vae.mean.copy_(generator.predictor.graph.read(generator.predictor.module))
        generator.vae.spread.fill_(0.01)
    draws = run.draws(0, "frames")
    frames, prepared = draws.normal(ENVIRONMENTS, 2, 8, 2, *SMALL_GRID), draws.uniform(ENVIRONMENTS, 2)

    def work(steps: int) -> object:
        training = PredictorTraining(steps=steps, learning_rate=1e-5, unroll=4, batch=2)
        return tune_end_to_end(run, generator, frames, prepared, EndToEndSettings(training=training), 0)

    return work


@contextlib.contextmanager
def quietly() -> Iterator[None]:
    """Progress bars would be part of what is timed."""
    with contextlib.redirect_stderr(io.StringIO()):
        yield


if __name__ == "__main__":
    main()
