"""A run of Snakemake, followed by its log records and told in few lines."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from snakemake_logger_plugin_weightcast.ending import STOPPED, Ending, ending
from snakemake_logger_plugin_weightcast.job_log import last_lines, last_loss, remaining_seconds
from snakemake_logger_plugin_weightcast.pace import Pace
from snakemake_logger_plugin_weightcast.screen import Screen

GATHERED_FROM = 7
"""Rules with so many jobs or more are told in one line when they begin and one when they are done."""

STARTED_AFTER_SECONDS = 15
"""Without a terminal a job's start gets its line only once it has run that long: most are over before."""

SILENT_SECONDS = 120
"""Without a terminal, a line says after so much silence what is running."""

BAR_WIDTH = 24

WARNING = 30  # the level, as in logging

# What Snakemake says at every run, and what is told here in another way. Anything else that it says is shown.
CHATTER = re.compile(
    r"Assuming unrestricted shared filesystem usage|host: |Building DAG of jobs|Using shell: |Select jobs to execute"
    r"|Conda environments: ignored|Singularity containers: ignored|Group jobs: inactive|Config file .* is "
    r"|Job stats:|Execute \d+ jobs|Complete log\(s\): |Elapsed time: |Shutting down, this might take some time"
    r"|Exiting because a job execution failed|Removing output files? of failed job|Trying to restart job"
    r"|Terminating processes on user request|Will exit after finishing currently running jobs"
    r"|Updating checkpoint dependencies|WorkflowError:\nAt least one job did not"
    r"|At least one job did not complete|(RuleException:\s*)?CalledProcessError|Job \d+ has been submitted|None$"
    r"|SLURM run ID: |Auto-selected partition |Submitted array job with |Array job submission does not allow "
    r"|Cleaning up SLURM log files |Get status with: kubectl",
    re.S,
)
REDIRECTION = re.compile(r"\s+(?:&>|>)\s*\S+(?:\s+2>&1)?\s*$")
LOCKED = re.compile(r"LockException|Directory cannot be locked")
INTERRUPTED = ("KeyboardInterrupt", STOPPED)
"""What the last line of a job's log begins with that was asked to end together with its run."""
ERROR = "WorkflowError:\nFailed to create"
"""What Snakemake's complaint about a folder that cannot be written begins with; it has several lines."""
LOCK = Path(".snakemake", "weightcast.lock")
"""Names the process that is at work in a folder; weightcast.core.run_lock writes it."""
NOTES = re.compile(r"Complete log\(s\): (.*)")


@dataclass
class Job:
    """A job that has begun."""

    rule: str
    wildcards: Mapping[str, str]
    log: list[str]
    command: str | None
    started: float
    announced: bool = False

    @property
    def label(self) -> str:
        """The rule and its wildcards: which arm, environment, base, shard or seed."""
        return " ".join([self.rule, *(f"{name}={value}" for name, value in self.wildcards.items())])


@dataclass
class Gathered:
    """A rule with many jobs, told together."""

    jobs: int
    done: int = 0
    seconds: float = 0.0
    losses: list[str] = field(default_factory=list)


