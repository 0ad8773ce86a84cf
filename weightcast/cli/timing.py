"""Measuring how long work takes one core of this machine."""

from __future__ import annotations

import gc
import io
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, redirect_stderr
from functools import partial
from statistics import mean
from typing import TypeVar

import torch

BUDGET = 0.25
"""Seconds that each kind of step is repeated for, unless one takes longer."""
LONG = 2.5
"""Seconds from which on work is not repeated to measure it better."""

Item = TypeVar("Item")


def seconds_a_step(train: Callable[[int], object]) -> float:
    """Of as many steps as fit into the budget, without what a training does once, before and after its steps.

    Args:
        train: trains for this number of steps, from the start.
    """
    first = processor_seconds(lambda: train(1))
    if first > LONG:
        return first
    one = processor_seconds(lambda: train(1))  # the first also paid for memory and tables
    more = 1 + int(BUDGET / max(one, 0.01))
    longer = processor_seconds(lambda: train(1 + more))
    return (longer - one) / more if longer > one else longer / (1 + more)


def mean_seconds(work: Callable[[Item], object], items: Iterable[Item]) -> float:
    """Of the work on an item: of as many items as fit into the budget, but at least one."""
    spent: list[float] = []
    for item in items:
        spent.append(processor_seconds(partial(work, item)))
        if sum(spent) > BUDGET:
            break
    return mean(spent)


def processor_seconds(work: Callable[[], object]) -> float:
    """Of this process: what other processes do meanwhile does not count."""
    started = time.process_time()
    work()
    return time.process_time() - started


@contextmanager
def one_quiet_thread() -> Iterator[None]:
    """Seconds of one thread are seconds of a core; progress bars of trainings that are no trainings would confuse.

    Garbage is collected before, and not meanwhile: looking through all that has been imported takes as long as many
    steps.
    """
    threads, collecting = torch.get_num_threads(), gc.isenabled()
    torch.set_num_threads(1)
    gc.collect()
    gc.disable()
    try:
        with redirect_stderr(io.StringIO()):
            yield
    finally:
        torch.set_num_threads(threads)
        if collecting:
            gc.enable()
