"""Why a job of a cluster ended before it was done: its own failure, or what its scheduler did to it.

A scheduler that stops a job says so in two places: the state that it gives the job, which Snakemake's executor puts
into its message, and lines in the job's log of the scheduler. Which of the two is there depends on the cluster: where
memory is guarded by control groups, the state is OUT_OF_MEMORY; where a daemon looks at it now and then, the job has
FAILED, and a line says why. So both are looked at, and what neither explains is a failure of the job's own.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from snakemake_logger_plugin_weightcast.job_log import last_lines, tail

STOPPED = "weightcast: stopped"
"""What the last line of a job's log begins with that was asked to end; it is weightcast.core.interruption's."""

STATE = re.compile(r"status is: '(\w+)'")

PREEMPTED, OUT_OF_MEMORY, OUT_OF_TIME = "PREEMPTED", "OUT OF MEMORY", "OUT OF TIME"
CANCELLED, NODE_LOST, STOPPED_EARLY = "CANCELLED", "NODE LOST", "STOPPED"

BY_STATE = {
    "PREEMPTED": PREEMPTED,
    "OUT_OF_MEMORY": OUT_OF_MEMORY,
    "TIMEOUT": OUT_OF_TIME,
    "DEADLINE": OUT_OF_TIME,
    "CANCELLED": CANCELLED,
    "NODE_FAIL": NODE_LOST,
    "BOOT_FAIL": NODE_LOST,
}

BY_LINE = (
    (PREEMPTED, re.compile(r"DUE TO PREEMPTION")),
    (OUT_OF_TIME, re.compile(r"DUE TO TIME LIMIT")),
    (NODE_LOST, re.compile(r"DUE TO NODE FAILURE")),
    (OUT_OF_MEMORY, re.compile(r"oom.kill|Out Of Memory|[Ee]xceeded \w+ memory limit|exceeded memory limit|OOMKilled")),
)

EXPLAINED = {
    PREEMPTED: "a job of higher priority was given its place",
    OUT_OF_MEMORY: "it used more memory than it had asked for",
    OUT_OF_TIME: "it took longer than it had asked for",
    CANCELLED: "by scancel, or by who runs the cluster",
    NODE_LOST: "the machine that it ran on is gone",
    STOPPED_EARLY: "asked to end, as before a time limit or for a job of higher priority",
}


@dataclass(frozen=True)
class Ending:
    """How a scheduler ended a job.

    Attributes:
        kind: in capitals, in the place of FAILED.
        words: what it means, and how far the job had come where its log says that it saved.
    """

    kind: str
    words: str


def ending(message: str | None, logs: Sequence[str]) -> Ending | None:
    """How a scheduler ended a job; None where it failed by itself.

    Args:
        message: of the executor that submitted the job.
        logs: of the job itself, and of the scheduler.
    """
    own = last_lines(logs[:1])
    said = [line.strip() for line in own if line.strip().startswith(STOPPED)]
    kind = _by_state(message) or _by_line(logs[1:]) or (STOPPED_EARLY if said and own[-1].strip() == said[-1] else None)
    if kind is None:
        return None
    return Ending(kind, "; ".join([EXPLAINED[kind], *(line.removeprefix("weightcast: ") for line in said[-1:])]))


def _by_state(message: str | None) -> str | None:
    found = STATE.search(message or "")
    return None if found is None else BY_STATE.get(found[1])


def _by_line(logs: Sequence[str]) -> str | None:
    # Of a job of an array SLURM's executor names a folder of the job's own, in which its log is not: it is beside it.
    beside = [str(Path(log).parent.parent / Path(log).name) for log in logs]
    text = "\n".join(line for pair in zip(logs, beside, strict=True) for line in tail(pair))
    return next((kind for kind, pattern in BY_LINE if pattern.search(text)), None)
