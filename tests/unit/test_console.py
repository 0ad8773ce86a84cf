"""The logger plugin, fed with records as Snakemake 9 makes them."""

from __future__ import annotations

import io
import logging
from types import SimpleNamespace

import pytest
from snakemake_interface_logger_plugins.common import LogEvent

from snakemake_logger_plugin_weightcast import LogHandler, LogHandlerSettings
from snakemake_logger_plugin_weightcast.job_log import last_loss, remaining_seconds, tail
from snakemake_logger_plugin_weightcast.pace import Pace
from snakemake_logger_plugin_weightcast.screen import Screen
from snakemake_logger_plugin_weightcast.view import RunView, duration

COMMAND = "python x.py > x.log 2>&1"
CALLED = "RuleException:\nCalledProcessError in file 'x.smk', line 1:\nCommand 'x' returned non-zero exit status 1."


class Terminal(io.StringIO):
    """Says that it is one."""

    def isatty(self) -> bool:
        return True


class Run:
    """Snakemake, as far as its log records go."""

    def __init__(self, stream: io.StringIO | None = None) -> None:
        self.stream = stream or io.StringIO()
        self.view = RunView(Screen(self.stream))
        self.now = 1000.0
        self.done = 0
        self.total = 0

    def record(self, event: LogEvent | None, message: str | None = None, **attributes) -> None:
        self.view.take({"created": self.now, "event": event, "msg": message, "message": str(message), **attributes})

    def begin(self, cores: int = 1, **jobs: int) -> None:
        self.total = sum(jobs.values())
        self.record(None, "Building DAG of jobs...")
        self.record(LogEvent.RESOURCES_INFO, f"Provided cores: {cores}", cores=cores)
        self.record(LogEvent.RUN_INFO, "Job stats:\n...", stats={**jobs, "total": self.total})

    def start(self, jobid: int, rule: str, log: list[str] | None = None, shellcmd=COMMAND, **wildcards):
        self.record(LogEvent.JOB_STARTED, "Execute 1 jobs...", jobs=[jobid])
        self.record(
            LogEvent.JOB_INFO, jobid=jobid, rule_name=rule, wildcards=wildcards, log=log or [], shellcmd=shellcmd
        )
        self.record(LogEvent.SHELLCMD, f"Shell command: {shellcmd}", shellcmd=shellcmd)

    def finish(self, jobid: int, seconds: float = 2.0) -> None:
        self.now += seconds
        self.done += 1
        self.record(LogEvent.JOB_FINISHED, f"Finished jobid: {jobid}", job_id=jobid)
        self.record(LogEvent.PROGRESS, done=self.done, total=self.total)

    def fail(self, jobid: int, rule: str, log: list[str], shellcmd=COMMAND) -> None:
        self.record(LogEvent.ERROR, CALLED, exception="RuleException")
        self.record(
            LogEvent.JOB_ERROR, f"Error in rule {rule}", jobid=jobid, rule_name=rule, rule_msg=None, log=log,
            shellcmd=shellcmd,
        )  # fmt: skip

    def stop(self, failed: bool = False) -> None:
        if failed:
            self.record(None, "Exiting because a job execution failed. Look above for error messages", levelno=40)
        self.record(None, "Complete log(s): .snakemake/log/x.log")
        if failed:
            self.record(LogEvent.ERROR, "WorkflowError:\nAt least one job did not complete successfully.")
        self.view.end(self.now)

    @property
    def lines(self) -> list[str]:
        return self.stream.getvalue().splitlines()


@pytest.fixture(autouse=True)
def _elsewhere(tmp_path, monkeypatch):
    """Away from the repository, whose .snakemake must not be read or written."""
    monkeypatch.chdir(tmp_path)


def test_a_job_is_one_line_with_wildcards_seconds_and_loss(tmp_path):
    (tmp_path / "vae.log").write_text("vae: 50%\rvae: 100% loss=0.25, 3.1it/s\nlast loss 1.5e-02\n")
    run = Run()
    run.begin(train_vae=1, all=1)
    run.start(1, "train_vae", log=["vae.log"], arm="paper", seed="0")
    run.finish(1, 75)
    run.start(0, "all", shellcmd=None)
    run.finish(0, 0)
    run.stop()

    assert run.lines == [
        "weightcast: 2 jobs to run",
        "[1/2] train_vae arm=paper seed=0: 1:15 min, loss 1.5e-02 (50 %)",
        "weightcast: 2 jobs done in 1:15 min",
    ]


