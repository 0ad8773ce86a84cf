from __future__ import annotations

import json
import zipfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import netCDF4
import numpy as np
import pytest
from era5_files import (
    HOURS,
    LATITUDE,
    LONG_NAMES,
    LONGITUDE,
    START,
    UNITS,
    field,
    fields,
    packing_error,
    write_grib,
    write_new,
    write_old,
    write_zarr,
    write_zip,
)
from refusals import refused

from weightcast.core.extras import how_to_install
from weightcast.era5 import layouts
from weightcast.era5.layouts import grib, layout_of, zarr_folder
from weightcast.era5.read import find_files, read_fields

needs_zarr = pytest.mark.skipif(find_spec("zarr") is None, reason="needs zarr")
needs_cfgrib = pytest.mark.skipif(find_spec("cfgrib") is None, reason="needs cfgrib")
MAKERS: dict[str, Callable[[Path], Path]] = {
    "old": write_old,
    "new": write_new,
    "zip": lambda path: write_zip(path, ("u10", "v10")),
    "zarr-2": lambda path: write_zarr(path, hours=HOURS[:4]),
    "zarr-3": lambda path: write_zarr(path, hours=HOURS[:4], zarr_format=3),
    "grib": write_grib,
}


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize(
    "layout",
    [
        "old",
        "new",
        "zip",
        pytest.param("zarr-2", marks=needs_zarr),
        pytest.param("zarr-3", marks=needs_zarr),
        pytest.param("grib", marks=needs_cfgrib),
    ],
)
def test_every_layout_becomes_the_same_record(tmp_path: Path, layout: str) -> None:
    path = MAKERS[layout](tmp_path / "whatever.txt")  # what it is called says nothing
    found = read_fields(path, ["v10", "u10"])
    hours = HOURS[:4] if layout.startswith("zarr") else HOURS
    assert found.channels == ("v10", "u10")
    assert found.values.dtype == np.float32
    assert found.hours.dtype == np.int64
    np.testing.assert_array_equal(found.hours, hours)
    np.testing.assert_array_equal(found.latitude, LATITUDE[::-1])
    np.testing.assert_allclose(found.longitude, LONGITUDE, atol=1e-6)
    assert found.units == {"u10": "m s**-1", "v10": "m s**-1"}
    assert not found.preliminary.any()
    tolerance = packing_error(["u10", "v10"], hours, LATITUDE, LONGITUDE)
    for index, name in enumerate(found.channels):
        expected = field(name, hours, LATITUDE[::-1], LONGITUDE)
        np.testing.assert_allclose(found.values[:, index], expected, rtol=0, atol=tolerance)


def test_layouts_are_told_by_content(tmp_path: Path) -> None:
    assert layout_of(write_old(tmp_path / "a.zip")) == "netcdf"
    assert layout_of(write_new(tmp_path / "b.grib")) == "netcdf"
    assert layout_of(write_zip(tmp_path / "c.nc")) == "zip"
    (tmp_path / "d.nc").write_bytes(b"GRIB....")
    assert layout_of(tmp_path / "d.nc") == "grib"
    assert layout_of(tmp_path) is None


# --- the old layout


def test_values_are_unpacked_and_fill_values_become_nan(tmp_path: Path) -> None:
    values = fields(["u10"], HOURS, LATITUDE, LONGITUDE)
    values["u10"][3, 1, 2] = np.nan
    path = write_old(tmp_path / "a.nc", ["u10"], values=values)
    with netCDF4.Dataset(path) as raw:  # the file does hold what the archive's files hold
        raw.set_auto_maskandscale(False)
        assert raw["u10"].dtype == np.int16
        assert raw["u10"][3, 1, 2] == -32767
        assert raw["time"][0] == 1051896  # hours from 1900 to 2020, by the calendar
    found = read_fields(path).values[:, 0, ::-1]
    assert np.isnan(found[3, 1, 2])
    assert np.isnan(found).sum() == 1


