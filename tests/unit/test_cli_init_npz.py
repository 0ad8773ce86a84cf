"""``weightcast init`` on the files of an adaptation benchmark."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from command_line import refused, run
from npz_folder_files import SHAPES, states, write_npz_folder

from weightcast.core.environment_table import EnvironmentTable, read_environments
from weightcast.environments.commands.chosen_grid import Edges
from weightcast.environments.commands.data_survey import Pace
from weightcast.environments.config.data import TrajectoryCounts
from weightcast.environments.config.load import load_study
from weightcast.environments.config.study import Study
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.jobs import ImportTrajectories, Plan
from weightcast.runner import run_job
from weightcast.trajectories import find_source_files


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(*options: str, output: str = "my.yaml") -> list[str]:
    return ["init", "--kind", "environments", "--data", "published", "-o", output, *options]


def imported(study: Study, table: EnvironmentTable, id: str) -> np.ndarray:
    """What the pipeline's copy of an environment's trajectories holds."""
    assert study.data.directory is not None
    files = find_source_files(study.data.directory, table, "npz")
    plan = Plan(study, table)
    shard, ids = next((shard, ids) for shard, ids in plan.trajectory_shards.items() if id in ids)
    settings = ImportTrajectories.of(plan, shard).model_dump(mode="json")
    job = {"stage": "import_trajectories", "settings": settings, "outputs": {"output": f"{shard}.csv"}, "device": "cpu"}
    source, test = ([str(files[one][part]) for one in ids] for part in (0, 1))
    run_job(json.dumps(job | {"inputs": {"source": source, "test": test}}))
    return TrajectoryFolder(Path()).trajectories(id, study.data.channels).values


def test_states_and_their_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_npz_folder(folder / "published")
    shown, errors = run(capsys, *init())
    assert "found 5 environments (3 visible, 2 unseen) in my-environments.csv, no parameters" in shown
    assert "npz files in published: channels x0, x1 of a state without a grid, 6 to 9 trajectories of 6 frames" in shown
    assert "wrote my-environments.csv" in shown
    assert errors == ""

    study = load_study("my.yaml")
    assert (study.study, study.environments) == ("published", "my-environments.csv")
    data = study.data
    assert (data.source, data.directory, data.settings) == ("npz", "published", {})
    assert (data.channels, data.grid, data.frames, data.trained_frames) == (["x0", "x1"], (1, 1), 6, 6)
    assert data.trajectories == TrajectoryCounts(train=4, validation=0, test=5, unseen_train=1)
    assert study.evaluation.adaptation_scores
    assert study.evaluation.horizons == [1, 2, 5]
    assert study.baselines.finetune.frames == 6
    assert study.predictor.kind == "mlp"

    text = Path("my-environments.csv").read_text(encoding="utf-8")
    assert text.split() == ["id,role", *(f"visible-{n},visible" for n in range(3)),
                            "adapt-0,extrapolation", "adapt-1,extrapolation"]  # fmt: skip


def test_fields(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_npz_folder(folder / "published", state=(2 * 8 * 8,))
    shown, _ = run(capsys, *init("--name", "mine"))
    assert "channels channel_0, channel_1 on 8 x 8 points" in shown
    study = load_study("my.yaml")
    assert (study.study, study.data.grid, study.predictor.kind) == ("mine", (8, 8), "fno")

    run(capsys, *init("--grid", "4", "16", "--channels", "u", "v", output="other.yaml"))
    other = load_study("other.yaml").data
    assert (other.channels, other.grid) == (["u", "v"], (4, 16))
    run(capsys, *init("--grid", "1", "1", output="states.yaml"))
    assert len(load_study("states.yaml").data.channels) == 128


def test_a_table_of_the_users_own_and_what_is_imported(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_npz_folder(folder / "published", state=(128,))
    rows = ["id,role,rate", *(f"visible-{n},visible,{n}" for n in range(3)), "adapt-0,interpolation,0.5",
            "adapt-1,extrapolation,3"]  # fmt: skip
    Path("known.csv").write_text("\n".join(rows), encoding="utf-8")
    shown, _ = run(capsys, *init("--table", "known.csv"))
    assert "in known.csv, parameters rate" in shown and "wrote known.csv" not in shown
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "9 trajectories of each visible environment: 4 train, 0 validation, 5 test" in shown
    assert "6 of each unseen one: 1 train, 5 test" in shown
    assert errors == ""

    study, table = load_study("my.yaml"), read_environments("known.csv")
    expected = [states("train", (2, 8, 8))[2], states("test", (2, 8, 8))[2]]
    np.testing.assert_allclose(imported(study, table, "visible-2"), np.concatenate(expected), rtol=1e-6)
    expected = [states("ood_train", (2, 8, 8))[1], states("ood_test", (2, 8, 8))[1]]
    np.testing.assert_allclose(imported(study, table, "adapt-1"), np.concatenate(expected), rtol=1e-6)


def test_trajectories_may_be_kept_to_validate(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Of the visible environments alone: an unseen one shows what it shows."""
    write_npz_folder(folder / "published")
    run(capsys, *init())
    text = Path("my.yaml").read_text(encoding="utf-8")
    Path("my.yaml").write_text(text.replace("train: 4, validation: 0", "train: 3, validation: 1"), encoding="utf-8")
    study = load_study("my.yaml")
    table = EnvironmentTable.load("my-environments.csv")
    np.testing.assert_allclose(
        imported(study, table, "visible-1")[..., 0, 0],
        np.concatenate([states("train")[1], states("test")[1]]),
        rtol=1e-6,
    )
    assert len(imported(study, table, "adapt-0")) == 6