class RunView:
    """Takes log records as they come and writes what a person wants to know of them."""

    def __init__(self, screen: Screen) -> None:
        self._screen = screen
        self._pace = Pace()
        self._jobs_of: dict[str, int] = {}
        self._begun: Counter[str] = Counter()
        self._running: dict[int, Job] = {}
        self._failed: dict[int, Job] = {}
        self._gathered: dict[str, Gathered] = {}
        self._done = 0
        self._total = 0
        self._started: float | None = None
        self._last_line = 0.0
        self._interrupted = False
        self._notes = ""
        self._takers = {
            "workflow_started": self._take_workflow,
            "resources_info": self._take_resources,
            "run_info": self._take_run,
            "job_info": self._take_job,
            "job_finished": self._take_finished,
            "progress": self._take_progress,
            "job_error": self._take_error,
            "group_error": self._take_group_error,
            "error": self._take_message,
            "None": self._take_message,
        }

    def take(self, record: Mapping[str, Any]) -> None:
        """Follow one record, given as the attributes that Snakemake gave it. Unknown events are left out."""
        taker = self._takers.get(str(record.get("event")))
        if taker is not None:
            taker(record)
            self._show_status(float(record["created"]))

    def tick(self, now: float) -> None:
        """Time has passed without a record."""
        if self._started is None:
            return
        if not self._screen.live:
            for job in self._running.values():
                if not job.announced and now - job.started >= STARTED_AFTER_SECONDS:
                    job.announced = True
                    self._line(now, f"{job.label}: started")
            if self._running and now - self._last_line >= SILENT_SECONDS:
                self._line(now, f"running: {self._running_now(now)} {self._outlook(now)}")
        self._show_status(now)

    def end(self, now: float) -> None:
        """The run is over: say how it ended. Nothing where it never began."""
        self._screen.status("")
        if self._started is None:
            return
        for rule, gathered in self._gathered.items():
            if 0 < gathered.done < gathered.jobs:
                each = duration(gathered.seconds / gathered.done)
                self._line(now, f"{rule}: {gathered.done} of {gathered.jobs} jobs, {each} each")
        self._pace.remember()
        spent = duration(now - self._started)
        if self._interrupted:
            self._screen.line(
                f"weightcast: interrupted after {spent} with {self._done} of {self._total} jobs done:"
                " the same command goes on where it was"
            )
        elif self._failed:
            notes = f" (all that Snakemake noted: {self._notes})" if self._notes else ""
            self._screen.line(
                f"weightcast: {_jobs(len(self._failed))} failed, {self._done} of {self._total} done, in {spent}:"
                f" once mended, the same command goes on from there{notes}"
            )
        elif self._done >= self._total:
            self._screen.line(f"weightcast: {_jobs(self._total)} done in {spent}")
        else:
            self._screen.line(f"weightcast: ended after {spent} with {self._done} of {self._total} jobs done")

    def _take_workflow(self, record: Mapping[str, Any]) -> None:
        self._pace.study = " ".join(map(str, record.get("configfiles") or []))

    def _take_resources(self, record: Mapping[str, Any]) -> None:
        self._pace.slots = max(self._pace.slots, int(record.get("cores") or 1))

    def _take_run(self, record: Mapping[str, Any]) -> None:
        counts = {str(rule): int(jobs) for rule, jobs in record["stats"].items()}
        self._total = counts.pop("total", sum(counts.values()))
        self._jobs_of = counts
        self._started = self._last_line = float(record["created"])
        self._pace.recall()
        self._screen.line(f"weightcast: {_jobs(self._total)} to run")

    def _take_job(self, record: Mapping[str, Any]) -> None:
        now = float(record["created"])
        job = Job(
            str(record["rule_name"]),
            dict(record.get("wildcards") or {}),
            [str(path) for path in record.get("log") or []],
            record.get("shellcmd"),
            now,
        )
        number = int(record["jobid"])
        if self._failed.pop(number, None) is not None:
            self._line(now, f"{job.label}: once more")
        else:
            self._begun[job.rule] += 1
        self._running[number] = job
        self._pace.slots = max(self._pace.slots, len(self._running))
        if job.command is None:  # a target, which gathers files and runs nothing
            job.announced = True
        elif (jobs := self._jobs_of.get(job.rule, 1)) >= GATHERED_FROM:
            job.announced = True
            if job.rule not in self._gathered:
                self._gathered[job.rule] = Gathered(jobs)
                if not self._screen.live:
                    self._line(now, f"{job.rule}: {jobs} jobs, started")

    def _take_finished(self, record: Mapping[str, Any]) -> None:
        now = float(record["created"])
        job = self._running.pop(int(record["job_id"]), None)
        self._done += 1
        if job is None:
            return
        self._pace.note(job.rule, now - job.started)
        if job.command is None:
            return
        loss = last_loss(job.log)
        gathered = self._gathered.get(job.rule)
        if gathered is None:
            self._line(now, f"{job.label}: {duration(now - job.started)}{_loss([loss])} {self._outlook(now)}")
            return
        gathered.done += 1
        gathered.seconds += now - job.started
        gathered.losses += [loss] if loss is not None else []
        if gathered.done == gathered.jobs:
            each = duration(gathered.seconds / gathered.done)
            said = f"{job.rule}: {gathered.jobs} jobs, {each} each{_loss(gathered.losses)}"
            self._line(now, f"{said} {self._outlook(now)}")

    def _take_progress(self, record: Mapping[str, Any]) -> None:
        self._done, self._total = int(record["done"]), int(record["total"])

    def _take_error(self, record: Mapping[str, Any]) -> None:
        now = float(record["created"])
        number = int(record["jobid"])
        job = self._running.pop(number, None)
        if job is None:
            if number in self._failed:  # told already
                return
            job = Job(str(record["rule_name"]), {}, [], None, now)
        log = [str(path) for path in record.get("log") or []] or job.log
        lines = last_lines(log)
        # A job of a cluster is asked to end by itself. Elsewhere a signal reaches the run as well, sometimes later.
        submitted = "external_jobid" in (record.get("aux") or {})
        is_asked = bool(lines) and lines[-1].strip().startswith(INTERRUPTED)
        if self._interrupted or (is_asked and not submitted):
            self._interrupted = True
            return
        self._failed[number] = job
        ended = ending(str(record.get("rule_msg") or ""), log) if submitted else None
        message = self._ended(job, ended, now) if ended else self._failure(job, log, lines, record, now)
        self._line(now, "\n".join(message))

    def _ended(self, job: Job, ended: Ending, now: float) -> list[str]:
        """What a scheduler did to a job: nothing that a look at its log would mend."""
        return [f"{job.label}: {ended.kind} after {duration(now - job.started)}: {ended.words}"]

    def _failure(self, job: Job, log: list[str], lines: list[str], record: Mapping[str, Any], now: float) -> list[str]:
        said = f"the end of {log[0]}:" if lines else f"{log[0]} says nothing" if log else "it has no log"
        message = [f"{job.label}: FAILED after {duration(now - job.started)}, {said}"]
        message += [f"    {line}" for line in lines]
        if record.get("rule_msg"):
            message.append(f"  {record['rule_msg']}")
        command = record.get("shellcmd") or job.command
        if command:  # without where its output went, so that a person sees it
            message.append(f"  to repeat this job alone: {REDIRECTION.sub('', str(command).strip())}")
        return message

    def _take_group_error(self, record: Mapping[str, Any]) -> None:
        for info in record.get("job_error_info") or []:
            log = [*(info.get("log") or []), *(record.get("aux_logs") or [])]
            self._take_error({**info, "log": log, "created": record["created"], "rule_msg": record.get("msg")})

    def _take_message(self, record: Mapping[str, Any]) -> None:
        text = str(record.get("message") or record.get("msg") or "").strip()
        if text.startswith(("Terminating processes on user request", "Will exit after finishing currently running")):
            self._interrupted = True
            if self._screen.live:
                self._screen.status("interrupted: waiting for jobs to end")
        if notes := NOTES.match(text):
            self._notes = notes[1]
        if LOCKED.search(text):
            text = f"weightcast: error: another run is at work in {Path.cwd()}{_at_work()}: wait for it, or stop it"
        elif text.startswith(ERROR):
            text = f"weightcast: error: {' '.join(text.removeprefix('WorkflowError:').split())}"
        if text and not CHATTER.match(text):
            self._screen.line(text)
            self._last_line = float(record["created"])

    def _line(self, now: float, text: str) -> None:
        self._last_line = now
        self._screen.line(f"[{self._done:>{len(str(self._total))}}/{self._total}] {text}")

    def _outlook(self, now: float) -> str:
        """How far the run is, in brackets."""
        return f"({self._percent()} %{self._time_left(now)})"

    def _percent(self) -> int:
        return 100 * self._done // max(1, self._total)

    def _time_left(self, now: float) -> str:
        waiting = {rule: jobs - self._begun[rule] for rule, jobs in self._jobs_of.items()}
        running = sum(self._seconds_left(job, now) for job in self._running.values())
        seconds, sure = self._pace.left(waiting, running) or (0.0, False)
        return f", {'about' if sure else 'roughly'} {duration(seconds)} left" if seconds >= 1 else ""

    def _seconds_left(self, job: Job, now: float) -> float:
        expected = self._pace.expected(job.rule)
        if expected is not None:
            return max(0.0, expected - (now - job.started))
        return remaining_seconds(job.log) or 0.0

    def _running_now(self, now: float) -> str:
        parts = [
            f"{rule} {gathered.done}/{gathered.jobs}"
            for rule, gathered in self._gathered.items()
            if any(job.rule == rule for job in self._running.values())
        ]
        parts += [
            f"{job.label} {duration(now - job.started)}"
            for job in self._running.values()
            if job.rule not in self._gathered and job.command is not None
        ]
        return ", ".join(parts)

    def _show_status(self, now: float) -> None:
        if self._started is None or self._interrupted or not self._screen.live:
            return
        filled = BAR_WIDTH * self._done // max(1, self._total)
        bar = "#" * filled + "." * (BAR_WIDTH - filled)
        text = f"[{bar}] {self._done}/{self._total} {self._percent()} %, {duration(now - self._started)}"
        running = self._running_now(now)
        self._screen.status(f"{text}{self._time_left(now)}{': ' if running else ''}{running}")


def _at_work() -> str:
    """Who is at work in this folder, in brackets; empty where nobody has said so."""
    try:
        said = LOCK.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError):
        return ""
    return f" ({said})" if said.isprintable() and said else ""


def duration(seconds: float) -> str:
    """Seconds as a person says them."""
    whole = round(max(0.0, seconds))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60}:{whole % 60:02d} min"
    return f"{whole // 3600}:{whole // 60 % 60:02d}:{whole % 60:02d} h"


def _jobs(number: int) -> str:
    return f"{number} job" if number == 1 else f"{number} jobs"


def _loss(losses: list[str | None] | list[str]) -> str:
    """The loss, or the range of several, after a comma; empty where no log gave one."""
    known = sorted((loss for loss in losses if loss is not None), key=float)
    if not known:
        return ""
    return f", loss {known[0]}" if known[0] == known[-1] else f", loss {known[0]} to {known[-1]}"
