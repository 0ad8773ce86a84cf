"""Trajectories as users bring them: which way is up, marks of missing values, names of dimensions, whole files."""

from __future__ import annotations

import shutil
from pathlib import Path

import netCDF4
import numpy as np
import pytest
import xarray as xr
from refusals import refused
from trajectory_files import field, users_file

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.zarr_folder import store_files
from weightcast.environments.commands.alike import AlikeFiles
from weightcast.environments.commands.data_survey import _numbered_channels
from weightcast.environments.stages.import_trajectories import UserFiles
from weightcast.trajectories import read_imported, read_npy_environment, read_trajectories
from weightcast.trajectories.find import find_environment_files
from weightcast.trajectories.netcdf import unused_variables


@pytest.mark.parametrize("format", ["NETCDF3_CLASSIC", "NETCDF3_64BIT_OFFSET", "NETCDF3_64BIT_DATA"])
@pytest.mark.parametrize("unlimited", [False, True])
@pytest.mark.parametrize("kept", [0.3, 0.7, -8, -4])
def test_every_classic_format_must_be_whole(format: str, unlimited: bool, kept: float, tmp_path: Path) -> None:
    path = tmp_path / "a.nc"
    data = {"u": field(), "v": field(dtype="float64")}
    dataset = xr.Dataset(data, attrs={"title": "of five", "numbers": [1.0, 2.0, 3.0]})
    dataset.to_netcdf(path, format=format, engine="netcdf4", unlimited_dims=["trajectory"] if unlimited else [])
    assert read_trajectories(path).values.shape == (3, 5, 2, 4, 6)
    whole = path.read_bytes()
    cut = kept if kept < 0 else round(kept * len(whole))
    path.write_bytes(whole[: int(cut)])
    with refused(path.name, "cannot be read"):
        read_trajectories(path)


def test_coordinates_decide_which_way_is_up(tmp_path: Path) -> None:
    up = field().assign_coords(y=[1.0, 2.0, 3.0, 4.0], x=10.0 * np.arange(6))
    stored = {"up": up, "down": up.isel(y=slice(None, None, -1)), "left": up.isel(x=slice(None, None, -1))}
    found = {name: read_imported(users_file(tmp_path / f"{name}.nc", u=array)) for name, array in stored.items()}
    for one in found.values():
        np.testing.assert_array_equal(one.values, found["up"].values)
        np.testing.assert_array_equal(one.y, [1, 2, 3, 4])
        np.testing.assert_array_equal(one.x, 10.0 * np.arange(6))
    bare = read_imported(users_file(tmp_path / "bare.nc", u=field()))
    np.testing.assert_array_equal(bare.values, found["up"].values)


@pytest.mark.parametrize(("mark", "count"), [(-9999.0, 2), (9.96921e36, 5), (1e9, 1)])
def test_marks_of_missing_values_that_nobody_declared(mark: float, count: int, tmp_path: Path) -> None:
    array = field()
    array.values.reshape(-1)[130 : 130 + count] = mark
    times = "once" if count == 1 else f"{count} times"
    with refused("a.nc", "u: found", "trajectory 1, time 0, y 1, x 4", times, "0 to 359"):
        read_imported(users_file(tmp_path / "a.nc", u=array))
    array.values[array.values == np.float32(mark)] = 400.0 if count == 1 else 0.0
    assert read_imported(users_file(tmp_path / "b.nc", u=array)).values.max() <= 400


def test_values_outside_of_the_valid_range(tmp_path: Path) -> None:
    array = field()
    array.attrs["valid_range"] = np.array([0.0, 358.0], np.float32)
    with refused("a.nc", "u: found 359", "trajectory 2, time 4, y 3, x 5", "from 0 to 358", "valid"):
        read_trajectories(users_file(tmp_path / "a.nc", u=array))
    array.attrs = {"valid_max": np.float32(359.0)}
    read_trajectories(users_file(tmp_path / "b.nc", u=array))
    packed = field().assign_attrs(valid_range=np.array([0, 700], np.int16))
    path = tmp_path / "c.nc"
    xr.Dataset({"u": packed}).to_netcdf(path, encoding={"u": {"dtype": "int16", "scale_factor": 0.5}})
    with refused("c.nc", "u: found 351", "from 0 to 350"):
        read_trajectories(path)


