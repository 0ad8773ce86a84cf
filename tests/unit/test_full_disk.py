"""Disks that are full and folders that may not be written: one line that names what cannot be written."""

from __future__ import annotations

import errno
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from weightcast.core.files import check_writable, folder_written_whole, written_whole

ROOT = Path(__file__).parents[2]
STUDY = "mini-ode"
OWN_MOUNTS = ("unshare", "-m", "sh", "-c")
"""Runs a line of a shell with mounts of its own, which end with it."""
MOUNTED = {
    "full": "mount -t tmpfs -o size={kilobytes}k tmpfs {folder}",
    "read-only": "mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}",
}


@pytest.fixture
def file_size_limit():
    """Files of this process end after 1000 bytes, as on a disk that is full: the system names no file then."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    yield
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize("write", [written_whole, folder_written_whole])
def test_what_cannot_be_written_is_named(write, file_size_limit, tmp_path: Path) -> None:
    path = tmp_path / "table.csv"
    with pytest.raises(OSError) as caught, write(path) as partial:
        (partial / "part" if partial.is_dir() else partial).write_bytes(bytes(5000))
    assert (caught.value.errno, caught.value.filename) == (errno.EFBIG, str(path))
    assert not list(tmp_path.iterdir())


def test_errors_of_other_files_keep_their_names(tmp_path: Path) -> None:
    missing = tmp_path / "source"
    with pytest.raises(FileNotFoundError) as caught, written_whole(tmp_path / "copy") as partial:
        shutil.copy(missing, partial)
    assert caught.value.filename == str(missing)


def test_a_folder_is_tried_where_it_would_be_made(file_size_limit, tmp_path: Path) -> None:
    wanted = tmp_path / "results" / "mine"
    with pytest.raises(OSError) as caught:
        check_writable(wanted)
    assert caught.value.filename == str(wanted) and not list(tmp_path.iterdir())


def test_a_folder_that_may_be_written_is_left_as_it_was(tmp_path: Path) -> None:
    check_writable(tmp_path / "results" / "mine")
    assert not list(tmp_path.iterdir())


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Of a study that has run before, where disks can be mounted for one command alone."""
    trial = [*OWN_MOUNTS, MOUNTED["full"].format(kilobytes=8, folder=tmp_path)]
    if shutil.which("unshare") is None or subprocess.run(trial, capture_output=True, check=False).returncode:
        pytest.skip("no disks can be mounted here: that takes root, and a system that lets it")
    for name in (f"results/{STUDY}/logs", "data", ".snakemake/log", "tests/workflow"):
        (tmp_path / name).mkdir(parents=True)
    for name in (f"{STUDY}.yaml", f"{STUDY}.csv"):
        shutil.copy(ROOT / "tests/workflow" / name, tmp_path / "tests/workflow")
    return tmp_path


def run_with(mount: str, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Simulate the study's trajectories with something mounted."""
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(ROOT / "Snakefile"), "--cores", "1"]
    command += ["--workflow-profile", str(ROOT / "profiles/default"), *options]
    command += ["--configfile", f"tests/workflow/{STUDY}.yaml"]
    mounted = [*OWN_MOUNTS, f'{mount} && exec "$@"', "sh", *command]
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(mounted, cwd=folder, env=environment, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("state", MOUNTED)
@pytest.mark.parametrize("name", [f"results/{STUDY}", ".snakemake"])
def test_a_run_that_cannot_write_says_so_before_it_plans(name: str, state: str, folder: Path) -> None:
    done = run_with(MOUNTED[state].format(kilobytes=40, folder=name), folder, "simulate")
    said = [line for line in done.stderr.splitlines() if line.startswith("weightcast: ")]
    reason = {"full": "No space left on device", "read-only": "Read-only file system"}[state]
    assert done.returncode == 1 and said == [f"weightcast: error: {folder / name}: {reason}"], done.stderr
    assert len(done.stderr.splitlines()) <= 3  # of which Snakemake says its profile, and that it has no log


def test_a_study_may_be_looked_at_where_nothing_can_be_written(folder: Path) -> None:
    every = MOUNTED["read-only"].format(folder="results")
    assert run_with("true", folder, "simulate", "-n").returncode == 0
    done = run_with(every, folder, "simulate", "-n")
    assert done.returncode == 0, done.stderr


def test_a_job_that_fills_the_disk_names_its_file(folder: Path) -> None:
    """Which lies in a folder that is there already, so that planning does not try it."""
    mount = MOUNTED["full"].format(kilobytes=12, folder="data") + f" && mkdir data/{STUDY}"
    done = run_with(mount, folder, "simulate")
    assert done.returncode == 1
    said = [line.strip() for line in done.stdout.splitlines() + done.stderr.splitlines() if "No space left" in line]
    assert said and all(f"data/{STUDY}/trajectories/" in line for line in said), done.stderr