def test_parallel_jobs_end_in_any_order():
    run = Run()
    run.begin(cores=2, train_erm=1, train_vae=1)
    run.start(1, "train_erm")
    run.start(2, "train_vae", arm="a")
    run.finish(2, 3)
    run.finish(1, 1)
    run.stop()

    assert [line.split(" (")[0] for line in run.lines[1:3]] == ["[1/2] train_vae arm=a: 3 s", "[2/2] train_erm: 4 s"]


def test_many_equal_jobs_are_gathered_in_two_lines():
    run = Run()
    run.begin(simulate_environments=42, all=1)
    for jobid in range(1, 43):
        run.start(jobid, "simulate_environments", environment=f"e{jobid}")
        run.finish(jobid, 1)
    run.stop()

    assert len(run.lines) == 4
    assert run.lines[1] == "[ 0/43] simulate_environments: 42 jobs, started"
    assert run.lines[2].startswith("[42/43] simulate_environments: 42 jobs, 1 s each (97 %")


def test_without_a_terminal_only_long_jobs_have_a_line_for_their_start():
    run = Run()
    run.begin(train_erm=2)
    run.start(1, "train_erm")
    run.view.tick(run.now + 10)
    assert len(run.lines) == 1
    run.view.tick(run.now + 16)
    run.view.tick(run.now + 17)
    assert run.lines[1:] == ["[0/2] train_erm: started"]
    run.view.tick(run.now + 150)
    assert run.lines[2].startswith("[0/2] running: train_erm 2:30 min")


