"""Points at which a field never has a value: no gaps, from the first look at files to the forecast of others."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from command_line import refused, run
from tiny_study import ROWS, write_table

from weightcast.core.errors import InputError
from weightcast.environments.commands.forecast_starts import read_frames_to_start_from
from weightcast.environments.commands.frames_table import FileReading
from weightcast.environments.commands.observed_frames import read_observed_frames
from weightcast.environments.config.load import load_study
from weightcast.trajectories import read_imported
from weightcast.trajectories.land import never_there, usual_land, with_land

SHAPE = (3, 7, 6, 8)  # trajectory, time, y, x
LAND = np.zeros(SHAPE[2:], bool)
LAND[:2, 5:] = True


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "table.csv")
    return tmp_path


def write_sea(path: Path, seed: int, gap: bool = False) -> Path:
    values = np.random.default_rng(seed).normal(10.0, 1.0, SHAPE).astype(np.float32)
    values[..., LAND] = np.nan
    if gap:
        values[1, 3, 4, 4] = np.nan
    path.parent.mkdir(exist_ok=True)
    sea = {"sst": (("trajectory", "time", "y", "x"), values), "wet": (("y", "x"), ~LAND)}
    xr.Dataset(sea).to_netcdf(path)
    return path


def arguments(*options: str) -> list[str]:
    told = ["--kind", "environments", "--data", "mine", "--table", "table.csv", "--name", "sea", "-o", "my.yaml"]
    return ["init", *told, *options]


@pytest.mark.parametrize("gap", [False, True])
def test_from_files_with_land_to_a_study(gap: bool, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Beside a mask of yes and no, which can be an input; also where something is missing in the sea."""
    for number, (id, *_) in enumerate(ROWS):
        write_sea(folder / "mine" / f"{id}.nc", number, gap)
    shown, errors = run(capsys, *arguments("--constants", "wet"))
    assert "sst has no value at 6 of 48 points in any frame of mine" in shown and errors == ""
    data = load_study("my.yaml").data
    assert data.land == {"sst": pytest.approx(10.0, abs=0.2)} and data.inputs == {"wet": "constant"}
    assert (data.gaps is not None) == gap and data.channels == ["sst"]
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "my.yaml is in order" in shown
    assert ("0.1 % of the trajectories' values are missing" in errors) == gap  # of 48 points times 7 frames, 1 of 3
    text = Path("my.yaml").read_text(encoding="utf-8")
    Path("other.yaml").write_text(text.replace("land: {sst:", "land: {salt:"), encoding="utf-8")
    refused(capsys, "check", "--config", "other.yaml", words=("data.land: found salt", "data.channels"))


def test_land_becomes_the_number_that_is_declared_and_nothing_else_does(tmp_path: Path) -> None:
    path = write_sea(tmp_path / "a.nc", 0)
    found = read_imported(path, channels=["sst"], inputs=["wet"], gaps=True)
    np.testing.assert_array_equal(never_there(found.values)[0], LAND)
    filled = with_land(path, found, {"sst": 7.0}, gaps=False)
    assert (filled.values[:, :, 0, LAND] == 7.0).all()
    np.testing.assert_array_equal(filled.values[:, :, 0, ~LAND], found.values[:, :, 0, ~LAND])
    np.testing.assert_array_equal(filled.values[:, :, 1], np.broadcast_to(~LAND, SHAPE))
    assert usual_land(found) == {"sst": pytest.approx(np.nanmean(found.values[:, :, 0]), rel=0.005)}
    gappy = read_imported(write_sea(tmp_path / "b.nc", 0, gap=True), channels=["sst"], gaps=True)
    with pytest.raises(InputError, match="found NaN at trajectory 1, time 3, channel sst, y 4, x 4"):
        with_land(tmp_path / "b.nc", gappy, {"sst": 7.0}, gaps=False)
    assert int(np.isnan(with_land(path, gappy, {"sst": 7.0}, gaps=True).values).sum()) == 1
    nothing = np.full((2, 3, 1, 4, 4), np.nan)
    assert not never_there(nothing).any()  # no field at all is no land


def test_frames_to_start_from_have_land_where_the_study_has(tmp_path: Path) -> None:
    path = write_sea(tmp_path / "a.nc", 0)
    reading = FileReading.from_metadata({"table": FileReading(land={"sst": 7.0}).metadata()})
    found = read_observed_frames(path, ["sst"], SHAPE[2:], frame=-1, reading=reading)
    assert (found.values[:, :, 0, LAND] == 7.0).all() and found.land is not None
    np.testing.assert_array_equal(found.land[0], LAND)
    with pytest.raises(InputError, match="found NaN"):
        read_observed_frames(path, ["sst"], SHAPE[2:], frame=-1)
    masked = read_observed_frames(path, ["sst"], SHAPE[2:], masked=True, reading=reading)
    assert masked.land is None and np.isnan(masked.values[..., LAND]).all()  # what was not seen is estimated there


@pytest.mark.parametrize("gaps", [False, True])
def test_what_is_hidden_in_the_frame_to_start_from_is_no_land(gaps: bool, tmp_path: Path) -> None:
    path = write_sea(tmp_path / "a.nc", 0)
    frames = xr.load_dataset(path)
    frames["sst"][:, -1, 4, 4] = np.nan  # as under a cloud
    frames.to_netcdf(path)
    reading = FileReading(land={"sst": 7.0})
    told = Namespace(initial=path, frame=-1, smooth=False)
    if not gaps:
        with pytest.raises(InputError, match="found NaN at trajectory 0, time 0, channel sst, y 4, x 4"):
            read_frames_to_start_from(told, ["sst"], SHAPE[2:], reading)
        told.frame = -2
        found = read_frames_to_start_from(told, ["sst"], SHAPE[2:], reading)
        assert np.isfinite(found.values).all()
    else:
        found = read_frames_to_start_from(told, ["sst"], SHAPE[2:], reading, gaps=True)
        assert np.isnan(found.values).sum() == len(found.values) and np.isnan(found.values[:, 0, 0, 4, 4]).all()
    assert found.land is not None and (found.values[:, :, 0, LAND] == 7.0).all()
    np.testing.assert_array_equal(found.land[0], LAND)
