"""Measuring what a step of a training takes: seconds of a core, and floating-point operations."""

from __future__ import annotations

import time
from collections.abc import Callable

from torch.optim.optimizer import register_optimizer_step_post_hook

from weightcast.cli.operations import OperationCounter
from weightcast.cli.timing import LONG, seconds_a_step
from weightcast.cli.work import Work

Train = Callable[[int], object]
"""Trains for this number of steps, from the start."""


def work_of_a_step(train: Train) -> Work:
    """Of one optimiser step, without what a training does once, before and after its steps.

    The operations are those of the second step, and so is the time if it is long: the first one also pays for memory.
    Counting delays every call of torch by microseconds; where a step takes less time, it is timed without.
    """
    second = _second_step(train)
    return second if second.seconds > LONG else Work(seconds_a_step(train), second.operations)


def work_of_a_batch(work_of: Callable[[int], Work], size: int, few: int = 2) -> Work:
    """Of a step with a batch of this size; if that takes long, from a batch of one and a batch of a few.

    Operations, and the time that they take, grow along a straight line: what all samples share (the optimiser's pass
    over the parameters) once, and the same for every sample.

    Args:
        work_of: batch size -> the work of a step.
        size: of the batch, or whatever else of a step may be made smaller.
        few: samples of the larger batch: the more, the smaller their share of a step's time is.
    """
    one = work_of(1)
    if size == 1:
        return one
    if size <= few or one.seconds * size <= LONG:
        return work_of(size)
    several = work_of(few)
    sample = Work(several.seconds - one.seconds, several.operations - one.operations) * (1 / (few - 1))
    if sample.seconds <= 0.0:  # a disturbed measurement: better too much than nothing
        sample = several * (1 / few)
    return one + sample * (size - 1)


def _second_step(train: Train) -> Work:
    ends: list[Work] = []
    with OperationCounter() as counter:
        hook = register_optimizer_step_post_hook(lambda *_: ends.append(Work(time.process_time(), counter.operations)))
        try:
            train(2)
        finally:
            hook.remove()
    first, second = ends
    return Work(second.seconds - first.seconds, second.operations - first.operations)