def test_on_a_terminal_one_line_is_rewritten_and_taken_away_at_the_end(monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setenv("TERM", "xterm")
    run = Run(Terminal())
    run.begin(train_erm=2)
    run.start(1, "train_erm")
    run.view.tick(run.now + 5)
    status = run.stream.getvalue().rpartition("\r\x1b[2K")[2]
    assert status == "[........................] 0/2 0 %, 5 s: train_erm 5 s"
    run.view.tick(run.now + 50)
    assert "started" not in run.stream.getvalue()
    run.finish(1)
    run.stop()
    assert run.stream.getvalue().splitlines()[-1].endswith("\x1b[2Kweightcast: ended after 2 s with 1 of 2 jobs done")


def test_a_failure_shows_the_end_of_its_log_and_its_command_once(tmp_path):
    (tmp_path / "x.log").write_text(
        "job: {}\n" + "\n".join(f"line {number}" for number in range(100)) + "\nValueError: broken\n"
    )
    run = Run()
    run.begin(train_vae=1, train_erm=1)
    command = "python scripts/run_stage.py '{\"stage\": \"train_vae\"}' > 'x y.log' 2>&1".replace("'x y.log'", "x.log")
    run.start(1, "train_vae", log=["x.log"], shellcmd=command, arm="a")
    run.now += 4
    run.fail(1, "train_vae", ["x.log"], command)
    run.fail(1, "train_vae", ["x.log"], command)
    run.stop(failed=True)

    assert run.lines[1] == "[0/2] train_vae arm=a: FAILED after 4 s, the end of x.log:"
    assert run.lines[2] == "    line 89" and run.lines[13] == "    ValueError: broken"
    assert run.lines[14] == '  to repeat this job alone: python scripts/run_stage.py \'{"stage": "train_vae"}\''
    assert run.lines[15].startswith(
        "weightcast: 1 job failed, 0 of 2 done, in 4 s: once mended, the same command goes on"
    )
    assert len(run.lines) == 16


def test_a_job_that_is_tried_again_has_not_failed_for_good():
    run = Run()
    run.begin(train_vae=1)
    run.start(1, "train_vae")
    run.fail(1, "train_vae", [])
    run.record(None, "Trying to restart job 1.")
    run.start(1, "train_vae")
    run.finish(1)
    run.stop()

    assert "FAILED after 0 s, it has no log" in run.lines[1]
    assert run.lines[3] == "[0/1] train_vae: once more"
    assert run.lines[-1] == "weightcast: 1 job done in 2 s"


@pytest.mark.parametrize("told_first", [True, False])
def test_an_interrupted_run_ends_in_one_line_and_blames_no_job(tmp_path, told_first):
    (tmp_path / "x.log").write_text("Traceback\nKeyboardInterrupt\n")
    run = Run()
    run.begin(train_vae=1, train_erm=1)
    run.start(1, "train_vae", log=["x.log"])
    if told_first:
        run.record(None, "Terminating processes on user request, this might take some time.")
    run.fail(1, "train_vae", ["x.log"])
    run.stop(failed=True)

    assert run.lines[1:] == [
        "weightcast: interrupted after 0 s with 0 of 2 jobs done: the same command goes on where it was"
    ]


def test_grouped_jobs_of_a_cluster_fail_like_others(tmp_path):
    (tmp_path / "slurm.log").write_text("out of memory\n")
    run = Run()
    run.begin(train_vae=1)
    run.start(1, "train_vae", log=["missing.log"])
    info = {"jobid": 1, "rule_name": "train_vae", "log": ["missing.log"], "shellcmd": None}
    run.record(LogEvent.GROUP_ERROR, "Error in group", job_error_info=[info], aux_logs=["slurm.log"])
    assert "    out of memory" in run.lines


def test_what_is_not_chatter_is_shown():
    run = Run()
    run.record(None, "Nothing to be done (all requested files are present and up to date).", levelno=20)
    run.record(LogEvent.ERROR, "MissingInputException in rule x", exception="MissingInputException")
    run.record(None, "Select jobs to execute...")
    run.view.end(run.now)
    assert run.lines == [
        "Nothing to be done (all requested files are present and up to date).",
        "MissingInputException in rule x",
    ]


def settings(**changed) -> SimpleNamespace:
    usual = {"dryrun": False, "verbose": False, "debug_dag": False, "printshellcmds": False, "quiet": None}
    return SimpleNamespace(**(usual | {"stdout": False, "nocolor": True, "show_failed_logs": False} | changed))


def test_records_that_cannot_be_understood_never_raise(capsys):
    handler = LogHandler(settings(), LogHandlerSettings())
    for event in (*LogEvent, "an event of a later Snakemake", None):
        for attributes in ({}, {"jobid": "x"}, {"job_id": None}, {"stats": 3}, {"done": 1}, {"job_error_info": [None]}):
            record = logging.LogRecord("snakemake", logging.INFO, "", 0, None, None, None)
            record.__dict__.update(event=event, **attributes)
            handler.handle(record)
    handler.close()
    handler.close()
    assert "Traceback" not in capsys.readouterr().err


@pytest.mark.parametrize(
    ("changed", "own"),
    [
        ({}, {}),
        ({"printshellcmds": True}, {}),
        ({"verbose": True}, {}),
        ({"dryrun": True, "stdout": True}, {}),
        ({}, {"verbose": True}),
    ],
)
def test_dry_runs_and_who_asks_for_more_get_snakemakes_own_words(capsys, changed, own):
    handler = LogHandler(settings(**changed), LogHandlerSettings(**own))
    record = logging.LogRecord("snakemake", logging.INFO, "", 0, "Job stats:\ntrain_vae 1", None, None)
    record.__dict__.update(event=LogEvent.RUN_INFO, stats={"train_vae": 1, "total": 1})
    handler.handle(record)
    handler.close()
    captured = capsys.readouterr()
    plain = bool(changed or own)
    assert ("Job stats:\ntrain_vae 1" in captured.out + captured.err) == plain
    assert ("weightcast: 1 job to run" in captured.err) != plain


def test_time_left_is_guessed_from_other_rules_and_known_from_the_last_run(tmp_path):
    pace = Pace(study="config.yaml", slots=2)
    pace.recall()
    pace.note("simulate", 2.0)
    assert pace.left({"train": 4}, 0.0) is None
    pace.note("base", 4.0)
    assert pace.left({"train": 4, "base": 1}, 6.0) == ((4 * 3.0 + 4.0 + 6.0) / 2, False)
    pace.note("train", 10.0)
    (tmp_path / ".snakemake").mkdir()
    pace.remember()

    later = Pace(study="config.yaml")
    later.recall()
    assert later.left({"train": 4}, 0.0) == (40.0, True)
    other = Pace(study="other.yaml")
    other.recall()
    assert other.left({"train": 4}, 0.0) is None


def test_a_damaged_memory_is_no_memory(tmp_path):
    (tmp_path / ".snakemake").mkdir()
    (tmp_path / ".snakemake" / "weightcast-pace.json").write_text("{")
    pace = Pace()
    pace.recall()
    assert pace.expected("train") is None


def test_what_a_log_tells(tmp_path):
    log = tmp_path / "x.log"
    log.write_bytes(
        b"start\nvae:   0%| | 0/400 [00:00<?]\rvae:  90%| | 359/400 [00:20<01:02, 17.90it/s, loss=0.5]\n\xff\n"
    )
    assert tail([str(log)])[1] == "vae:  90%| | 359/400 [00:20<01:02, 17.90it/s, loss=0.5]"
    assert last_loss([str(log)]) == "0.5"
    assert remaining_seconds([str(log)]) == 62
    assert last_loss([str(tmp_path / "none.log")]) is None and tail([]) == []


def test_durations():
    assert [duration(seconds) for seconds in (0.4, 59.4, 61, 3600, 7325)] == [
        "0 s", "59 s", "1:01 min", "1:00:00 h", "2:02:05 h",
    ]  # fmt: skip
