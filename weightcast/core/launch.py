"""Starting the processes that run a job together, on this machine: what ``torchrun --standalone`` does, with one line
for an error and none for what it is itself."""

from __future__ import annotations

import logging
import os
import signal
import sys
from collections.abc import Mapping, Sequence

from weightcast.core.errors import InputError
from weightcast.core.interruption import announce

SAVING_SECONDS = 120
"""That processes have to end once they were asked to: to save a state. Then they are killed."""
THREADS = ("OMP", "MKL", "OPENBLAS", "GOTO", "VECLIB", "NUMEXPR")
"""Whose number of threads Snakemake sets to that of the job."""
_STOPPED = 128 + signal.SIGTERM


def launch(command: Sequence[str], count: int) -> None:
    """Run a Python program in so many processes, which find each other, and wait for them.

    They share this process's threads. SIGTERM and Ctrl-C are passed on to them, so that they save. When one fails, the
    others are asked to end.

    Args:
        command: the program's path and its arguments.
        count: of the processes.

    Raises:
        InputError: a process was killed, which could not say so itself.
        SystemExit: a process failed, and has said why, or was asked to end.
    """
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    logging.getLogger("torch.distributed").setLevel(logging.CRITICAL)  # its words for what is said here in one line
    for library in THREADS:
        threads = os.environ.get(f"{library}_NUM_THREADS", "1")
        os.environ[f"{library}_NUM_THREADS"] = str(max(1, int(threads) // count if threads.isdecimal() else 1))
    announce()  # the run that these processes are part of, and without which they end, is this process
    config = LaunchConfig(
        min_nodes=1,
        max_nodes=1,
        nproc_per_node=count,
        run_id="weightcast",
        rdzv_backend="c10d",
        rdzv_endpoint="localhost:0",
        local_addr="localhost",
        max_restarts=0,
        logs_specs=DefaultLogsSpecs(log_dir=os.devnull),
        signals_to_handle="SIGTERM",
        shutdown_timeout=SAVING_SECONDS,
    )
    try:
        elastic_launch(config, sys.executable)("-u", *command)
    except SignalException:
        raise SystemExit(_STOPPED) from None
    except KeyboardInterrupt:  # which the launcher passes on as SIGTERM
        raise SystemExit(128 + signal.SIGINT) from None
    except ChildFailedError as error:
        codes = {rank: failure.exitcode for rank, failure in error.failures.items()}
        raise _ending(codes, count) from None


def _ending(codes: Mapping[int, int], count: int) -> SystemExit | InputError:
    """How the whole ends, from the exit codes of processes that failed: a negative one is a signal's."""
    for rank, code in codes.items():
        if code < 0:
            name = signal.Signals(-code).name
            print(file=sys.stderr)  # its last line may not have been over
            memory = ": there may be too little memory" if -code == signal.SIGKILL else ""
            return InputError(f"process {rank} of {count} was ended by {name}{memory}")
    return SystemExit(_STOPPED if set(codes.values()) == {_STOPPED} else 1)