def test_times_of_every_trajectory_are_refused(tmp_path: Path) -> None:
    times = xr.DataArray(np.tile(np.arange(5.0), (3, 1)), dims=("trajectory", "time"))
    path = tmp_path / "a.nc"
    dataset = xr.Dataset({"u": field()})
    with netCDF4.Dataset(path, "w") as file:
        for name, size in dataset.sizes.items():
            file.createDimension(str(name), size)
        file.createVariable("u", "f4", dataset["u"].dims)[:] = dataset["u"].values
        file.createVariable("time", "f8", ("trajectory", "time"))[:] = times.values
    with refused("a.nc", "time: found the dimensions (trajectory, time)"):
        read_trajectories(path)


@pytest.mark.parametrize("names", [("nav_lat", "nav_lon"), ("XLAT", "XLONG"), ("a", "b")])
def test_coordinates_of_two_dimensions_say_which_way_is_up(names: tuple[str, str], tmp_path: Path) -> None:
    """Of a curved grid, whose latitudes differ along a row as well; by names, or by what they say of themselves."""
    rows, columns = np.mgrid[0:4, 0:6]
    values = np.random.default_rng(0).random((3, 5, 4, 6)).astype(np.float32)
    latitude, longitude = 50 + rows + 0.1 * columns, 5 + columns + 0.1 * rows

    def stored(path: Path, flip: slice, mirror: slice) -> Path:
        variables = {
            "u": (("trajectory", "time", "y", "x"), values[..., flip, mirror]),
            names[0]: (("y", "x"), latitude[flip, mirror], {"standard_name": "latitude"} if names[0] == "a" else {}),
            names[1]: (("y", "x"), longitude[flip, mirror], {"standard_name": "longitude"} if names[0] == "a" else {}),
        }
        xr.Dataset(variables).to_netcdf(path)
        return path

    upright = read_imported(stored(tmp_path / "a.nc", slice(None), slice(None)), channels=["u"])
    turned = read_imported(stored(tmp_path / "b.nc", slice(None, None, -1), slice(None, None, -1)), channels=["u"])
    np.testing.assert_array_equal(upright.values, turned.values)
    assert (upright.turned, turned.turned) == (frozenset(), {"x", "y"})


@pytest.mark.parametrize("first", [True, False])
def test_files_without_coordinates_beside_such_that_are_stored_the_other_way(first: bool, tmp_path: Path) -> None:
    plain = xr.Dataset({"u": (("trajectory", "time", "y", "x"), np.random.default_rng(0).random((3, 5, 4, 6)))})
    plain.to_netcdf(tmp_path / "plain.nc")
    plain.assign_coords(y=[3.0, 2.0, 1.0, 0.0]).to_netcdf(tmp_path / "falling.nc")
    plain.assign_coords(y=[0.0, 1.0, 2.0, 3.0]).to_netcdf(tmp_path / "rising.nc")
    alike = AlikeFiles()
    alike.see(tmp_path / "rising.nc", read_imported(tmp_path / "rising.nc"))
    one, other = (tmp_path / name for name in (("plain.nc", "falling.nc") if first else ("falling.nc", "plain.nc")))
    alike.see(one, read_imported(one))
    with refused("plain.nc: y: found no coordinates", "falling.nc", "which way"):
        alike.see(other, read_imported(other))


def test_arrays_with_channels_last(tmp_path: Path) -> None:
    np.save(tmp_path / "beta_1.0.npy", np.zeros((5, 12, 12, 2)))
    with refused("beta_1.0.npy", "(5, 12, 12, 2)", "looks like (time, x, y, channel)"):
        read_npy_environment(tmp_path / "beta_1.0.npy", ["u", "v"])


def test_arrays_with_channels_last_on_a_grid_that_is_no_square(tmp_path: Path) -> None:
    path = tmp_path / "beta_1.0.npy"
    np.save(path, np.zeros((5, 16, 12, 2)))
    with refused("beta_1.0.npy", "(5, 16, 12, 2)", "looks like (time, x, y, channel)", "moveaxis"):
        read_npy_environment(path, ["u", "v"])
    named = read_npy_environment(path, [f"c{number}" for number in range(16)])  # somebody says that these are channels
    assert named.values.shape == (1, 5, 16, 2, 12)
    with refused("beta_1.0.npy", "looks like (time, x, y, channel)"):
        _numbered_channels(path)
    np.save(path, np.zeros((5, 2, 16, 12)))
    assert _numbered_channels(path) == ("channel_0", "channel_1")


