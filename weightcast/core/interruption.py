"""Being asked to end: by a signal before a time limit, by a person, or because the run that a job is part of is gone.

A training saves its state and ends (:func:`weightcast.core.training.fit` asks after every step); whatever else is under
way ends where it is, and what it was writing is taken away. Either way the same command goes on from there.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import NoReturn

RUN = "WEIGHTCAST_RUN"
"""Environment variable by which a run tells its jobs who it is: host and process."""
WATCH_SECONDS = 1.0
STOPPED = "weightcast: stopped"
"""What the last line of a job's log begins with that was asked to end."""

_asked: list[str] = []
_can_save: list[str] = []
_conditions: list[Callable[[], bool]] = []


def listen() -> None:
    """Hear requests to end from now on: SIGTERM, or the end of the run that started this process.

    Jobs outlive a run that is killed outright. Two of them would then work on the same files, the old one and that of
    the next run; so a job looks whether its run is still there, where both are on one machine.
    """
    signal.signal(signal.SIGTERM, _take)
    host, _, process = os.environ.get(RUN, "").rpartition(" ")
    if process.isdigit() and host == socket.gethostname():
        threading.Thread(target=_watch, args=(int(process),), name="weightcast-watch", daemon=True).start()


def announce() -> None:
    """Let this process be the run that the jobs which it starts are part of."""
    os.environ[RUN] = f"{socket.gethostname()} {os.getpid()}"


def pass_on() -> None:
    """Let a request to end that reaches this run alone reach its jobs too, so that they save and end."""
    before = signal.getsignal(signal.SIGTERM)

    def take(number: int, frame: FrameType | None) -> None:
        if callable(before):
            before(number, frame)
        for process in _descendants(os.getpid()):
            with contextlib.suppress(OSError):
                os.kill(process, signal.SIGTERM)

    with contextlib.suppress(ValueError):  # of a thread that is not the main one
        signal.signal(signal.SIGTERM, take)


def asked() -> bool:
    """Whether this process has been asked to end, while :func:`saving`."""
    return bool(_asked)


@contextmanager
def saving(what: str) -> Iterator[None]:
    """Within the block a request to end waits until the block looks for it, by :func:`asked`, saves and ends.

    Args:
        what: is under way, for the message.
    """
    _can_save.append(what)
    try:
        yield
    finally:
        _can_save.pop()
    if _asked and not _can_save:  # the block was over before it looked
        end(f"after {what}")


@contextmanager
def say_only_if(condition: Callable[[], bool]) -> Iterator[None]:
    """Within the block the line with which the process ends is said only if this holds then."""
    _conditions.append(condition)
    try:
        yield
    finally:
        _conditions.remove(condition)


def end(where: str) -> NoReturn:
    """End the process, as one that a signal ended, with a line that says where.

    Raises:
        SystemExit: always, of status 143.
    """
    why = _asked[0] if _asked else "asked to"
    if all(condition() for condition in _conditions):
        print(f"{STOPPED} {where}, {why}: the same command goes on from there", file=sys.stderr, flush=True)
    raise SystemExit(128 + signal.SIGTERM)


def _take(number: int, frame: FrameType | None) -> None:
    _asked.append("its run is gone" if _gone.is_set() else f"on {signal.Signals(number).name}")
    if not _can_save:
        end("before its end")


def _descendants(process: int) -> list[int]:
    """Processes that a process has started, and those that they have; none where the system does not tell."""
    parents = {}
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, ValueError, IndexError):
            stat = (folder / "stat").read_text(encoding="utf-8", errors="replace")
            parents[int(folder.name)] = int(stat.rpartition(")")[2].split()[1])  # after the name: state, parent
    found = [process]
    for one in found:
        found += [child for child, parent in parents.items() if parent == one]
    return found[1:]


def _watch(run: int) -> None:
    while True:
        time.sleep(WATCH_SECONDS)
        try:
            os.kill(run, 0)
        except ProcessLookupError:
            _gone.set()
            os.kill(os.getpid(), signal.SIGTERM)
            return
        except OSError:  # somebody else's process has the number now, or one may not ask
            return


_gone = threading.Event()
