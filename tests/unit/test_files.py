"""Files written whole: who may read them, what is on the disk when, and what killed writers leave."""

from __future__ import annotations

import errno
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from weightcast.core import files
from weightcast.core.artifacts import load_artifact, save_artifact
from weightcast.core.files import (
    ABANDONED_SECONDS,
    folder_written_whole,
    remove_abandoned,
    remove_partials_of,
    written_whole,
)


@pytest.fixture
def umask():
    before = os.umask(0o022)
    yield os.umask
    os.umask(before)


@pytest.mark.parametrize(("mask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664), (0o077, 0o600)])
def test_an_artifact_may_be_read_by_whom_the_umask_lets(mask: int, mode: int, tmp_path: Path, umask) -> None:
    umask(mask)
    for name in ("new.safetensors", "new.safetensors"):  # also in the place of an old one
        save_artifact(tmp_path / name, "zoo", {"weights": torch.zeros(2)}, {})
        assert (tmp_path / name).stat().st_mode & 0o777 == mode


def test_contents_are_on_the_disk_before_the_name_is_and_the_name_when_the_block_ends(tmp_path, monkeypatch) -> None:
    done = []
    real_fsync, real_replace = os.fsync, Path.replace

    def fsync(descriptor: int) -> None:
        done.append("folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else "file")  # noqa: PTH112
        real_fsync(descriptor)

    def replace(path: Path, target: Path) -> Path:
        done.append("rename")
        return real_replace(path, target)

    monkeypatch.setattr(os, "fsync", fsync)
    monkeypatch.setattr(Path, "replace", replace)
    with written_whole(tmp_path / "a.txt") as partial:
        partial.write_text("whole", encoding="utf-8")
    assert done == ["file", "rename", "folder"]
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]


def test_a_disk_that_turns_out_to_be_full_leaves_the_old_file(tmp_path, monkeypatch) -> None:
    (tmp_path / "a.txt").write_text("old", encoding="utf-8")

    def full(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space"), written_whole(tmp_path / "a.txt") as partial:
        partial.write_text("new", encoding="utf-8")
    assert [path.name for path in tmp_path.iterdir()] == ["a.txt"]
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "old"


def test_a_file_system_that_cannot_synchronise_is_written_to_all_the_same(tmp_path, monkeypatch) -> None:
    def unsupported(descriptor: int) -> None:
        raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))

    monkeypatch.setattr(os, "fsync", unsupported)
    with written_whole(tmp_path / "a.txt") as partial:
        partial.write_text("new", encoding="utf-8")
    assert (tmp_path / "a.txt").read_text(encoding="utf-8") == "new"


KILLED = """
import os, signal, sys
from weightcast.core.files import written_whole
with written_whole(sys.argv[1]) as partial:
    partial.write_text("half")
    os.kill(os.getpid(), signal.SIGKILL)
"""


def test_what_a_killed_writer_left_goes_and_what_a_live_one_writes_stays(tmp_path: Path) -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, str(tmp_path / "deep/a.b.txt")], check=False)
    assert killed.returncode == -9
    (left,) = (tmp_path / "deep").iterdir()
    with written_whole(tmp_path / "deep/other.txt") as partial:
        partial.write_text("whole", encoding="utf-8")
        (tmp_path / "deep/.notes.partial.txt").write_text("a person's", encoding="utf-8")
        assert remove_abandoned(tmp_path) == [left]
    assert sorted(path.name for path in (tmp_path / "deep").iterdir()) == [".notes.partial.txt", "other.txt"]


def test_of_another_machine_only_what_nobody_has_written_to_for_long_goes(tmp_path: Path) -> None:
    assert files._host() != "elsewhere"
    new, old = (tmp_path / f".{name}.txt.elsewhere.1.partial" for name in ("new", "old"))
    for path in (new, old):
        path.touch()
    long_ago = old.stat().st_mtime - 2 * ABANDONED_SECONDS
    os.utime(old, (long_ago, long_ago))
    assert remove_abandoned(tmp_path) == [old]


def test_whoever_is_the_only_writer_removes_what_was_left_of_that_file_alone(tmp_path: Path) -> None:
    own = tmp_path / f".a.txt.{socket.gethostname()}.1.partial"
    for path in (own, tmp_path / ".b.txt.elsewhere.1.partial"):
        path.touch()
    assert remove_partials_of(tmp_path / "a.txt") == [own]
    assert remove_partials_of(tmp_path / "none/a.txt") == []


def test_a_folder_is_there_whole_or_not_at_all(tmp_path: Path) -> None:
    folder = tmp_path / "[new]"
    with pytest.raises(RuntimeError), folder_written_whole(folder) as partial:
        (partial / "a").write_text("half")
        assert not folder.exists()
        raise RuntimeError
    assert not list(tmp_path.iterdir())
    with subprocess.Popen([sys.executable, "-c", ""]) as ended:
        pass
    left = tmp_path / f".[new].{socket.gethostname()}.{ended.pid}.partial"
    left.mkdir()
    with folder_written_whole(folder) as partial:
        (partial / "part").mkdir()
        (partial / "part" / "a").write_text("whole")
    assert [path.name for path in tmp_path.iterdir()] == ["[new]"]
    assert (folder / "part" / "a").read_text() == "whole"


def test_tensors_that_share_memory_are_written_apart(tmp_path: Path) -> None:
    whole = torch.arange(6.0)
    save_artifact(tmp_path / "a.safetensors", "weights", {"one": whole, "again": whole, "part": whole[:3]}, {})
    read = load_artifact(tmp_path / "a.safetensors").tensors
    assert (
        torch.equal(read["one"], whole) and torch.equal(read["again"], whole) and torch.equal(read["part"], whole[:3])
    )