def test_preliminary_data_in_a_dimension_of_their_own_are_merged(tmp_path: Path) -> None:
    truth = field("u10", HOURS, LATITUDE, LONGITUDE)
    both = np.full((len(HOURS), 2, *truth.shape[1:]), np.nan)
    both[:20, 0], both[20:, 1] = truth[:20], truth[20:]
    path = write_old(tmp_path / "a.nc", ["u10"], values={"u10": both}, expver=(1, 5))
    found = read_fields(path)
    np.testing.assert_allclose(found.values[:, 0, ::-1], truth, rtol=0, atol=1e-4)
    np.testing.assert_array_equal(found.preliminary, np.arange(24) >= 20)

    write_old(tmp_path / "b.nc", ["u10"], values={"u10": both}, expver=(1, 7))
    with refused("b.nc", "expver", "1, 7"):
        read_fields(tmp_path / "b.nc")


def test_final_data_win_over_preliminary_ones(tmp_path: Path) -> None:
    truth = field("u10", HOURS, LATITUDE, LONGITUDE)
    both = np.stack([truth + 1, truth], axis=1)
    path = write_old(tmp_path / "a.nc", ["u10"], values={"u10": both}, expver=(5, 1))
    found = read_fields(path)
    np.testing.assert_allclose(found.values[:, 0, ::-1], truth, rtol=0, atol=1e-4)
    assert not found.preliminary.any()


def test_integers_that_lost_their_scale_are_refused(tmp_path: Path) -> None:
    with refused("a.nc", "u10", "int16", "scale_factor"):
        read_fields(write_old(tmp_path / "a.nc", packed=False))


# --- the new layout


def test_versions_are_texts_for_every_time(tmp_path: Path) -> None:
    versions = ["0001"] * 22 + ["0005"] * 2
    found = read_fields(write_new(tmp_path / "a.nc", expver=versions))
    np.testing.assert_array_equal(found.preliminary, np.arange(24) >= 22)


