"""Manifests of trajectories: which are made, which are there already, where they lie, and what the pipeline sees."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from weightcast.core.run import Run
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import ListTrajectories
from weightcast.environments.made_trajectories import RECORDS, MadeFiles
from weightcast.environments.stages.list_trajectories import list_trajectories
from weightcast.environments.trajectory_manifest import TOGETHER, Manifest, find_files, forget_incomplete, list_name
from weightcast.trajectories import Trajectories, write_trajectories

IDS = ("a", "b", "c")


def record(id: str, frames: int = 3) -> Trajectories:
    """Trajectories that tell their environment."""
    values = np.full((2, frames, 1, 1, 1), ord(id), np.float32)
    return Trajectories(values, ("u",), np.arange(float(frames)), np.zeros(1), np.zeros(1), id, {"k": float(ord(id))})


def make(
    folder: Path, shard: str, made_from: dict[str, str], ids: tuple[str, ...] = IDS, long: tuple[str, ...] = ()
) -> list[str]:
    """A job: makes what is not there; the environments that it made."""
    files, made = MadeFiles(folder / f"{shard}.csv", made_from), []
    for id in ids:
        if id not in files:
            write_trajectories(files.path(id), record(id, 4 if id in long else 3))
            files.note(id)
            made.append(id)
    files.manifest(ids).save(folder / f"{shard}.csv")
    return made


def together(folder: Path) -> list[Path]:
    """Files of several environments."""
    return sorted((folder / TOGETHER).glob("*"))


def said(folder: Path, ids: tuple[str, ...] = IDS) -> str:
    """The environments whose trajectories are read for some ids."""
    read = TrajectoryFolder(folder)
    return "".join(chr(int(read.trajectories(id).values.max())) for id in ids)


@pytest.fixture
def made_from() -> dict[str, str]:
    return {id: f"digest of {id}" for id in IDS}


@pytest.fixture
def folder(tmp_path: Path, made_from: dict[str, str]) -> Path:
    assert make(tmp_path, "visible-000", made_from) == ["a", "b", "c"]
    return tmp_path


def test_environments_of_a_job_lie_in_one_file(folder: Path) -> None:
    (file,) = together(folder)
    assert not list(folder.glob("*.nc"))
    assert find_files(folder) == dict.fromkeys(IDS, file)
    assert said(folder) == "abc"


def test_one_environment_has_a_file_of_its_own(tmp_path: Path) -> None:
    make(tmp_path, "visible-000", {"a": "digest of a"}, ("a",))
    assert find_files(tmp_path) == {"a": tmp_path / "a.nc"} and said(tmp_path, ("a",)) == "a"


def test_environments_that_are_not_alike_have_files_of_their_own(tmp_path: Path, made_from: dict[str, str]) -> None:
    make(tmp_path, "visible-000", made_from, long=("b",))
    assert together(tmp_path) == []
    assert find_files(tmp_path) == {id: tmp_path / f"{id}.nc" for id in IDS}
    assert make(tmp_path, "visible-000", made_from) == []


def test_nothing_is_made_twice(folder: Path, made_from: dict[str, str]) -> None:
    before = (folder / "visible-000.csv").read_bytes()
    assert make(folder, "visible-000", made_from) == []
    assert (folder / "visible-000.csv").read_bytes() == before


def test_an_environment_that_joins_is_made_alone(folder: Path, made_from: dict[str, str]) -> None:
    assert make(folder, "visible-000", made_from | {"d": "digest of d"}, (*IDS, "d")) == ["d"]


def test_shards_may_be_cut_anew(folder: Path, made_from: dict[str, str]) -> None:
    assert make(folder, "visible-001", made_from, ("c", "a")) == []
    assert make(folder, "visible-000", made_from, ("b",)) == []


def test_environments_of_a_shard_that_is_cut_in_two_are_there_for_the_other(
    folder: Path, made_from: dict[str, str]
) -> None:
    assert make(folder, "visible-000", made_from, ("a",)) == []
    assert make(folder, "visible-001", made_from, ("b", "c")) == []
    assert find_files(folder)["a"] == folder / "a.nc" or find_files(folder)["a"].parent.name == TOGETHER
    assert said(folder) == "abc"


@pytest.mark.parametrize("damage", ["gone", "changed", "made from something else"])
def test_what_is_not_as_it_would_be_made_is_made_again(tmp_path: Path, made_from: dict[str, str], damage: str) -> None:
    make(tmp_path, "visible-000", made_from, long=("b",))
    if damage == "gone":
        (tmp_path / "b.nc").unlink()
    elif damage == "changed":
        (tmp_path / "b.nc").write_text("trajectories of nobody")
    else:
        made_from["b"] = "another digest"
    assert make(tmp_path, "visible-000", made_from) == ["b"]
    assert make(tmp_path, "visible-000", made_from) == []


def test_of_a_file_of_several_those_are_made_again_that_are_not_as_they_were(
    folder: Path, made_from: dict[str, str]
) -> None:
    (file,) = together(folder)
    contents = file.read_bytes()
    changed = contents.replace(record("b").values.tobytes(), record("x").values.tobytes())
    assert changed != contents
    file.write_bytes(changed)
    assert said(folder) == "axc"
    assert make(folder, "visible-000", made_from) == ["b"]
    assert said(folder) == "abc"
    file.write_bytes(contents[:-100])
    assert make(folder, "visible-000", made_from) == list(IDS)


def test_what_is_made_in_any_case_is_made_again(folder: Path) -> None:
    assert make(folder, "visible-000", {}) == list(IDS)
    assert make(folder, "visible-000", {}) == list(IDS)


def test_a_killed_job_goes_on(tmp_path: Path, made_from: dict[str, str]) -> None:
    files = MadeFiles(tmp_path / "visible-000.csv", made_from)
    write_trajectories(files.path("a"), record("a"))
    files.note("a")
    files.path("b").write_text("half")  # not noted
    notes = tmp_path / RECORDS / "visible-000.jsonl"
    elsewhere = '{"id": "b", "made_from": "digest of b", "sha256": "0", "file": "../b.nc"}\n'
    damaged = '{"id": 1, "made_from": 2, "sha256": 3}\n'
    for end in ("", '{"id": "b", "made', "[" * 5000 + "\n", "\x00\n[1]\n", damaged, elsewhere):
        notes.write_text(notes.read_text().splitlines()[0] + "\n" + end)
        assert "a" in MadeFiles(tmp_path / "visible-000.csv", made_from)
        assert "b" not in MadeFiles(tmp_path / "visible-000.csv", made_from)
    assert make(tmp_path, "visible-000", made_from) == ["b", "c"]


def test_a_job_that_was_killed_before_its_manifest_makes_nothing_again(folder: Path, made_from: dict[str, str]) -> None:
    (folder / "visible-000.csv").unlink()
    assert make(folder, "visible-000", made_from) == []
    for id in IDS:  # files alone that were not removed yet
        write_trajectories(folder / f"{id}.nc", record("x"))
    assert said(folder) == "abc"


def test_manifests_of_files_that_are_gone_are_forgotten(folder: Path, made_from: dict[str, str]) -> None:
    make(folder, "unseen-000", {"p": "digest of p"}, ("p",))
    shards = {"visible-000": IDS, "unseen-000": ("p",), "unseen-001": ("q",)}
    (folder / f"{list_name(['a', 'p'])}.csv").touch()
    forget_incomplete(folder, shards)
    assert (folder / f"{list_name(['a', 'p'])}.csv").is_file() and not (
        folder / f"{list_name(['p', 'a'])}.csv"
    ).exists()
    assert (folder / "visible-000.csv").is_file() and (folder / "unseen-000.csv").is_file()
    together(folder)[0].unlink()
    forget_incomplete(folder, shards)
    assert not list(folder.glob("list-*.csv"))
    assert not (folder / "visible-000.csv").exists() and (folder / "unseen-000.csv").is_file()
    forget_incomplete(folder / "none", shards)


def test_of_shards_that_are_cut_anew_nothing_stays(folder: Path, made_from: dict[str, str]) -> None:
    cut = {"visible-000": ("a", "b"), "visible-001": ("c",)}
    forget_incomplete(folder, cut)
    assert find_files(folder) == {}
    assert len(together(folder)) == 1  # of which the new jobs take what they need
    for shard, ids in cut.items():
        assert make(folder, shard, made_from, ids) == []
    forget_incomplete(folder, cut)
    assert said(folder) == "abc"
    assert set(together(folder)) == set(find_files(folder).values()) - {folder / "c.nc"}


def test_manifests_are_joined(folder: Path, made_from: dict[str, str]) -> None:
    make(folder, "unseen-000", {"p": "digest of p"}, ("p",))
    parts = [Manifest.load(folder / f"{shard}.csv") for shard in ("visible-000", "unseen-000")]
    whole = list_trajectories(Run(), ListTrajectories(), parts)
    whole.save(folder / "list-0.csv")
    assert Manifest.load(folder / "list-0.csv").made == parts[0].made | parts[1].made
    for damaged in ("", "environment\n", "environment,sha256\na,b\n", "environment,sha256,file\na,b\n"):
        (folder / "list-0.csv").write_text(damaged)
        with refused(folder / "list-0.csv", "expected a manifest"):
            Manifest.load(folder / "list-0.csv")
