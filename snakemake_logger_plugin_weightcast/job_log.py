"""What the log of a job tells: its last loss, how long its training still takes, its last lines."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path

TAIL_BYTES = 16_000
LAST_LINES = 12
LONGEST_LINE = 400

LOSS = re.compile(r"\bloss\b\s*[:=]?\s*(-?\d[\d.]*(?:[eE][-+]?\d+)?|nan|-?inf)")
REMAINING = re.compile(r"\[[\d:]+<((?:\d+:)?\d+:\d\d)")  # as tqdm shows it: [elapsed<remaining, ...]


def tail(paths: Sequence[str]) -> list[str]:
    """The last lines of the first of these files that has any; of a rewritten progress bar, its last state alone."""
    for path in paths:
        try:
            with Path(path).open("rb") as file:
                file.seek(max(0, Path(path).stat().st_size - TAIL_BYTES))
                text = file.read().decode("utf-8", errors="replace")
        except OSError:
            continue
        lines = [line.rstrip().rpartition("\r")[2] for line in text.split("\n")]
        lines = [line if len(line) <= LONGEST_LINE else f"{line[:LONGEST_LINE]}..." for line in lines if line.strip()]
        if lines:
            return lines
    return []


def last_lines(paths: Sequence[str]) -> list[str]:
    """As many of the last lines as one wants to see of a failure; the job itself is shown beside them."""
    return [line for line in tail(paths) if not line.startswith("job: ")][-LAST_LINES:]


def last_loss(paths: Sequence[str]) -> str | None:
    """The loss that the log names last, as it stands there; None where it names none."""
    found = LOSS.findall("\n".join(tail(paths)))
    return found[-1] if found else None


def remaining_seconds(paths: Sequence[str]) -> float | None:
    """Seconds that the log's last progress bar still gives the job; None where there is no bar."""
    found = REMAINING.findall("\n".join(tail(paths)))
    if not found:
        return None
    seconds = 0
    for part in found[-1].split(":"):
        seconds = 60 * seconds + int(part)
    return float(seconds)