def test_zarr_stores_are_read_as_files_are(tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="the package zarr is not installed (pip install zarr)")
    dataset = xr.Dataset({"u": field(), "v": 2 * field()})
    dataset.to_netcdf(tmp_path / "a.nc")
    for version in (2, 3):
        path = tmp_path / f"{version}/a.zarr"
        dataset.to_zarr(path, zarr_format=version, consolidated=version == 2)
        found, expected = read_imported(path), read_imported(tmp_path / "a.nc")
        np.testing.assert_array_equal(found.values, expected.values)
        assert found.channels == expected.channels and found.environment == "a"
        copy = shutil.copytree(path, tmp_path / f"copy-{version}.zarr")
        assert UserFiles(copy).digests() == UserFiles(path).digests()
        other = shutil.copytree(path, tmp_path / f"other-{version}.zarr")
        last = store_files(other)[-1]
        last.write_bytes(last.read_bytes() + b" ")
        assert UserFiles(other).digests() != UserFiles(path).digests()
    table = EnvironmentTable((Environment("a", {}, "visible"),), (), tmp_path / "table.csv")
    assert find_environment_files(tmp_path / "3", table, "netcdf") == {"a": tmp_path / "3/a.zarr"}


def test_a_truncated_chunk_of_a_store(tmp_path: Path) -> None:
    """Blosc decodes one to whatever is in memory beyond its end."""
    pytest.importorskip("zarr", reason="the package zarr is not installed (pip install zarr)")
    from zarr.codecs import BloscCodec

    path = tmp_path / "a.zarr"
    xr.Dataset({"u": field()}).to_zarr(path, zarr_format=3, encoding={"u": {"compressors": [BloscCodec()]}})
    (chunk,) = (file for file in store_files(path) if file.parts[-6:-4] == ("u", "c"))
    chunk.write_bytes(chunk.read_bytes()[:-20])
    with refused(path, "cannot be read", "ends too early"):
        read_imported(path)


@pytest.mark.parametrize(
    ("file", "text", "words"),
    [
        (".zarray", '{"filters": [{"id": "pickle"}]}', ("pickled", "never loaded")),
        ("u/zarr.json", '{"codecs": [{"name": "numcodecs.pickle"}]}', ("pickled", "never loaded")),
        ("zarr.json", "[" * 100_000, ("cannot be read", "metadata of a Zarr store")),
        ("zarr.json", "{", ("cannot be read", "metadata of a Zarr store")),
        ("other.json", "{}", ("found none of zarr.json", "expected a Zarr store")),
        ("zarr.json", "{}", ("a.zarr",)),
    ],
)
def test_stores_that_must_not_be_opened(file: str, text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    pytest.importorskip("zarr", reason="the package zarr is not installed (pip install zarr)")
    path = tmp_path / "a.zarr" / file
    path.parent.mkdir(parents=True)
    path.write_text(text)
    with refused(*words):
        read_imported(tmp_path / "a.zarr")


def test_numbers_with_zeros_before_them(tmp_path: Path) -> None:
    for name in ("001.nc", "012.nc"):
        users_file(tmp_path / name, u=field())
    rows = tuple(Environment(id, {}, "visible") for id in ("1", "12"))
    table = EnvironmentTable(rows, (), tmp_path / "table.csv")
    found = find_environment_files(tmp_path, table, "netcdf")
    assert {id: path.name for id, path in found.items()} == {"1": "001.nc", "12": "012.nc"}
    users_file(tmp_path / "1.nc", u=field())
    with refused("environment 1", "expected one"):
        find_environment_files(tmp_path, table, "netcdf")


def test_dimensions_that_are_called_otherwise(tmp_path: Path) -> None:
    names = {"trajectory": "member", "y": "latitude", "x": "lon"}
    array = field().rename(names).expand_dims(level=[500.0]).assign_coords(latitude=[4.0, 3.0, 2.0, 1.0])
    path = users_file(tmp_path / "a.nc", u=array, mask=array.isel(member=0, time=0, drop=True))
    found = read_imported(path)
    assert found.channels == ("u",)
    np.testing.assert_array_equal(found.values[:, :, 0], field().values[:, :, ::-1])
    np.testing.assert_array_equal(found.y, [1, 2, 3, 4])
    assert unused_variables(path, ["u"]) == ["mask(y, x)"]
