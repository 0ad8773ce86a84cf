"""One run at a time in a folder; and a run that was killed does not lock out the next one.

Snakemake notes in files what a run works on. They stay when it is killed, and Snakemake cannot tell then from now. The
system can: a lock on an open file ends with the process, however it ends. Every process that reads the workflow holds
one, shared with others; whoever gets it alone knows that nobody is at work, so that what Snakemake noted is of a run
that was killed.

Only light modules are imported: Snakemake reads this file in every process that it starts.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import socket
import time
from pathlib import Path
from typing import TextIO

try:
    import fcntl
except ImportError:  # not a POSIX system: Snakemake's own lock is all there is
    fcntl = None  # type: ignore[assignment]

FILE = "weightcast.lock"
"""In Snakemake's own folder; names the process that is at work, in words."""

_held: list[TextIO] = []


def take_folder(snakemake: Path) -> bool:
    """Hold the folder until this process ends, and clear away what a killed run left locked.

    Args:
        snakemake: the folder ``.snakemake`` of where a run works.

    Returns:
        Whether there was such a run. False also where others are at work, which Snakemake then finds out, or where the
        system cannot lock.
    """
    if fcntl is None:
        return False
    try:
        snakemake.mkdir(exist_ok=True)
        file = (snakemake / FILE).open("a+", encoding="utf-8")
    except OSError:  # may not be written: said by whoever has to write
        return False
    _held.append(file)
    was_killed = False
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        pass
    else:
        was_killed = _clear(snakemake / "locks")
        with contextlib.suppress(OSError):  # a full disk: said by whoever has to write more
            file.truncate(0)
            said = f"process {os.getpid()} on {socket.gethostname()} since {time.strftime('%Y-%m-%d %H:%M')}"
            os.write(file.fileno(), said.encode())  # at once: nothing is left to be written when the process ends
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return was_killed
    return was_killed


def _clear(locks: Path) -> bool:
    if not locks.is_dir() or not any(locks.iterdir()):
        return False
    shutil.rmtree(locks, ignore_errors=True)
    return True
