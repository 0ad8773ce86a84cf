"""Measuring what a job takes one core of this machine, without doing all of it."""

from __future__ import annotations

import gc
import io
import re
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor
from torch.optim.optimizer import register_optimizer_step_post_hook

from weightcast.core.config.device import AccelerationSettings
from weightcast.core.config.training import TrainingSettings
from weightcast.core.run import Identity, Run
from weightcast.core.training import VALIDATIONS, Fit, Loss, fit, losses_of
from weightcast.cost.operations import OperationCounter

LONG = 2.5
"""Seconds from which on work is not repeated to measure it better."""
TOO_LONG = 4 * LONG
"""Seconds of a training's first step, which takes longer than the others, from which on there is no second."""
MOST_STEPS = 60
"""Steps that are timed at most."""


@dataclass(frozen=True)
class Work:
    """What computing takes; adds up, and grows in proportion.

    Attributes:
        seconds: on one core of this machine.
        operations: floating-point, as :mod:`weightcast.cost.operations` counts them; 0 where they are not counted.
        counted: the seconds whose operations are counted.
    """

    seconds: float = 0.0
    operations: float = 0.0
    counted: float = 0.0

    def __add__(self, other: Work) -> Work:
        return Work(self.seconds + other.seconds, self.operations + other.operations, self.counted + other.counted)

    def __mul__(self, times: float) -> Work:
        return Work(self.seconds * times, self.operations * times, self.counted * times)

    __rmul__ = __mul__


class MeasuredRun(Run):
    """A run whose trainings stop after a few steps, and note what all of their steps would have taken.

    Args:
        acceleration: as of the study.
        identity: of the job; see :class:`weightcast.core.run.Run`.
        outputs: where the stage's outputs go, by name.
        budget: seconds for which the steps of a training are repeated, unless one takes longer.
        grows: how many times as long trainings take in the study, whose names have a word in them.

    Attributes:
        trained: what the trainings would take in all.
        spent: seconds that their few steps took, which are no part of the rest of the job.
    """

    def __init__(
        self,
        acceleration: AccelerationSettings | None = None,
        *,
        identity: Identity | None = None,
        outputs: Mapping[str, Path] | None = None,
        budget: float = 0.5,
        grows: Mapping[str, float] | None = None,
    ) -> None:
        super().__init__("cpu", acceleration, identity=identity, outputs=outputs)
        self.budget = budget
        self.grows = dict(grows or {})
        self.trained = Work()
        self.spent = 0.0
        self._known: dict[object, Work] = {}

    def fit(
        self,
        parameters: Sequence[Tensor],
        loss: Loss | Sequence[Loss],
        settings: TrainingSettings,
        *,
        name: str,
        stacked: bool = False,
        may_diverge: bool = False,
        validation: Callable[[], Tensor] | None = None,
    ) -> Fit:
        """Train for a few steps, spread evenly over those of the training; trainings alike are timed once.

        What hardly trained networks do is no reason to stop: no member's divergence ends it.
        """
        started, parameters = time.process_time(), list(parameters)
        last = {"keep": "last"}

        def spread(one: Loss, steps: int) -> Loss:
            return self._cast(lambda step: one(step * settings.steps // steps))

        def train(steps: int) -> Fit:
            """For so many steps, as long ones as those of the whole training."""
            few = settings.model_copy(update=last | {"steps": steps})
            return fit(
                parameters,
                [spread(one, steps) for one in losses_of(loss)],
                few,
                stacked=stacked,
                may_diverge=True,
                label=name,
            )

        # Names of trainings that differ in their numbers alone are of the same training, done again.
        alike = (re.sub(r"[\d.e+-]+", "", name), tuple(parameter.shape for parameter in parameters))
        if alike not in self._known:
            self._known[alike] = self._step(train, settings.steps)
        work = self._known[alike] * settings.steps
        if validation is not None:
            before = time.process_time()
            with torch.no_grad():
                validation()
            seconds = time.process_time() - before
            work += Work(min(VALIDATIONS, settings.steps) * seconds)
        work *= next((factor for word, factor in self.grows.items() if word in name), 1.0)
        members = parameters[0].shape[0] if stacked else 1
        result = Fit(torch.ones(1, members), torch.zeros(members, dtype=torch.bool), work.seconds)
        self.curves[name] = result.curve()
        self.trained += work
        self.spent += time.process_time() - started
        return result

    @contextmanager
    def iterations(self, count: int, name: str, sizes: tuple[int, ...] | None = None) -> Iterator[int]:
        """Do one, unless its sizes have been, and note what all would have taken; the look at the start is one more."""
        known = self._known.get((name, sizes)) if sizes else None
        started = time.process_time()
        yield 1 if known is None else 0
        seconds = time.process_time() - started
        self.spent += seconds
        one = known or Work(seconds if sizes else seconds / 2)
        if sizes:
            self._known[name, sizes] = one
        grown = next((factor for word, factor in self.grows.items() if word in name), 1.0)
        self.trained += one * (count if sizes else count + 1) * grown

    def _step(self, train: Callable[[int], Fit], most: int) -> Work:
        """A step's work. The first one of a training also pays for memory, and is left out where there is a second."""
        with OperationCounter() as counter:
            first = _step_seconds(train, 1)
        operations = counter.operations
        if first > TOO_LONG or most == 1:
            return Work(first, operations, first)
        one = _step_seconds(train, 2)
        number = min(MOST_STEPS, int(self.budget / max(one, 1e-4)))
        seconds = one if number < 2 else _step_seconds(train, number + 1)
        return Work(seconds, operations, seconds)


def _step_seconds(train: Callable[[int], Fit], steps: int) -> float:
    """Of a step on average, but for the first where there are several."""
    ends = [time.process_time()]
    hook = register_optimizer_step_post_hook(lambda *_: ends.append(time.process_time()))
    try:
        train(steps)
    finally:
        hook.remove()
    if len(ends) > 2:
        return (ends[-1] - ends[1]) / (len(ends) - 2)
    return ends[-1] - ends[0]


def processor_seconds(work: Callable[[], object]) -> float:
    """Seconds that work takes this process: what other processes do meanwhile does not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


@contextmanager
def one_quiet_thread() -> Iterator[None]:
    """Seconds of one thread are seconds of a core; progress of trainings that are no trainings would confuse.

    Garbage is collected before, and not meanwhile: looking through all that has been imported takes as long as many
    steps.
    """
    threads, collecting = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(1)
    gc.collect()
    gc.disable()
    try:
        with redirect_stderr(io.StringIO()), redirect_stdout(io.StringIO()):
            yield
    finally:
        torch.set_num_threads(threads)
        if collecting:
            gc.enable()
