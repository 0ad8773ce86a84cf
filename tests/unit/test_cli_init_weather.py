"""``weightcast init`` of weather on a grid of latitudes and longitudes: regions, offsets of the grid, hours."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from command_line import refused, run
from era5_files import START, write_new, write_old

from weightcast.core.environment_table import read_environments
from weightcast.environments.commands.weather_survey import is_weather
from weightcast.environments.config.load import load_study
from weightcast.systems import load_system

LATITUDE = np.arange(40.0, 44.9, 0.35)[::-1] + 0.1  # off every lattice of its spacing that begins at 0
LONGITUDE = np.arange(-2.1, 3.7, 0.35) + 0.05
HOURS = START + 3 * np.arange(130)
TABLE = Path("my-environments.csv")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "weather").mkdir()
    for number, hours in enumerate(np.split(HOURS, 2)):
        write_new(tmp_path / f"weather/{number}.nc", ["u10", "v10", "t2m"], hours, LATITUDE, LONGITUDE)
    return tmp_path


def arguments(*options: str, data: str = "weather") -> list[str]:
    return ["init", "--kind", "environments", "--data", data, *options, "-o", "my.yaml"]


def test_regions_of_a_grid_off_the_lattice(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Every region holds the very points of the files, whichever lattice they are on."""
    shown, errors = run(capsys, *arguments())
    assert errors == ""
    assert "u10, v10 on 14 x 17 points (latitude, longitude), 0.35 degrees apart, 130 times 3 h apart" in shown
    assert "not used: t2m (--channels)" in shown
    study, table = load_study("my.yaml"), read_environments(TABLE)
    data = study.data
    assert (data.source, data.channels, data.grid, len(table)) == ("era5", ["u10", "v10"], (4, 4), 12)
    for values, offset in zip((LATITUDE, LONGITUDE), data.settings["offset"], strict=True):
        steps = (values - offset) / 0.35
        np.testing.assert_allclose(steps, np.round(steps), atol=1e-6)
    run(capsys, "check", "--config", "my.yaml", "--no-timing")
    settings = data.settings | {"frames": data.frames, "trajectories": data.trajectories.total}
    whole = xr.open_dataset("weather/0.nc").sortby("latitude")
    for found in load_system("era5").trajectories(list(table), settings, 0):
        place = table[found.environment].parameters
        row = int(np.abs(whole["latitude"].values - place["latitude"]).argmin())
        column = int(np.abs(whole["longitude"].values - place["longitude"]).argmin())
        expected = whole["u10"].values[: data.frames, row - 2 : row + 2, column - 2 : column + 2]
        np.testing.assert_allclose(found.values[0, :, 0], expected, rtol=1e-5)


def test_one_file_and_choices_of_ones_own(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    whole = [51.0 - 0.25 * np.arange(24), 5.0 + 0.25 * np.arange(16)]
    write_old(folder / "year.nc", ["t2m"], START + np.arange(240), *whole)
    options = ("--channels", "t2m", "--frames", "12", "--held-out", "farthest", "--held-out-count", "4")
    run(capsys, *arguments(*options, data="year.nc"))
    study, table = load_study("my.yaml"), read_environments(TABLE)
    assert study.data.settings["directory"] == "year.nc" and "offset" not in study.data.settings
    assert (study.data.frames, study.data.trajectories.total, study.data.grid) == (12, 20, (4, 4))
    assert len(table.unseen) == 4 and {row.id for row in table.unseen} & {row.id for row in table.extrapolation}
    assert all(row.role != "interpolation" or 5 < row.parameters["longitude"] < 9 for row in table)
    Path("my.yaml").unlink()
    run(capsys, *arguments("--table", str(TABLE), data="year.nc"))
    assert load_study("my.yaml").environments == str(TABLE)


def test_trajectories_and_stations_are_no_weather(tmp_path: Path) -> None:
    values = np.zeros((2, 9, 8, 8), np.float32)
    dims = ("member", "time", "latitude", "longitude")
    degrees = np.arange(8.0)
    coordinates = {"time": ("time", np.arange(9), {"units": "hours since 2020-01-01"})}
    coordinates |= {name: (name, degrees, {}) for name in dims[2:]}
    xr.Dataset({"u": (dims, values)}, coordinates).to_netcdf(tmp_path / "a.nc")
    assert not is_weather([tmp_path]) and not is_weather([tmp_path / "a.nc"])
    xr.Dataset({"u": (dims[1:], values[0])}, coordinates).to_netcdf(tmp_path / "a.nc")
    assert is_weather([tmp_path]) and is_weather([tmp_path / "a.nc"])
    assert not is_weather([tmp_path, tmp_path]) and not is_weather([tmp_path / "b.nc"])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--channels", "t3m"), ("--channels", "t3m", "u10, v10, t2m")),
        (("--frames", "60"), ("--frames", "60", "5 to 43")),
        (("--grid", "4", "4"), ("--grid",)),
        (("--inputs", "t2m"), ("--inputs", "t2m")),
        (("--history", "2"), ("--history", "latitudes and longitudes")),
    ],
)
def test_what_cannot_be(
    folder: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(capsys, *arguments(*options), words=words, output=Path("my.yaml"))
    assert not TABLE.exists()


def test_files_that_do_not_go_together(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_new(folder / "weather/2.nc", ["u10", "v10"], HOURS + 500, LATITUDE, LONGITUDE)
    refused(capsys, *arguments(), words=("time", "a step of", "expected 3"), output=Path("my.yaml"))
    write_new(folder / "weather/2.nc", ["u10", "v10"], HOURS, LATITUDE + 1, LONGITUDE)
    refused(capsys, *arguments(), words=("2.nc", "latitude", "all files on one grid"), output=Path("my.yaml"))
    (folder / "weather/2.nc").unlink()
    TABLE.write_text("mine")
    refused(capsys, *arguments(), words=("my-environments.csv", "exists already"), output=Path("my.yaml"))
    assert TABLE.read_text() == "mine"


def test_files_of_a_place_each_are_environments(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As many points each, wherever they lie; long records, of which windows are cut."""
    (folder / "regions").mkdir()
    for number in range(4):
        write_new(folder / f"regions/r{number}.nc", ["t2m"], HOURS, LATITUDE + 7 * number, LONGITUDE - 9 * number)
    shown, _ = run(capsys, *arguments(data="regions"))
    assert not is_weather([Path("regions")]) and is_weather([Path("weather")])
    assert "found 4 environments (3 visible, 1 unseen)" in shown and "t2m on 14 x 17 points (y, x)" in shown
    assert "latitude, which is y, longitude, which is x" in shown
    data = load_study("my.yaml").data
    assert (data.source, data.windows) == ("netcdf", True)
    run(capsys, "check", "--config", "my.yaml", "--no-timing")
