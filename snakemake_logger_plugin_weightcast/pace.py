"""How long the rest of a run takes, judged by the jobs that are done, or by how long they took last time."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

MEMORY = Path(".snakemake/weightcast-pace.json")
"""Mean seconds of each rule's jobs when they last ran, by configuration: beside Snakemake's own notes."""

TARGET_SECONDS = 0.05
"""What takes less only names the files that are wanted, and tells nothing about other jobs."""


@dataclass
class Pace:
    """Seconds that the jobs of each rule take.

    Attributes:
        study: what distinguishes the configuration that is run from others in the same folder.
        slots: jobs that run at a time.
    """

    study: str = ""
    slots: int = 1
    _remembered: dict[str, float] = field(default_factory=dict)
    _seconds: dict[str, list[float]] = field(default_factory=dict)

    def recall(self, memory: Path = MEMORY) -> None:
        """Read how long jobs took last time, if that was ever written down."""
        self._remembered = {
            rule: float(seconds) for rule, seconds in _read(memory).get(self.study, {}).items() if seconds >= 0
        }

    def note(self, rule: str, seconds: float) -> None:
        """Take note of a job that is done."""
        self._seconds.setdefault(rule, []).append(seconds)

    def remember(self, memory: Path = MEMORY) -> None:
        """Write down how long jobs took, for the next run."""
        if self._seconds and memory.parent.is_dir():
            means = {rule: round(sum(seconds) / len(seconds), 1) for rule, seconds in self._seconds.items()}
            text = json.dumps(_read(memory) | {self.study: self._remembered | means}, indent=1, sort_keys=True)
            unfinished = memory.with_suffix(".unfinished")
            with suppress(OSError):  # a run that has filled the disk ends with what it has to say of that
                unfinished.write_text(text)
                unfinished.replace(memory)

    def expected(self, rule: str) -> float | None:
        """Seconds that a job of a rule takes; None if none was ever seen."""
        seen = self._seconds.get(rule)
        return sum(seen) / len(seen) if seen else self._remembered.get(rule)

    def left(self, waiting: Mapping[str, int], running: float) -> tuple[float, bool] | None:
        """Seconds to the end, and whether they are known, or guessed for rules of which no job was ever seen.

        A rule that was never seen is taken to be like the mean of those that were. None where fewer than two were.

        Args:
            waiting: jobs of each rule that have not begun.
            running: seconds that the running ones still take together.
        """
        known = [
            seconds for rule in {*self._remembered, *self._seconds} if (seconds := self.expected(rule)) is not None
        ]
        known = [seconds for seconds in known if seconds > TARGET_SECONDS]
        if len(known) < 2:
            return None
        typical, work, sure = sum(known) / len(known), running, True
        for rule, jobs in waiting.items():
            expected = self.expected(rule)
            work += max(0, jobs) * (typical if expected is None else expected)
            sure &= expected is not None or jobs <= 0
        return work / max(1, self.slots), sure


def _read(memory: Path) -> dict[str, dict[str, float]]:
    try:
        content = json.loads(memory.read_text())
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}
