"""A study on a real SLURM, beside the same one on this machine alone: the same weights and numbers, whatever happened.

One training is asked to end before its time limit, then cancelled, then preempted; another one is not asked, and its
time runs out; a third job is killed for its memory. What is needed is fetched and taken away again
(one_node_cluster.py); where it cannot be had, all of this is skipped.
"""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml
from checkout import Checkout, copy_repository
from one_node_cluster import OneNodeCluster, Unavailable, one_node_cluster, processes_in
from safetensors import SafetensorError, safe_open

from snakemake_logger_plugin_weightcast.ending import EXPLAINED, OUT_OF_TIME
from weightcast.core.artifact_header import read_metadata
from weightcast.core.errors import InputError

CONFIG = "tests/slurm/mini-slurm.yaml"
RESULTS = "results/mini-slurm"
LONGEST_SECONDS = 360
"""For the study on the cluster, for each minute that the long training is given first."""
FEW_STEPS = 1000
"""By which it is measured how fast this machine is."""
BEGINNING_SECONDS = 15
"""Within which a job begins to compute on a machine that is given one minute: it is asked to end after 25 to 55 s."""
LATE_SECONDS = 60
"""So long after its time is over SLURM may still let a job run: it looks every half minute."""


@dataclass(frozen=True)
class Pace:
    """How long things take on this machine, and so what is asked of it.

    Attributes:
        seconds: of a step of the long training.
        late_seconds: of a step of the one whose time runs out.
        beginning: seconds of a small run, from its command to its end.
    """

    seconds: float
    late_seconds: float
    beginning: float

    @property
    def minutes(self) -> int:
        """Of the long training's first attempt: SLURM counts in minutes, and looks at them twice in each."""
        return 1 + int(self.beginning // BEGINNING_SECONDS)

    @property
    def steps(self) -> int:
        """Of the long training, so that it is not done by then."""
        return round((60 * self.minutes + 5) / self.seconds)

    @property
    def steps_of_late(self) -> int:
        """Of the training that nobody asks to end, so that SLURM has ended it by then."""
        return round((60 * self.minutes + 5 + LATE_SECONDS) / self.late_seconds)

    @property
    def told(self) -> list[str]:
        """What rules are told to ask for. The signal comes 5 to 35 seconds before the time is over."""
        return [
            f"train_erm:runtime={self.minutes} if attempt == 1 else 30",
            "train_erm:slurm_extra='--signal=TERM@5'",
            f"train_film_matched:runtime={self.minutes} if attempt == 1 else 30",
            "train_film_matched:slurm_extra=''",  # no signal: its time runs out
            "train_conditioned:mem_mb=200 if attempt == 1 else 1500",
        ]


@dataclass(frozen=True)
class Run:
    """What came of the study.

    Attributes:
        local: on this machine alone.
        remote: on the cluster.
        console: what a person saw of the latter.
        jobs: that the cluster knows of.
        reached: steps at which the long training's state was found, in the order of time.
    """

    local: Checkout
    remote: Checkout
    console: str
    jobs: list[dict[str, str]]
    reached: list[int]


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[OneNodeCluster]:
    pytest.importorskip("snakemake_executor_plugin_slurm", reason="needs the extra slurm")
    folder = tmp_path_factory.mktemp("slurm").resolve()
    # Whoever asks the tests to end asks as Ctrl-C does, so that the cluster is taken down.
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        with one_node_cluster(folder) as up:
            yield up
    except Unavailable as reason:
        pytest.skip(str(reason))
    finally:
        signal.signal(signal.SIGTERM, before)
    assert not processes_in(folder)


@pytest.fixture(scope="module")
def run(cluster: OneNodeCluster, tmp_path_factory: pytest.TempPathFactory) -> Run:
    local, remote = (copy_repository(tmp_path_factory.mktemp(name)) for name in ("local", "remote"))
    pace = _pace(local)
    for checkout in (local, remote):
        _set_steps(checkout, pace.steps, pace.steps_of_late)
    _run_here(local)
    command = _snakemake(
        "--workflow-profile", "profiles/slurm", "--jobs", "8", "--latency-wait", "5",
        "--slurm-partition-config", "tests/slurm/partitions.yaml",
        "--slurm-status-command", "squeue", "--slurm-init-seconds-before-status-checks", "3",
        "--set-resources", *pace.told,
    )  # fmt: skip
    environment = _environment(remote) | {"PATH": cluster.environment["PATH"]}
    seen = remote.folder / "console.txt"
    with seen.open("w") as console:
        process = subprocess.Popen(
            command, cwd=remote.folder, env=environment, stdout=console, stderr=subprocess.STDOUT
        )
        try:
            watch = Watch(cluster, remote, process, seen, pace.minutes * LONGEST_SECONDS, pace.steps)
            watch.disturb()
            status = process.wait(pace.minutes * LONGEST_SECONDS)
        finally:
            process.terminate()
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:  # it waits for jobs that nobody will run any more
                process.kill()
    assert status == 0, seen.read_text()[-6000:]
    return Run(local, remote, seen.read_text(), cluster.jobs(), watch.reached)


def _snakemake(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "snakemake", *arguments, "--configfile", CONFIG, "steps.yaml"]


def _environment(checkout: Checkout) -> dict[str, str]:
    """Of a run: trainings save their state every second, rather than after every step as in other tests."""
    return checkout.environment | {"WEIGHTCAST_SAVE_SECONDS": "1", "OMP_NUM_THREADS": "1"}


def _run_here(checkout: Checkout, *targets: str) -> None:
    command = _snakemake(*targets, "--cores", "2")
    done = subprocess.run(
        command, cwd=checkout.folder, env=_environment(checkout), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-6000:]


def _set_steps(checkout: Checkout, steps: int, late: int = 1) -> None:
    """Of the long training, and of the one whose time runs out."""
    told = {"base": {"erm": {"steps": steps}}, "baselines": {"film_matched": {"steps": late}}}
    (checkout.folder / "steps.yaml").write_text(yaml.safe_dump(told))


def _pace(checkout: Checkout) -> Pace:
    """Measured by a few steps of both long trainings, and the simulation before them."""
    _set_steps(checkout, FEW_STEPS, FEW_STEPS)
    started = time.monotonic()
    _run_here(checkout, "train_erm")
    spent = time.monotonic() - started
    _run_here(checkout, "train_film_matched")
    seconds, late = (
        float(re.findall(rf"{FEW_STEPS} steps in ([\d.]+) s", (checkout.folder / RESULTS / log).read_text())[-1])
        for log in ("logs/base/erm.log", "logs/base/film-matched.log")
    )
    return Pace(seconds / FEW_STEPS, late / FEW_STEPS, spent - seconds)


@dataclass
class Watch:
    """Follows the long training, and ends it early in three ways, each once it has gone on from where it was."""

    cluster: OneNodeCluster
    remote: Checkout
    process: subprocess.Popen[bytes]
    console: Path
    patience: float
    steps: int
    reached: list[int] = field(default_factory=list)

    def disturb(self) -> None:
        self._until(lambda: "train_erm: STOPPED" in self.console.read_text(), "stopped before its time limit")
        self.cluster.ask("scancel", self._running_again())
        self._until(lambda: "train_erm: CANCELLED" in self.console.read_text(), "told to be cancelled")
        number = self._running_again()
        self.cluster.ask(
            "sbatch", "--partition=urgent", "--ntasks=2", "--mem=100", "--output=/dev/null", "--wrap=sleep 5"
        )
        self._until(lambda: self._state_of(number) != "RUNNING", "preempted")
        assert self._running_again() == number  # SLURM itself has put it back into the queue

    def _running_again(self) -> str:
        """The number of its job, once that has saved a state of its own."""
        before = self._last
        self._until(lambda: self._last > before and self.cluster.job_of("train_erm") is not None, "going on")
        job = self.cluster.job_of("train_erm")
        assert job is not None
        return job["id"]

    def _state_of(self, number: str) -> str:
        return next(job["state"] for job in self.cluster.jobs() if job["id"] == number)

    def _until(self, happened: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + self.patience
        while True:
            self._look()
            if happened():
                return
            said = self.console.read_text()[-6000:]
            assert self.process.poll() is None, f"over before the training was {what}:\n{said}"
            assert time.monotonic() < deadline, f"the training was not {what}:\n{said}"
            time.sleep(0.3)

    def _look(self) -> None:
        for state in (self.remote.folder / RESULTS / ".state/training").glob("[!.]*.safetensors"):
            try:
                step = int(read_metadata(state).get("step", 0))  # not all states are of trainings
                with safe_open(state, framework="np") as file:
                    long = "losses" in file.keys() and file.get_slice("losses").get_shape()[0] == self.steps  # noqa: SIM118
            except (InputError, OSError, SafetensorError):  # gone meanwhile
                continue
            if long and step not in (0, self._last):  # no other training has as many steps
                self.reached.append(step)

    @property
    def _last(self) -> int:
        return self.reached[-1] if self.reached else 0


def _fingerprints(checkout: Checkout) -> dict[str, str]:
    """What all weights of the study are, by their files."""
    results = checkout.folder / RESULTS
    files = [path for path in results.rglob("*.safetensors") if ".state" not in path.parts]
    return {str(path.relative_to(results)): read_metadata(path)["tensors_digest"] for path in files}


def test_weights_and_numbers_are_the_same_as_on_this_machine_alone(run: Run) -> None:
    found = _fingerprints(run.remote)
    assert found == _fingerprints(run.local) and len(found) >= 8
    metrics = [(checkout.folder / RESULTS / "metrics.csv").read_bytes() for checkout in (run.local, run.remote)]
    assert metrics[0] == metrics[1]
    assert (run.remote.folder / RESULTS / "report.html").stat().st_size > 100_000


def test_a_training_went_on_from_its_state_each_time_that_it_ended_early(run: Run) -> None:
    assert run.reached == sorted(run.reached)
    attempts = [job for job in run.jobs if job["comment"] == "rule_train_erm"]
    assert [job["state"] for job in attempts] == ["FAILED", "CANCELLED", "COMPLETED"]


def test_a_job_whose_time_ran_out_was_given_more(run: Run) -> None:
    attempts = [job for job in run.jobs if job["comment"] == "rule_train_film_matched"]
    assert [job["state"] for job in attempts] == ["TIMEOUT", "COMPLETED"]
    assert "train_film_matched: OUT OF TIME" in run.console and EXPLAINED[OUT_OF_TIME] in run.console


def test_a_job_that_was_out_of_memory_was_given_more(run: Run) -> None:
    attempts = [job for job in run.jobs if job["comment"] == "rule_train_conditioned"]
    assert [(job["memory"], job["state"]) for job in attempts] == [("200M", "FAILED"), ("1500M", "COMPLETED")]


def test_what_the_scheduler_did_is_told_apart_from_failures(run: Run) -> None:
    told = re.findall(r"\] (train_\w+)[^:]*: (STOPPED|CANCELLED|OUT OF MEMORY|OUT OF TIME) after", run.console)
    assert sorted(told) == [
        ("train_conditioned", "OUT OF MEMORY"),
        ("train_erm", "CANCELLED"),
        ("train_erm", "STOPPED"),
        ("train_film_matched", "OUT OF TIME"),
    ]
    assert "stopped in erm after" in run.console and "with its state saved" in run.console
    assert "FAILED" not in run.console and "interrupted" not in run.console


def test_jobs_without_a_gpu_are_kept_off_the_partition_with_one(run: Run) -> None:
    assert {job["partition"] for job in run.jobs if job["comment"].startswith("rule_")} == {"cpu"}


def test_the_machine_has_no_trace_of_a_cluster(cluster: OneNodeCluster) -> None:
    for path in ("/etc/slurm", "/var/spool/slurm", "/run/munge", "/etc/munge"):
        assert not Path(path).exists()
    assert processes_in(cluster.folder)  # while it is up; the fixture looks again when it was taken down