def test_no_environment_to_adapt_to(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_npz_folder(folder / "published", ood_train=None, ood_test=None)
    shown, _ = run(capsys, *init())
    assert "3 environments (3 visible, 0 unseen)" in shown
    assert load_study("my.yaml").data.trajectories == TrajectoryCounts(train=4, validation=0, test=5)


def test_a_table_that_exists_is_kept(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_npz_folder(folder / "published")
    Path("my-environments.csv").write_text("mine")
    refused(
        capsys, *init("--force"), words=("my-environments.csv", "exists already", "--table"), output=Path("my.yaml")
    )
    assert Path("my-environments.csv").read_text() == "mine"


@pytest.mark.parametrize(
    ("changed", "options", "words"),
    [
        ({}, ("--grid", "3", "3"), ("train.npz: X", "(2,)", "3 x 3")),
        ({}, ("--grid", "0", "2"), ("--grid", "[0, 2]")),
        ({}, ("--channels", "a", "b", "c"), ("train.npz: X", "(2,)", "3 numbers")),
        ({"ood_test": {"X": np.full((2, 5, 6, 2), np.nan)}}, (), ("ood_test.npz", "environment 0", "NaN")),
        ({"test": None}, (), ("published", "test.npz")),
        ({"train": {"X": None}}, (), ("train.npz", "expected X")),
    ],
)
def test_what_does_not_fit(
    changed: dict[str, Any],
    options: tuple[str, ...],
    words: tuple[str, ...],
    folder: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    write_npz_folder(folder / "published", **changed)
    refused(capsys, *init(*options), words=words, output=Path("my.yaml"))
    assert not Path("my-environments.csv").exists()


def test_too_few_frames(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    short = {name: {"X": states(name, frames=2), "t": np.arange(2.0)} for name in ("train", "test")}
    write_npz_folder(folder / "published", **short, ood_train=None, ood_test=None)
    refused(capsys, *init(), words=("train.npz", "found 2 frames", "3 or more"), output=Path("my.yaml"))


def test_a_folder_without_any_of_the_files(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "published").mkdir()
    refused(capsys, *init(), words=("published", "neither", "train.npz"), output=Path("my.yaml"))
    refused(capsys, *init("--grid", "8", "8", "--table", "x.csv"), words=("--grid", "none"), output=Path("my.yaml"))


def test_edits_of_the_configuration_that_the_files_do_not_fit(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_npz_folder(folder / "published")
    run(capsys, *init())
    text = Path("my.yaml").read_text(encoding="utf-8")
    for found, instead, words in (
        ("channels: [x0, x1]", "channels: [x0]", ("train.npz: X", "(2,)", "1 x 1 x 1")),
        ("unseen_train: 1", "unseen_train: 2", ("ood_train.npz: X", "found 1 trajectories", "expected 2")),
        ("settings: {}", "settings: {frame_step: 2}", ("data.settings.frame_step", "npz")),
        ("directory: published", "directory: elsewhere", ("elsewhere", "no such folder")),
    ):
        Path("bad.yaml").write_text(text.replace(found, instead), encoding="utf-8")
        refused(capsys, "check", "--config", "bad.yaml", "--no-timing", words=words)


# --- what fields say of their domain


def test_fields_that_go_on_at_the_opposite_side_are_told_from_those_that_end() -> None:
    y, x = np.meshgrid(np.arange(16) / 16, np.arange(16) / 16, indexing="ij")
    wave = np.sin(2 * np.pi * (x + 2 * y))[None, None]
    for fields, periodic in ((wave, True), (wave + x, False), (wave + 2 * y, False), (np.zeros((1, 1, 16, 16)), False)):
        edges = Edges()
        edges.see(fields)
        assert edges.periodic is periodic


@pytest.mark.parametrize(("rate", "substeps"), [(0.1, 1), (0.85, 1), (1.5, 2), (2.5, 3), (8.0, 4)])
def test_what_decays_within_a_frame_gets_substeps(rate: float, substeps: int) -> None:
    """Increments of a decay at some rate shrink by 1 - exp(-rate); a slow component beside it changes nothing."""
    frames = np.arange(6)
    decay, slow = np.exp(-rate * frames), np.exp(-0.01 * frames)
    pace = Pace()
    for size in (1.0, 0.2):
        pace.see(size * np.stack([slow, decay], 1)[None, :, :, None, None])
    assert pace.substeps == substeps


def test_what_stands_still_gets_one_substep() -> None:
    pace = Pace()
    pace.see(np.ones((2, 5, 2, 1, 1)))
    assert pace.substeps == 1


def test_a_few_periodic_fields_get_convolutions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    y, x = np.meshgrid(np.arange(16), np.arange(16), indexing="ij")
    wave = np.sin(2 * np.pi * (x + y) / 16).reshape(-1)
    archives = {name: {"X": states(name, (256,)) * 0.01 * wave} for name in SHAPES}
    write_npz_folder(folder / "published", (256,), **archives)
    run(capsys, *init())
    predictor = load_study("my.yaml").predictor
    assert (predictor.kind, predictor.positional) == ("unet", False)
    write_npz_folder(folder / "published", (256,))  # the first point differs from the last by more than neighbours do
    Path("my.yaml").unlink()
    Path("my-environments.csv").unlink()
    run(capsys, *init())
    assert load_study("my.yaml").predictor.kind == "fno"