def test_sums_and_values_come_from_two_members_of_an_archive(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.nc")
    with zipfile.ZipFile(path) as archive:
        assert archive.namelist() == ["data_stream-oper_stepType-instant.nc", "data_stream-oper_stepType-accum.nc"]
    found = read_fields(path, ["tp", "u10"])
    assert found.units == {"tp": "m", "u10": "m s**-1"}
    expected = field("tp", HOURS, LATITUDE[::-1], LONGITUDE)
    np.testing.assert_allclose(found.values[:, 0], expected, atol=1e-6)


def test_a_name_in_an_archive_becomes_no_path(tmp_path: Path) -> None:
    inner = write_new(tmp_path / "inner.nc")
    (tmp_path / "folder").mkdir()
    path = tmp_path / "folder" / "a.zip"
    with zipfile.ZipFile(path, "w") as archive:
        archive.write(inner, "../../escaped.nc")
    before = sorted(tmp_path.rglob("*"))
    assert read_fields(path).channels == ("u10", "v10")
    assert sorted(tmp_path.rglob("*")) == before


@pytest.mark.parametrize("layout", ["old", "new"])
def test_a_single_hour(tmp_path: Path, layout: str) -> None:
    path = MAKERS[layout](tmp_path / "a.nc")
    with netCDF4.Dataset(path) as whole, netCDF4.Dataset(tmp_path / "b.nc", "w") as file:
        time = "valid_time" if layout == "new" else "time"
        for name in ("latitude", "longitude"):
            file.createDimension(name, whole.dimensions[name].size)
            file.createVariable(name, "f8", (name,))[:] = whole[name][:]
        variable = file.createVariable(time, "i8", ())  # without its dimension
        variable.units = whole[time].units
        variable[...] = whole[time][5]
        wind = file.createVariable("u10", "f4", ("latitude", "longitude"))
        wind.units, wind.coordinates = "m s**-1", time
        wind[:] = whole["u10"][5]
    found = read_fields(tmp_path / "b.nc")
    np.testing.assert_array_equal(found.hours, HOURS[5:6])
    np.testing.assert_array_equal(found.values, read_fields(path, ["u10"]).values[5:6])


# --- Zarr and GRIB


@needs_zarr
def test_a_store_whose_dataset_states_the_unit_of_time(tmp_path: Path) -> None:
    import zarr

    path = write_zarr(tmp_path / "a", ["t2m"], hours=HOURS[:2], long_names=False)
    group = zarr.open_group(path, mode="r+", use_consolidated=False)
    del group["time"].attrs["units"]
    with refused("a", "time", "units", "''"):
        (path / ".zmetadata").unlink()
        read_fields(path)
    group.attrs["time_units"] = "hours since 1900-01-01 00:00 (proleptic_gregorian)"
    np.testing.assert_array_equal(read_fields(path).hours, HOURS[:2])


@needs_zarr
def test_a_damaged_chunk_is_refused(tmp_path: Path) -> None:
    path = write_zarr(tmp_path / "a", hours=HOURS[:2])
    chunk = path / "10m_u_component_of_wind" / "1.0.0"
    chunk.write_bytes(chunk.read_bytes()[:20])
    with refused("a", "10m_u_component_of_wind", "whole"):
        read_fields(path)


@needs_cfgrib
@pytest.mark.filterwarnings("ignore")
def test_grib_holds_sums_by_forecast_and_writes_no_index(tmp_path: Path) -> None:
    found = read_fields(write_grib(tmp_path / "a.grib", ["u10", "tp"], expver="0005"), ["u10", "tp"])
    np.testing.assert_array_equal(found.hours, HOURS)
    np.testing.assert_allclose(found.values[:, 1], field("tp", HOURS, LATITUDE[::-1], LONGITUDE), atol=1e-5)
    assert found.preliminary.all()
    assert [path.name for path in tmp_path.iterdir()] == ["a.grib"]  # cfgrib's index would be a pickle
    (tmp_path / "b.grib").write_bytes((tmp_path / "a.grib").read_bytes()[:-30])
    with refused("b.grib", "whole GRIB"):
        read_fields(tmp_path / "b.grib")


@pytest.mark.parametrize(("module", "extra", "start"), [(grib, "grib", b"GRIB"), (zarr_folder, "era5", None)])
def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, module, extra, start) -> None:
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    path = tmp_path / "a"
    if start:
        path.write_bytes(start + b"\0" * 100)
    else:
        path.mkdir()
        (path / ".zgroup").write_text("{}")
    with refused(path, how_to_install(extra)):
        read_fields(path)


def test_a_store_whose_values_are_pickled_is_not_opened(tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="the package zarr is not installed (pip install zarr)")
    path = write_zarr(tmp_path / "a.zarr")
    described = path / LONG_NAMES["u10"] / ".zarray"
    found = json.loads(described.read_text(encoding="utf-8")) | {"filters": [{"id": "pickle", "protocol": 5}]}
    described.write_text(json.dumps(found), encoding="utf-8")
    with refused(described, "pickled", "never loaded"):
        read_fields(path)


# --- what is no ERA5


@pytest.mark.parametrize(
    ("content", "word"),
    [
        (b"<!DOCTYPE html><html>503</html>", "web page"),
        (b'{"title": "required licences not accepted"}', "JSON"),
        (b"", "empty"),
        (b"PK\x03\x04 and no end", "whole zip"),
        (b"latitude,longitude\n", "begins with"),
    ],
)
def test_what_is_no_data_is_refused(tmp_path: Path, content: bytes, word: str) -> None:
    path = tmp_path / "2020-01.nc"
    path.write_bytes(content)
    with refused(path, word, "expected"):
        read_fields(path)


