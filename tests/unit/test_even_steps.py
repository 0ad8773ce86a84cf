"""Frames of files that leave some out, or lie between steps: read as gaps, or refused in a line."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from command_line import refused, run
from tiny_study import CHANNELS, GRID, ROWS, write_table

from weightcast.core.errors import InputError
from weightcast.environments.commands.generate import _on_steps
from weightcast.environments.commands.observed_frames import read_observed_frames
from weightcast.environments.config.load import load_study
from weightcast.trajectories import Trajectories, read_imported
from weightcast.trajectories.even_steps import on_even_steps, usual_step

FILE = Path("a.nc")
FRAMES = 9


def a_record(time: list[float]) -> Trajectories:
    """2 trajectories of a state and of an input that is the same in all frames."""
    values = np.random.default_rng(0).normal(size=(2, len(time), 2, 2, 3)).astype(np.float32)
    values[:, :, 1] = [[[[2.0]]], [[[3.0]]]]
    return Trajectories(values, ("u", "height"), np.array(time), np.arange(2.0), np.arange(3.0), "a", {})


def write(path: Path, time: np.ndarray, seed: int = 0, trajectories: int = 3) -> Path:
    values = np.random.default_rng(seed).normal(size=(2, trajectories, len(time), *GRID)).astype(np.float32)
    dims = ("trajectory", "time", "y", "x")
    fields = {name: (dims, own) for name, own in zip(CHANNELS, values, strict=True)}
    path.parent.mkdir(exist_ok=True)
    xr.Dataset(fields, {"time": ("time", time)}).to_netcdf(path)
    return path


def test_the_usual_step_is_that_of_most_neighbours() -> None:
    assert usual_step(np.array([0.0, 2.0, 4.0, 5.0, 7.0])) == 2.0
    assert usual_step(np.array([0.0, 0.5, 1.5, 2.0, 5.0])) == 0.5
    assert usual_step(np.array([3.0])) == 1.0
    assert usual_step(np.array([0.0, 1.0, 3.0])) == 1.0  # the least of several
    assert usual_step(np.array([10.0, 10.1, 10.2, 10.3]).astype(np.float32).astype(float)) == pytest.approx(0.1, 1e-4)


def test_frames_that_are_left_out_are_missing() -> None:
    record = a_record([5.0, 5.5, 7.0, 7.5, 8.0])
    found = on_even_steps(FILE, record, 1, gaps=True)
    np.testing.assert_allclose(found.time, 5 + 0.5 * np.arange(7))
    there = [0, 1, 4, 5, 6]
    np.testing.assert_array_equal(found.values[:, there], record.values)
    assert np.isnan(found.values[:, [2, 3], 0]).all()
    assert (found.values[:, :, 1] == np.array([2.0, 3.0])[:, None, None, None]).all()  # known once, known always
    with pytest.raises(InputError, match=r"a.nc: time: found a step of 1.5 behind 5.5, expected 0.5 .* \(data.gaps\)"):
        on_even_steps(FILE, record, 1, gaps=False)
    even = a_record([0.0, 1.0, 2.0])
    assert on_even_steps(FILE, even, 1, gaps=False) is even


def test_frames_between_steps_are_refused() -> None:
    record = a_record([0.0, 1.0, 2.0, 3.4, 4.4])
    with pytest.raises(
        InputError, match=r"a.nc: time: found a step of 1.4 behind 2, expected 1 as elsewhere, or a whole"
    ):
        on_even_steps(FILE, record, 1, gaps=True)
    found = on_even_steps(FILE, record, 1, gaps=False, needed=3)  # those behind are not used
    np.testing.assert_array_equal(found.values, record.values[:, :3])
    with pytest.raises(InputError, match=r"found a step of 1\.4"):
        on_even_steps(FILE, record, 1, gaps=True, needed=4)
    late = replace(record, time=np.array([0.0, 1.0, 2.0, 4.0, 5.0]))
    assert on_even_steps(FILE, late, 1, gaps=False, needed=3).values.shape[1] == 3
    with pytest.raises(InputError, match="found a step of 2 behind 2"):
        on_even_steps(FILE, late, 1, gaps=False, needed=4)
    assert on_even_steps(FILE, late, 1, gaps=True, needed=4).values.shape[1] == 6


def test_files_are_read_on_even_steps_and_counted_there(tmp_path: Path) -> None:
    path = write(tmp_path / "a.nc", np.array([0.0, 1.0, 2.0, 4.0, 5.0]))
    found = read_imported(path, channels=list(CHANNELS), gaps=True, minimum_frames=6)
    assert found.values.shape[1] == 6 and np.isnan(found.values[:, 3]).all()
    with pytest.raises(InputError, match="time: found 6 frames, expected 7 or more"):
        read_imported(path, channels=list(CHANNELS), gaps=True, minimum_frames=7)
    with pytest.raises(InputError, match="found a step of 2 behind 2"):
        read_imported(path, channels=list(CHANNELS), minimum_frames=6)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "table.csv")
    return tmp_path


def arguments(*options: str) -> list[str]:
    told = ["--kind", "environments", "--data", "mine", "--table", "table.csv", "--name", "left-out", "-o", "my.yaml"]
    return ["init", *told, *options]


def test_init_lets_files_have_gaps_that_leave_frames_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    time = np.arange(float(FRAMES))
    for number, (id, *_) in enumerate(ROWS):
        write(folder / "mine" / f"{id}.nc", np.delete(time, 5) if id == "middle" else time, number)
    shown, _ = run(capsys, *arguments())
    data = load_study("my.yaml").data
    assert data.gaps is not None and data.frames == FRAMES and "most in middle 11.1 %" in shown
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "my.yaml is in order" in shown and "values are missing" in errors
    write(folder / "mine" / "middle.nc", np.where(time == 5, 5.3, time))
    words = ("middle.nc: time: found a step of 1.3 behind 4, expected 1", "interp")
    refused(capsys, *arguments("--force"), words=words)
    refused(capsys, "check", "--config", "my.yaml", words=words)


def test_long_records_are_cut_where_no_frame_is_left_out(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    time = np.arange(100.0)
    for number, (id, *_) in enumerate(ROWS):
        own = np.delete(time, [33, 34]) if id == "middle" else time
        write(folder / "mine" / f"{id}.nc", own, number, trajectories=1)
    shown, _ = run(capsys, *arguments("--frames", "10"))
    data = load_study("my.yaml").data
    assert data.windows and data.gaps is None and "9 to 10 trajectories of 10 frames" in shown


def test_frames_that_an_arm_is_shown_lie_on_the_studys_steps(tmp_path: Path) -> None:
    def seen(time: list[float], **described: object) -> np.ndarray:
        path = write(tmp_path / "seen.nc", np.array(time), trajectories=1)
        frames = read_observed_frames(path, CHANNELS, GRID)
        return _on_steps(frames, path, described)

    assert np.isnan(seen([0.0, 0.5, 1.5], frame_step=0.5)).all(axis=(0, 2, 3, 4)).tolist() == [
        False,
        False,
        True,
        False,
    ]
    assert seen([0.0, 1.0], frame_step=0.5).shape[1] == 3  # every other step
    with pytest.raises(
        InputError, match=r"found frames 0.7 apart behind 0.5, expected a whole multiple of the study's 0.5"
    ):
        seen([0.0, 0.5, 1.2], frame_step=0.5)
    with pytest.raises(InputError, match=r"found frames 0\.5 to 1 apart, expected one step"):
        seen([0.0, 0.5, 1.5])  # nobody knows the study's step
