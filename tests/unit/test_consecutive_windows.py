"""Trajectories of files that are cut into windows: one long record, or lengths that differ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from command_line import refused as refused_command
from command_line import run
from refusals import refused

from weightcast.core.environment_table import read_environments
from weightcast.core.run import Run
from weightcast.environments.config.load import load_study, parse_study
from weightcast.environments.jobs import ImportTrajectories, Plan
from weightcast.environments.stages.import_trajectories import UserFiles, import_trajectories
from weightcast.trajectories.consecutive import cut_into_windows
from weightcast.trajectories.record import Trajectories

INIT = ("init", "--kind", "environments", "--data", "mine", "--name", "mine", "-o", "my.yaml", "--force")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    return tmp_path


def numbered(trajectories: int, frames: int, time: np.ndarray | None = None) -> Trajectories:
    """A state whose value is its trajectory times 1000 and its frame."""
    values = 1000.0 * np.arange(trajectories)[:, None] + np.arange(frames)
    times = np.arange(float(frames)) if time is None else time
    return Trajectories(
        values[:, :, None, None, None].astype(np.float32), ("u",), times, np.zeros(1), np.zeros(1), "a", {}
    )


def test_earlier_windows_come_first_in_all_trajectories() -> None:
    found = cut_into_windows(Path("a.nc"), numbered(2, 11), 3)
    assert found.values[..., 0, 0, 0].tolist() == [
        [0, 1, 2], [1000, 1001, 1002], [3, 4, 5], [1003, 1004, 1005], [6, 7, 8], [1006, 1007, 1008]
    ]  # fmt: skip
    assert found.time.tolist() == [0, 1, 2]


def test_windows_with_a_missing_value_are_left_out_unless_they_may_have_some() -> None:
    record = numbered(1, 12)
    record.values[0, 4] = np.nan
    whole = cut_into_windows(Path("a.nc"), record, 4).values[:, 0, 0, 0, 0]
    assert whole.tolist() == [0, 8]
    assert len(cut_into_windows(Path("a.nc"), record, 4, gaps=True).values) == 3


def test_a_record_with_a_hole_in_its_times() -> None:
    times = np.array([0.0, 1, 2, 3, 5, 6])
    with refused("a.nc: time: found a step of 2 behind 3, expected 1 as elsewhere"):
        cut_into_windows(Path("a.nc"), numbered(1, 6, times), 3)


def record(place: int, frames: int) -> xr.Dataset:
    """One long record of a field (time, y, x), each place at a frequency of its own."""
    time, x = np.arange(frames), np.arange(8)
    values = np.sin(0.1 * (place + 1) * time[:, None, None] + 2 * np.pi * (x[:, None] + x) / 8)
    return xr.Dataset({"sst": (("time", "y", "x"), values.astype(np.float32))}, {"time": time.astype(float)})


def test_one_long_record_a_file(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for place in range(5):
        record(place, 120 + 7 * place).to_netcdf(folder / "mine" / f"e{place}.nc")
    shown, _ = run(capsys, *INIT)
    assert "10 to 13 trajectories of 11 frames for each environment" in shown
    assert "cut into windows of 11 frames, earlier ones first: files hold 1 trajectories at least" in shown
    assert "of more trajectories than 10 the first 10 are used, as many as e0 has" in shown
    data = load_study("my.yaml").data
    assert data.windows and data.frames == 11 and data.trajectories.total == 10 and data.start_share == 0.0
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "is in order" in shown and errors == ""

    plan = Plan(load_study("my.yaml"), read_environments("my-environments.csv"))
    shard = next(iter(plan.trajectory_shards))
    settings = ImportTrajectories.of(plan, shard)
    files = [UserFiles(folder / "mine" / f"{id}.nc") for id in settings.ids]
    output = folder / "made" / f"{shard}.csv"
    import_trajectories(Run(outputs={"output": output}), settings, files, [])
    id = settings.ids[0]
    with xr.open_dataset(next(output.parent.rglob(f"*{id}*.nc"))) as made, xr.open_dataset(files[0].path) as given:
        np.testing.assert_array_equal(made["sst"].to_numpy()[3].squeeze(), given["sst"].to_numpy()[33:44])


def test_records_of_other_lengths(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    for place in range(4):
        shape = (12, 15) if place == 0 else (4, 60)
        values = random.normal(size=shape).astype(np.float32)
        xr.Dataset({"u": (("trajectory", "time"), values)}).to_netcdf(folder / "mine" / f"e{place}.nc")
    shown, _ = run(capsys, *INIT)
    assert "12 to 16 trajectories of 15 frames" in shown and "as the shortest are; --frames overrules" in shown
    Path("my-environments.csv").unlink()
    shown, _ = run(capsys, *INIT, "--frames", "5")
    assert "36 to 48 trajectories of 5 frames" in shown and load_study("my.yaml").data.frames == 5
    Path("my-environments.csv").unlink()
    words = ("--frames: found 30", "e0.nc has 12 trajectories of 15 frames")
    refused_command(capsys, *INIT, "--frames", "30", words=words)


def test_longer_trajectories_that_gain_nothing_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    random = np.random.default_rng(0)
    for place in range(4):
        values = random.normal(size=(5 + place, 30 if place else 20)).astype(np.float32)
        xr.Dataset({"u": (("trajectory", "time"), values)}).to_netcdf(folder / "mine" / f"e{place}.nc")
    shown, _ = run(capsys, *INIT)
    assert "of longer trajectories the first 20 frames are used (--frames cuts windows)" in shown
    assert "of more trajectories than 5 the first 5 are used, as many as e0 has" in shown
    study = load_study("my.yaml")
    assert not study.data.windows and "windows" not in study.data.model_dump(mode="json")
    text = Path("my.yaml").read_text(encoding="utf-8").replace("source: netcdf", "source: npz")
    with refused("my.yaml: data.windows: found true with the source 'npz'"):
        parse_study(yaml.safe_load(text) | {"data": yaml.safe_load(text)["data"] | {"windows": True}}, "my.yaml")