def test_files_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "area").mkdir()
    (tmp_path / "elsewhere").mkdir()
    wanted = [write_old(tmp_path / "b"), write_new(tmp_path / "c.nc"), write_new(tmp_path / "area" / "a.nc")]
    write_new(tmp_path / "elsewhere" / "a.nc")
    write_new(tmp_path / ".2020-01.1.partial")
    (tmp_path / "notes.txt").write_text("<where this is from>")
    np.savez(tmp_path / "arrays.npz", x=np.zeros(3))  # a zip archive, and no ERA5
    assert find_files(tmp_path, ("area", "no-such-area")) == wanted
    assert find_files(tmp_path / "no-such-folder") == []
    (tmp_path / "error.nc").write_text("<html>")
    with refused("error.nc", "web page"):
        find_files(tmp_path)


@pytest.mark.parametrize("layout", ["old", "new", "zip"])
@pytest.mark.parametrize("kept", [0.5, 0.97])
def test_truncated_files_are_refused(tmp_path: Path, layout: str, kept: float) -> None:
    path = MAKERS[layout](tmp_path / "a.nc")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(kept * len(whole))])
    with refused("a.nc", "whole"):
        read_fields(path)


def test_a_damaged_member_of_an_archive_is_refused(tmp_path: Path) -> None:
    path = write_zip(tmp_path / "a.zip")
    damaged = bytearray(path.read_bytes())
    damaged[2000:2100] = bytes(100)
    path.write_bytes(damaged)
    with refused("a.zip", "whole"):
        read_fields(path)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with refused("no.nc", "no such file"):
        read_fields(tmp_path / "no.nc")


def edited(path: Path, change: Callable[[netCDF4.Dataset], None]) -> Path:
    with netCDF4.Dataset(path, "r+") as file:
        change(file)
    return path


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda file: file["valid_time"].setncattr("calendar", "360_day"), ["valid_time", "360_day", "gregorian"]),
        (lambda file: file["valid_time"].setncattr("units", "months since 1970"), ["units", "months since 1970"]),
        (lambda file: file["valid_time"].setncattr("units", "minutes since 1970-01-01"), None),
        (lambda file: file["latitude"].__setitem__(0, 95.0), ["latitude", "95", "pole"]),
        (lambda file: file["latitude"].__setitem__(0, 50.25), ["latitude", "order"]),
        (lambda file: file["longitude"].__setitem__(slice(0, 3), 7.0), ["longitude", "once"]),
        (lambda file: file["longitude"].__setitem__(0, np.nan), ["longitude"]),
        (lambda file: file.renameVariable("valid_time", "moment"), ["moment", "valid_time or time"]),
        (lambda file: file.renameVariable("u10", "wind"), ["wind", "u10"]),
    ],
)
def test_strange_coordinates_are_refused(tmp_path: Path, change: Callable, words: list[str] | None) -> None:
    path = edited(write_new(tmp_path / "a.nc"), change)
    if words is None:  # seconds taken for minutes: strange times, but times
        assert read_fields(path).hours[0] == START * 60
        return
    with refused("a.nc", *words):
        read_fields(path, ["u10"])


@pytest.mark.parametrize(("size", "fits"), [(1, True), (3, False)])
def test_levels_and_members_are_refused_unless_there_is_one(tmp_path: Path, size: int, fits: bool) -> None:
    with netCDF4.Dataset(write_new(tmp_path / "a.nc"), "r+") as file:
        file.createDimension("pressure_level", size)
        levels = file.createVariable("t2m", "f4", ("valid_time", "pressure_level", "latitude", "longitude"))
        levels.units = UNITS["t2m"]
        levels[:] = 280.0
    if fits:
        assert (read_fields(tmp_path / "a.nc", ["t2m"]).values == 280).all()
        return
    with refused("a.nc", "t2m", "pressure_level", "3"):
        read_fields(tmp_path / "a.nc", ["t2m"])


def test_all_layouts_have_a_suffix() -> None:
    assert set(layouts.SUFFIXES) == {"netcdf", "zip", "grib", "zarr"}
