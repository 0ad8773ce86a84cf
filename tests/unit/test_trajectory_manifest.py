"""Manifests of trajectories: which files are made, which are there already, and what the pipeline sees of it."""

from __future__ import annotations

from pathlib import Path

import pytest
from refusals import refused

from weightcast.core.run import Run
from weightcast.environments.jobs import ListTrajectories
from weightcast.environments.stages.list_trajectories import list_trajectories
from weightcast.environments.trajectory_manifest import RECORDS, MadeFiles, Manifest, forget_incomplete, list_name

IDS = ("a", "b", "c")


def make(folder: Path, shard: str, made_from: dict[str, str], ids: tuple[str, ...] = IDS) -> list[str]:
    """A job: makes what is not there; the environments whose files it made."""
    files, made = MadeFiles(folder / f"{shard}.csv", made_from), []
    for id in ids:
        if id not in files:
            files.path(id).parent.mkdir(exist_ok=True)
            files.path(id).write_text(f"trajectories of {id}")
            files.note(id)
            made.append(id)
    files.manifest(ids).save(folder / f"{shard}.csv")
    return made


@pytest.fixture
def made_from() -> dict[str, str]:
    return {id: f"digest of {id}" for id in IDS}


@pytest.fixture
def folder(tmp_path: Path, made_from: dict[str, str]) -> Path:
    assert make(tmp_path, "visible-000", made_from) == ["a", "b", "c"]
    return tmp_path


def test_nothing_is_made_twice(folder: Path, made_from: dict[str, str]) -> None:
    before = (folder / "visible-000.csv").read_bytes()
    assert make(folder, "visible-000", made_from) == []
    assert (folder / "visible-000.csv").read_bytes() == before


def test_an_environment_that_joins_is_made_alone(folder: Path, made_from: dict[str, str]) -> None:
    assert make(folder, "visible-000", made_from | {"d": "digest of d"}, (*IDS, "d")) == ["d"]


def test_shards_may_be_cut_anew(folder: Path, made_from: dict[str, str]) -> None:
    assert make(folder, "visible-001", made_from, ("c", "a")) == []
    assert make(folder, "visible-000", made_from, ("b",)) == []


@pytest.mark.parametrize("damage", ["gone", "changed", "made from something else"])
def test_what_is_not_as_it_would_be_made_is_made_again(folder: Path, made_from: dict[str, str], damage: str) -> None:
    if damage == "gone":
        (folder / "b.nc").unlink()
    elif damage == "changed":
        (folder / "b.nc").write_text("trajectories of nobody")
    else:
        made_from["b"] = "another digest"
    assert make(folder, "visible-000", made_from) == ["b"]
    assert make(folder, "visible-000", made_from) == []


def test_what_is_made_in_any_case_is_made_again(folder: Path) -> None:
    assert make(folder, "visible-000", {}) == list(IDS)
    assert make(folder, "visible-000", {}) == list(IDS)


def test_a_killed_job_goes_on(tmp_path: Path, made_from: dict[str, str]) -> None:
    files = MadeFiles(tmp_path / "visible-000.csv", made_from)
    files.path("a").write_text("trajectories of a")
    files.note("a")
    files.path("b").write_text("half")  # not noted
    record = tmp_path / RECORDS / "visible-000.jsonl"
    for end in ("", '{"id": "b", "made', "[" * 5000 + "\n", "\x00\n[1]\n", '{"id": 1, "made_from": 2, "sha256": 3}\n'):
        record.write_text(record.read_text().splitlines()[0] + "\n" + end)
        assert "a" in MadeFiles(tmp_path / "visible-000.csv", made_from)
        assert "b" not in MadeFiles(tmp_path / "visible-000.csv", made_from)
    assert make(tmp_path, "visible-000", made_from) == ["b", "c"]


def test_manifests_of_files_that_are_gone_are_forgotten(folder: Path, made_from: dict[str, str]) -> None:
    make(folder, "unseen-000", {"p": "digest of p"}, ("p",))
    shards = {"visible-000": IDS, "unseen-000": ("p",), "unseen-001": ("q",)}
    (folder / f"{list_name(['a', 'p'])}.csv").touch()
    forget_incomplete(folder, shards)
    assert (folder / f"{list_name(['a', 'p'])}.csv").is_file() and not (
        folder / f"{list_name(['p', 'a'])}.csv"
    ).exists()
    assert (folder / "visible-000.csv").is_file() and (folder / "unseen-000.csv").is_file()
    (folder / "c.nc").unlink()
    forget_incomplete(folder, shards)
    assert not list(folder.glob("list-*.csv"))
    assert not (folder / "visible-000.csv").exists() and (folder / "unseen-000.csv").is_file()
    forget_incomplete(folder / "none", shards)


def test_manifests_are_joined(folder: Path, made_from: dict[str, str]) -> None:
    make(folder, "unseen-000", {"p": "digest of p"}, ("p",))
    parts = [Manifest.load(folder / f"{shard}.csv") for shard in ("visible-000", "unseen-000")]
    whole = list_trajectories(Run(), ListTrajectories(), parts)
    whole.save(folder / "list-0.csv")
    assert Manifest.load(folder / "list-0.csv").digests == parts[0].digests | parts[1].digests
    for damaged in ("", "environment\n", "environment,sha256\na\n"):
        (folder / "list-0.csv").write_text(damaged)
        with refused(folder / "list-0.csv", "expected a manifest"):
            Manifest.load(folder / "list-0.csv")
