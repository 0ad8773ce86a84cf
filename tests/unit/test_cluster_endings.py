"""What a person is told of jobs that a scheduler ended: lines and states as SLURM 22.05 and its executor wrote them."""

from __future__ import annotations

import io
from pathlib import Path

import pytest

from snakemake_logger_plugin_weightcast.ending import ending
from snakemake_logger_plugin_weightcast.screen import Screen
from snakemake_logger_plugin_weightcast.view import RunView

STATUS = (
    "SLURM-job '5' failed, SLURM status is: '{}'. Detailed failure reason unavailable (status command is not 'sacct')."
)
SAVED = (
    "weightcast: stopped in erm after 1090 of 8000 steps, with its state saved, on SIGTERM: the same command goes on"
)
KILLED = "slurmstepd-vm: error: StepId=1.0 exceeded memory limit (265117696 > 104857600), being killed"


@pytest.fixture
def logs(tmp_path: Path) -> list[Path]:
    """Of the job, and of SLURM; neither says anything yet."""
    found = [tmp_path / "erm.log", tmp_path / "rule_train_erm/5.log"]
    for log in found:
        log.parent.mkdir(exist_ok=True)
        log.write_text("")
    return found


def kind(state: str, logs: list[Path]) -> str | None:
    found = ending(STATUS.format(state), [str(log) for log in logs])
    return None if found is None else found.kind


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("PREEMPTED", "PREEMPTED"),
        ("OUT_OF_MEMORY", "OUT OF MEMORY"),
        ("TIMEOUT", "OUT OF TIME"),
        ("CANCELLED", "CANCELLED"),
        ("NODE_FAIL", "NODE LOST"),
        ("FAILED", None),
    ],
)
def test_a_state_tells_what_the_scheduler_did(state: str, expected: str | None, logs: list[Path]) -> None:
    assert kind(state, logs) == expected


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (KILLED, "OUT OF MEMORY"),
        ("slurmstepd: error: Detected 1 oom_kill event in StepId=7.0.", "OUT OF MEMORY"),
        ("slurmstepd-vm: error: *** JOB 7 ON vm CANCELLED AT 2026-11-29T13:40:37 DUE TO TIME LIMIT ***", "OUT OF TIME"),
        ("slurmstepd-vm: error: *** JOB 7 ON vm CANCELLED AT 2026-11-29T13:40:37 DUE TO PREEMPTION ***", "PREEMPTED"),
        ("CalledProcessError in file zoo.smk: Command 'python x' returned non-zero exit status 1.", None),
    ],
)  # fmt: skip
def test_where_the_state_is_a_failure_its_log_of_the_scheduler_tells(
    line: str, expected: str | None, logs: list[Path]
) -> None:
    logs[1].write_text(f"Select jobs to execute...\n{line}\nExiting because a job execution failed.\n")
    assert kind("FAILED", logs) == expected


def test_a_training_that_was_asked_to_end_says_how_far_it_came(logs: list[Path]) -> None:
    logs[0].write_text(f"job: {{}}\nerm: 13%\n{SAVED}\n")
    found = ending(STATUS.format("FAILED"), [str(log) for log in logs])
    assert found is not None and found.kind == "STOPPED"
    assert "stopped in erm after 1090 of 8000 steps, with its state saved" in found.words
    logs[0].write_text(f"{SAVED}\nValueError: of the next attempt\n")
    assert kind("FAILED", logs) is None


def test_the_log_of_an_array_is_found_where_slurm_writes_it(logs: list[Path]) -> None:
    (logs[1].parent / "9_2.log").write_text(KILLED)
    assert kind("FAILED", [logs[0], logs[1].parent / "erm/9_2.log"]) == "OUT OF MEMORY"


def view_of(records: list[dict[str, object]]) -> list[str]:
    stream = io.StringIO()
    view = RunView(Screen(stream))
    for record in records:
        view.take({"created": 1000.0, **record})
    return stream.getvalue().splitlines()


def test_a_run_goes_on_when_a_job_of_a_cluster_was_stopped(logs: list[Path]) -> None:
    """On one machine the same line means that the whole run was interrupted."""
    logs[0].write_text(f"{SAVED}\n")
    begun = {"event": "run_info", "stats": {"train_erm": 1, "total": 1}}
    started = {"event": "job_info", "jobid": 1, "rule_name": "train_erm", "log": [str(logs[0])], "shellcmd": "python x"}
    stopped = {
        "event": "job_error", "jobid": 1, "rule_name": "train_erm", "log": [str(log) for log in logs],
        "rule_msg": STATUS.format("FAILED"), "aux": {"external_jobid": "5"},
    }  # fmt: skip
    lines = view_of([begun, started, stopped, started, {"event": "job_finished", "job_id": 1}])
    assert lines[1].startswith("[0/1] train_erm: STOPPED after 0 s: asked to end")
    assert lines[2:] == ["[0/1] train_erm: once more", "[1/1] train_erm: 0 s (100 %)"]
    assert view_of([begun, started, {**stopped, "aux": {}}]) == ["weightcast: 1 job to run"]
