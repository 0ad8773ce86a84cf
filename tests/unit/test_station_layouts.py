"""Records of places in NetCDF: CF's discrete sampling geometries, a file a year, a file a place."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from command_line import run
from refusals import refused

from weightcast.core.environment_table import read_environments
from weightcast.environments.config.load import load_study
from weightcast.records.place_texts import read_place_texts
from weightcast.records.read import read_records
from weightcast.records.record import Records
from weightcast.records.settings import RecordSettings
from weightcast.records.station_netcdf import is_station_folder
from weightcast.trajectories import read_trajectories

NAMES = ("north", "east", "south", "west", "hill")
BEGINS = (0, 3, 5, 0, 2)
LENGTHS = (300, 297, 290, 280, 298)
TIME = {"units": "hours since 2020-01-01", "standard_name": "time"}


def values(place: int) -> np.ndarray:
    """The record of a place, of which each value says place and hour."""
    return 1000.0 * place + BEGINS[place] + np.arange(LENGTHS[place])


def hours(place: int) -> np.ndarray:
    return BEGINS[place] + np.arange(float(LENGTHS[place]))


def names() -> tuple[str, np.ndarray, dict[str, str]]:
    return ("station", np.array(NAMES, dtype=object), {"cf_role": "timeseries_id"})


def contiguous() -> xr.Dataset:
    """The samples of one station after the other, with their numbers."""
    return xr.Dataset(
        {
            "level": ("obs", np.concatenate([values(place) for place in range(5)]), {"units": "m"}),
            "when": ("obs", np.concatenate([hours(place) for place in range(5)]), TIME),
            "row_size": ("station", np.array(LENGTHS, np.int32), {"sample_dimension": "obs"}),
            "platform": names(),
            "height": ("station", 10.0 * np.arange(5)),
            "soil": ("station", np.array(["sand", "clay", "sand", "clay", "sand"], dtype=object)),
        },
        attrs={"featureType": "timeSeries"},
    )


def indexed() -> xr.Dataset:
    """Samples of all stations in any order, each with the number of its station."""
    order = np.random.default_rng(0).permutation(sum(LENGTHS))
    index = np.repeat(np.arange(5), LENGTHS).astype(np.int32)
    dataset = contiguous().drop_vars("row_size").assign(whose=("obs", index, {"instance_dimension": "station"}))
    return dataset.isel(obs=order)


def incomplete() -> xr.Dataset:
    """A row a station, filled up at the end, and times (station, sample)."""
    level, when = (np.full((5, max(LENGTHS) + 4), np.nan) for _ in range(2))
    for place, length in enumerate(LENGTHS):
        level[place, :length], when[place, :length] = values(place), hours(place)
    dataset = contiguous()[["platform", "height", "soil"]].assign(level=(("station", "sample"), level, {"units": "m"}))
    return dataset.assign(when=(("station", "sample"), when, TIME))


def check(found: Records, places: tuple[str, ...] = NAMES) -> None:
    """Every value is where its place and hour are."""
    assert found.ids == places and found.steps == 300 and found.calendar.words == "1 hour"
    assert found.calendar.label(0) == "2020-01-01T00:00:00"
    for place, name in enumerate(NAMES):
        expected = np.full(300, np.nan)
        expected[BEGINS[place] : BEGINS[place] + LENGTHS[place]] = values(place)
        np.testing.assert_array_equal(found.values[places.index(name), :, 0], expected)


@pytest.mark.parametrize("layout", [contiguous, indexed, incomplete])
def test_stations_with_times_of_their_own(layout: Callable[[], xr.Dataset], tmp_path: Path) -> None:
    layout().to_netcdf(tmp_path / "a.nc")
    settings = RecordSettings(parameters={"height": "height"})
    found = read_records([tmp_path / "a.nc"], settings, ["level"])
    check(found)
    assert found.units == {"level": "m"} and found.parameters[:, 0].tolist() == [0, 10, 20, 30, 40]
    told = read_place_texts([tmp_path / "a.nc"], settings, ["soil"])
    assert told.values["soil"] == dict(zip(NAMES, ("sand", "clay", "sand", "clay", "sand"), strict=True))


def yearly(folder: Path) -> list[Path]:
    """The same stations in two files, the second without one of them and with another order."""
    folder.mkdir()
    table = np.full((5, 300), np.nan)
    for place, length in enumerate(LENGTHS):
        table[place, BEGINS[place] : BEGINS[place] + length] = values(place)
    whole = xr.Dataset({"level": (("station", "time"), table)}, {"time": ("time", np.arange(300.0), TIME)})
    whole = whole.assign(platform=names(), soil=contiguous()["soil"])
    whole.isel(time=slice(0, 150)).to_netcdf(folder / "2020.nc")
    whole.isel(time=slice(150, 300), station=[4, 3, 2, 1, 0]).to_netcdf(folder / "2021.nc")
    return sorted(folder.iterdir())


def test_a_file_a_year(tmp_path: Path) -> None:
    files = yearly(tmp_path / "years")
    settings = RecordSettings(environment="station", time=["time"])
    for given in (files, [tmp_path / "years"]):
        check(read_records(given, settings, ["level"]))
    told = read_place_texts(files, settings, ["soil"])
    assert told.values["soil"]["hill"] == "sand" and told.changing == {}
    with xr.open_dataset(files[1]) as second:
        changed = second.load()
    changed["soil"] = ("station", np.array(["rock"] * 5, dtype=object))
    changed.to_netcdf(files[1])
    told = read_place_texts(files, settings, ["soil"])
    assert "2021.nc: soil: found 'rock' of hill, expected 'sand'" in told.changing["soil"]


def singles(folder: Path) -> None:
    folder.mkdir()
    for place, name in enumerate(NAMES):
        dataset = xr.Dataset({"level": ("time", values(place))}, {"time": ("time", hours(place), TIME)})
        dataset.assign(height=10.0 * place).to_netcdf(folder / f"{name}.nc")


def test_a_file_a_place(tmp_path: Path) -> None:
    singles(tmp_path / "each")
    settings = RecordSettings(layout="file-each", time=["time"], parameters={"height": "height"})
    found = read_records([tmp_path / "each"], settings, ["level"])
    check(found, tuple(sorted(NAMES)))
    assert found.parameters[:, 0].tolist() == [10.0 * NAMES.index(name) for name in found.ids]


def test_counts_and_numbers_that_do_not_fit(tmp_path: Path) -> None:
    dataset = contiguous()
    dataset["row_size"].values[0] = 1000
    dataset.to_netcdf(tmp_path / "a.nc")
    with refused("a.nc: row_size: found counts of 2165 samples, expected 1465 or fewer"):
        read_records([tmp_path / "a.nc"], RecordSettings(), ["level"])
    dataset = indexed()
    dataset["whose"].values[7] = 5
    dataset.to_netcdf(tmp_path / "b.nc")
    with refused("b.nc: whose: found 0 to 5, expected numbers of places from 0 to 4"):
        read_records([tmp_path / "b.nc"], RecordSettings(), ["level"])
    contiguous().drop_vars("when").to_netcdf(tmp_path / "c.nc")
    with refused("c.nc: found no variable of times along obs, expected one called time, or --time to name it"):
        read_records([tmp_path / "c.nc"], RecordSettings(), ["level"])


@pytest.mark.parametrize("form", ["contiguous.nc", "years", "each"])
def test_studies_of_stations(
    form: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    contiguous().to_netcdf(tmp_path / "contiguous.nc")
    yearly(tmp_path / "years")
    singles(tmp_path / "each")
    options = ("--frames", "9", "--history", "1", "--name", "mine", "-o", "my.yaml")
    shown, _ = run(capsys, "init", "--kind", "environments", "--data", form, *options)
    assert "5 places, 300 steps of 1 hour from 2020-01-01T00:00:00" in shown
    assert set(read_environments("my-environments.csv").ids) == set(NAMES)
    data = load_study("my.yaml").data
    assert data.source == "table" and data.files == [form] and data.channels == ["level"]
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "is in order" in shown and errors == ""


def test_files_of_trajectories_are_no_stations(tmp_path: Path) -> None:
    array = xr.DataArray(np.zeros((3, 5)), dims=("trajectory", "time"))
    (tmp_path / "mine").mkdir()
    xr.Dataset({"u": array}).to_netcdf(tmp_path / "mine" / "a.nc")
    assert read_trajectories(tmp_path / "mine" / "a.nc").values.shape == (3, 5, 1, 1, 1)
    assert not is_station_folder([tmp_path / "mine"])
    singles(tmp_path / "each")
    assert is_station_folder([tmp_path / "each"])
