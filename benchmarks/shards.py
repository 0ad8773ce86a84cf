"""What two processes gain over one, and two threads over one: a shard of experts, trained whole or in halves.

    OMP_NUM_THREADS=1 python benchmarks/shards.py [--quick]

The experts of the default study, by turns and by the clock, in processes that are up and warm: one process on one
thread trains all of them; two train a half each at the same time, as two jobs of a workflow do; one on two threads
trains all. Where other programs keep the cores busy, two processes gain less than on a machine of their own.
"""

from __future__ import annotations

import contextlib
import io
import time
from collections.abc import Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context

import torch
from side_by_side import Effort, Row, alone, take_turns
from stacked_training import CASES, Stack

from weightcast.core.run import Run

NAME = "shards"
CASE = CASES[0]
MEMBERS = (4, 16, 64)


def rows(effort: Effort) -> Iterator[Row]:
    """Every number of members; the largest in a run that is not quick."""
    for members in MEMBERS[:2] if effort.quick else MEMBERS:
        yield from shard_rows(members, effort)


def shard_rows(members: int, effort: Effort) -> Iterator[Row]:
    """One number of members, an even one."""
    half = members // 2
    with contextlib.ExitStack() as stack:
        alone_, first, second, threaded = (stack.enter_context(_worker(threads)) for threads in (1, 1, 1, 2))

        def two_processes() -> None:
            halves = [
                worker.submit(train, members, part) for worker, part in ((first, (0, half)), (second, (half, members)))
            ]
            for part in halves:
                part.result()

        ways = {
            "one process": lambda: alone_.submit(train, members, (0, members)).result(),
            "two processes": two_processes,
            "one process, two threads": lambda: threaded.submit(train, members, (0, members)).result(),
        }
        turns = take_turns(ways, effort, clock=time.perf_counter)
    yield from turns.rows(NAME, CASE.name, members, per=CASE.training(members).steps)


def train(members: int, part: tuple[int, int]) -> None:
    """Train some of the members of a stack together, in a worker."""
    stack = _stack(members)
    with contextlib.redirect_stderr(io.StringIO()):
        stack.train(stack.predictor, Run(), slice(*part))


@lru_cache(maxsize=1)
def _stack(members: int) -> Stack:
    return Stack(CASE, members)


def _worker(threads: int) -> Executor:
    return ProcessPoolExecutor(1, get_context("spawn"), initializer=torch.set_num_threads, initargs=(threads,))


if __name__ == "__main__":
    alone(rows, __doc__)
