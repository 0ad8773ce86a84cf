from __future__ import annotations

import dataclasses
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from refusals import refused
from trajectory_files import field, users_file

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.core.job import Job
from weightcast.environments.jobs import ImportTrajectories
from weightcast.trajectories import (
    Trajectories,
    data_without_row,
    environment_names,
    find_environment_files,
    read_npy_environment,
    read_trajectories,
    write_trajectories,
)
from weightcast.trajectories.npy import parameters_in_name

ROOT = Path(__file__).parents[2]


@pytest.fixture
def trajectories() -> Trajectories:
    values = np.random.default_rng(0).standard_normal((3, 5, 2, 4, 6), dtype=np.float32)
    return Trajectories(
        values=values,
        channels=("v", "u"),
        time=0.5 * np.arange(5),
        y=np.linspace(1, 0, 4),
        x=np.linspace(0, 1, 6),
        environment="beta_1.00-D_0.20",
        parameters={"beta": 1.0, "D": 0.2},
        units={"u": "m s-1", "time": "s"},
    )


@pytest.fixture
def path(tmp_path: Path, trajectories: Trajectories) -> Path:
    path = tmp_path / "new" / "a.nc"
    write_trajectories(path, trajectories)
    return path


# --- in memory


def test_shapes_must_agree(trajectories: Trajectories) -> None:
    with pytest.raises(ValueError, match=r"expected \(trajectory, 5, 2, 4, 6\)"):
        dataclasses.replace(trajectories, values=trajectories.values[:, 1:])
    with pytest.raises(ValueError, match="float64"):
        dataclasses.replace(trajectories, values=trajectories.values.astype(np.float64))


# --- NetCDF


def test_what_is_written_is_read(path: Path, trajectories: Trajectories) -> None:
    copy = read_trajectories(path)
    for name in ("values", "time", "y", "x"):
        np.testing.assert_array_equal(getattr(copy, name), getattr(trajectories, name))
        assert getattr(copy, name).dtype == getattr(trajectories, name).dtype
    for name in ("channels", "environment", "parameters", "units"):
        assert getattr(copy, name) == getattr(trajectories, name)


def test_the_form_on_disk(path: Path) -> None:
    with xr.open_dataset(path, decode_times=False) as dataset:
        for channel in ("u", "v"):
            assert dataset[channel].dims == ("trajectory", "time", "y", "x")
            assert dataset[channel].dtype == np.float32
        assert dataset.attrs == {"environment": "beta_1.00-D_0.20", "beta": 1.0, "D": 0.2}
    assert [file.name for file in path.parent.iterdir()] == ["a.nc"]


def test_the_same_trajectories_give_the_same_bytes(path: Path, trajectories: Trajectories) -> None:
    first = path.read_bytes()
    write_trajectories(path, trajectories)
    assert path.read_bytes() == first


def test_nothing_half_written_is_left(tmp_path: Path, trajectories: Trajectories) -> None:
    trajectories.values[1, 2, 0, 3, 4] = np.inf
    with refused(tmp_path / "a.nc", "Inf", "trajectory 1, time 2, channel v, y 3, x 4"):
        write_trajectories(tmp_path / "a.nc", trajectories)
    assert list(tmp_path.iterdir()) == []


def test_channels_are_read_in_the_asked_order(path: Path, trajectories: Trajectories) -> None:
    copy = read_trajectories(path, channels=["u", "v"])
    assert copy.channels == ("u", "v")
    np.testing.assert_array_equal(copy.values, trajectories.values[:, :, ::-1])
    assert read_trajectories(path, channels=["u"]).values.shape == (3, 5, 1, 4, 6)


def test_expectations_that_hold(path: Path) -> None:
    copy = read_trajectories(
        path,
        channels=("u", "v"),
        grid=(4, 6),
        environment="beta_1.00-D_0.20",
        parameters={"beta": 1.0 + 1e-9, "D": 0.2},
        minimum_frames=5,
        minimum_trajectories=3,
    )
    assert copy.parameters == {"beta": 1.0 + 1e-9, "D": 0.2}


def test_dimensions_may_come_in_any_order(tmp_path: Path) -> None:
    straight = field()
    path = users_file(tmp_path / "a.nc", u=straight.transpose("x", "time", "trajectory", "y"))
    copy = read_trajectories(path, environment="a", parameters={"beta": 1.0})
    np.testing.assert_array_equal(copy.values[:, :, 0], straight.to_numpy())
    np.testing.assert_array_equal(copy.x, np.arange(6))
    assert copy.environment == "a"
    assert copy.parameters == {"beta": 1.0}


def test_packed_integers_are_unpacked(tmp_path: Path) -> None:
    straight = field() / 4
    encoding = {"u": {"dtype": "int16", "scale_factor": 0.25, "add_offset": 7.0, "_FillValue": -32767}}
    xr.Dataset({"u": straight}).to_netcdf(tmp_path / "a.nc", format="NETCDF3_CLASSIC", encoding=encoding)
    copy = read_trajectories(tmp_path / "a.nc")
    np.testing.assert_array_equal(copy.values[:, :, 0], straight.to_numpy())


def test_calendar_times_stay_numbers(tmp_path: Path) -> None:
    hours = xr.Variable("time", np.arange(5), {"units": "hours since 1900-01-01"})
    path = users_file(tmp_path / "a.nc", u=field().assign_coords(time=hours))
    np.testing.assert_array_equal(read_trajectories(path).time, np.arange(5))


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with refused(tmp_path / "a.nc", "no such file"):
        read_trajectories(tmp_path / "a.nc")


@pytest.mark.parametrize("format", ["NETCDF4", "NETCDF3_CLASSIC"])
@pytest.mark.parametrize("part", [0.0, 0.1, 0.5, 0.999])
def test_a_truncated_file_is_refused(tmp_path: Path, format: str, part: float) -> None:
    path = tmp_path / "a.nc"
    xr.Dataset({"u": field()}).to_netcdf(path, format=format)
    content = path.read_bytes()
    path.write_bytes(content[: int(part * len(content))])
    with refused(path, "cannot be read"):
        read_trajectories(path)


def test_a_foreign_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.nc").write_text("not at all NetCDF\n" * 100)
    with refused(tmp_path / "a.nc", "cannot be read"):
        read_trajectories(tmp_path / "a.nc")


def test_a_missing_dimension_is_refused(tmp_path: Path) -> None:
    path = users_file(tmp_path / "a.nc", u=field(("time", "y", "x")))
    with refused(path, "channel u", "(time, y, x)", "(trajectory, time, y, x)"):
        read_trajectories(path, channels=["u"])
    with refused(path, "u(time, y, x)", "(trajectory, time, y, x)"):
        read_trajectories(path)


def test_states_without_a_grid_become_fields_on_one_point(tmp_path: Path) -> None:
    straight = field(("trajectory", "time"))
    path = users_file(tmp_path / "a.nc", u=straight.transpose("time", "trajectory"), v=2 * straight)
    copy = read_trajectories(path, grid=(1, 1))
    assert copy.channels == ("u", "v")
    assert copy.values.shape == (3, 5, 2, 1, 1)
    np.testing.assert_array_equal(copy.values[:, :, 0, 0, 0], straight.to_numpy())
    np.testing.assert_array_equal(copy.values[:, :, 1, 0, 0], 2 * straight.to_numpy())
    write_trajectories(tmp_path / "b.nc", copy)
    np.testing.assert_array_equal(read_trajectories(tmp_path / "b.nc").values, copy.values)


def test_a_point_that_was_picked_has_a_coordinate(tmp_path: Path) -> None:
    whole = field().assign_coords(y=np.arange(4) / 4, x=np.arange(6) / 6)
    for name, picked in (("a.nc", whole.isel(y=1, x=2)), ("b.nc", whole.isel(y=[1], x=[2]))):
        copy = read_trajectories(users_file(tmp_path / name, u=picked))
        np.testing.assert_array_equal(copy.values[:, :, 0, 0, 0], whole[:, :, 1, 2].to_numpy())
        assert (copy.y.tolist(), copy.x.tolist()) == ([1 / 4], [2 / 6])


def test_a_file_with_a_grid_has_it_for_all_channels(tmp_path: Path) -> None:
    mean = field(("trajectory", "time"))
    path = users_file(tmp_path / "a.nc", u=field(), mean=mean)
    assert read_trajectories(path).channels == ("u",)
    with refused(path, "channel mean", "(trajectory, time)", "(trajectory, time, y, x)"):
        read_trajectories(path, channels=["mean"])
    other = users_file(tmp_path / "b.nc", u=field(("trajectory", "time", "up", "along")), mean=mean)
    with refused(other, "no variable", "u(trajectory, time, up, along)"):
        read_trajectories(other)


def test_misnamed_dimensions_are_refused(tmp_path: Path) -> None:
    path = users_file(tmp_path / "a.nc", u=field(("trajectory", "time", "up", "along")))
    with refused(path, "channel u", "(trajectory, time, up, along)", "(trajectory, time, y, x)"):
        read_trajectories(path, channels=["u"])


def test_a_missing_channel_is_refused(path: Path) -> None:
    with refused(path, "channel w", "v(trajectory, time, y, x), u(trajectory, time, y, x)"):
        read_trajectories(path, channels=["u", "w"])


def test_a_wrong_grid_is_refused(path: Path) -> None:
    with refused(path, "grid", "4 x 6", "6 x 4"):
        read_trajectories(path, grid=(6, 4))


def test_too_little_data_is_refused(path: Path) -> None:
    with refused(path, "time", "5 frames", "6"):
        read_trajectories(path, minimum_frames=6)
    with refused(path, "trajectory", "3 trajectories", "4"):
        read_trajectories(path, minimum_trajectories=4)


@pytest.mark.parametrize(("value", "name"), [(np.nan, "NaN"), (-np.inf, "Inf"), (1e300, "Inf")])
def test_a_value_that_is_not_finite_is_refused(tmp_path: Path, value: float, name: str) -> None:
    bad = field(dtype="float64")
    bad[2, 1, 3, 4] = value
    bad[2, 4, 0, 0] = np.nan
    path = users_file(tmp_path / "a.nc", u=field(), v=bad)
    with refused(path, name, "trajectory 2, time 1, channel v, y 3, x 4"):
        read_trajectories(path)


def test_text_is_refused(tmp_path: Path) -> None:
    path = users_file(tmp_path / "a.nc", u=field().astype(str))
    with refused(path, "channel u", "numbers"):
        read_trajectories(path)


@pytest.mark.parametrize("times", [[0, 1, 1, 2, 3], [4, 3, 2, 1, 0], [0, 1, 2, 3, np.nan]])
def test_times_that_do_not_increase_are_refused(tmp_path: Path, times: list[float]) -> None:
    path = users_file(tmp_path / "a.nc", u=field().assign_coords(time=times))
    with refused(path, "time", "increasing"):
        read_trajectories(path)


def test_disagreement_with_the_table_is_refused(path: Path) -> None:
    with refused(path, "parameter D", "found 0.2", "expected 0.3"):
        read_trajectories(path, parameters={"beta": 1.0, "D": 0.3})
    with refused(path, "environment", "'beta_1.00-D_0.20'", "'other'"):
        read_trajectories(path, environment="other")


# --- .npy


@pytest.fixture
def array() -> np.ndarray:
    """(time, channel, x, y)"""
    return np.random.default_rng(1).standard_normal((5, 2, 6, 4))


def test_x_comes_before_y(tmp_path: Path, array: np.ndarray) -> None:
    np.save(tmp_path / "Re_210.0_r_10.0.npy", array)
    copy = read_npy_environment(tmp_path / "Re_210.0_r_10.0.npy", ["u", "v"], grid=(4, 6), frame_step=0.1)
    assert copy.values.shape == (1, 5, 2, 4, 6)
    assert copy.values[0, 3, 1, 2, 5] == np.float32(array[3, 1, 5, 2])
    assert copy.environment == "Re_210.0_r_10.0"
    assert copy.parameters == {"Re": 210.0, "r": 10.0}
    np.testing.assert_allclose(copy.time, [0, 0.1, 0.2, 0.3, 0.4])


def test_arrays_of_states_without_a_grid(tmp_path: Path, array: np.ndarray) -> None:
    states = array[:, :, 0, 0]
    for name, stored in (("Re_1.npy", states), ("Re_2.npy", states[:, :, None, None])):
        np.save(tmp_path / name, stored)
        copy = read_npy_environment(tmp_path / name, ["u", "v"], grid=(1, 1))
        np.testing.assert_array_equal(copy.values[0, :, :, 0, 0], states.astype(np.float32))


def test_a_folder_holds_the_trajectories_of_one_environment(tmp_path: Path, array: np.ndarray) -> None:
    folder = tmp_path / "Re_210.0_r_10.0"
    folder.mkdir()
    for number in (10, 9, 1):
        np.save(folder / f"{number}.npy", array + number)
    copy = read_npy_environment(folder, ["u", "v"], minimum_trajectories=3)
    np.testing.assert_allclose(copy.values[:, 0, 0, 0, 0] - array[0, 0, 0, 0], [1, 9, 10], rtol=1e-5)
    np.save(folder / "2.npy", array[1:])  # one of four frames beside others of five
    copy = read_npy_environment(folder, ["u", "v"])
    assert copy.values.shape[:2] == (4, 4) and len(copy.time) == 4
    copy = read_npy_environment(folder, ["u", "v"], gaps=True)
    assert np.isnan(copy.values).reshape(4, 5, -1).all(2).nonzero()[0].tolist() == [1]
    with refused(folder / "2.npy", "4 frames", "5 or more"):
        read_npy_environment(folder, ["u", "v"], minimum_frames=5)
    np.save(folder / "2.npy", array[..., 1:])
    with refused(folder / "2.npy", "(5, 2, 6, 3)", "(5, 2, 6, 4)"):
        read_npy_environment(folder, ["u", "v"])


@pytest.mark.parametrize(
    ("name", "parameters"),
    [
        ("Re_210.0_r_10.0", {"Re": 210.0, "r": 10.0}),
        ("drag_coefficient_1e-3", {"drag_coefficient": 1e-3}),
        ("a_-1_b_.5", {"a": -1.0, "b": 0.5}),
        ("run7", {}),
        ("1_2", {}),
        ("Re_1_", {}),
        ("Re_nan", {}),
    ],
)
def test_parameters_in_names(name: str, parameters: dict[str, float]) -> None:
    assert parameters_in_name(name) == parameters


def test_bad_npy_files_are_refused(tmp_path: Path, array: np.ndarray) -> None:
    path = tmp_path / "Re_210.0.npy"
    with refused(path, "no .npy file"):
        read_npy_environment(path, ["u", "v"])
    np.save(path, array)
    with refused(path, "2 channels", "expected 3"):
        read_npy_environment(path, ["u", "v", "w"])
    with refused(path, "grid", "4 x 6", "6 x 4"):
        read_npy_environment(path, ["u", "v"], grid=(6, 4))
    with refused(path, "5 frames", "6"):
        read_npy_environment(path, ["u", "v"], minimum_frames=6)
    with refused(path, "1 trajectories", "2"):
        read_npy_environment(path, ["u", "v"], minimum_trajectories=2)
    with refused(path, "parameter Re", "210", "220"):
        read_npy_environment(path, ["u", "v"], parameters={"Re": 220.0})
    path.write_bytes(path.read_bytes()[:-1])
    with refused(path, "cannot be read"):
        read_npy_environment(path, ["u", "v"])
    np.save(path, array[0])
    with refused(path, "shape", "(2, 6, 4)", "(time, channel, x, y)"):
        read_npy_environment(path, ["u", "v"])
    array[4, 1, 5, 0] = np.nan
    np.save(path, array)
    with refused(path, "NaN", "trajectory 0, time 4, channel v, y 0, x 5"):
        read_npy_environment(path, ["u", "v"])
    np.save(path, array.astype(complex))
    with refused(path, "complex128", "real numbers"):
        read_npy_environment(path, ["u", "v"])


def test_nothing_is_unpickled(tmp_path: Path) -> None:
    path = tmp_path / "Re_210.0.npy"
    np.save(path, np.array([[[[object()]]]]), allow_pickle=True)
    with refused(path, "cannot be read"):
        read_npy_environment(path, ["u"])


# --- which file holds which environment


@pytest.fixture
def table(tmp_path: Path) -> EnvironmentTable:
    environments = tuple(Environment(id, {"Re": re}, "visible") for id, re in (("slow", 210.0), ("fast", 0.3)))
    return EnvironmentTable(environments, ("Re",), tmp_path / "table.csv")


def test_files_are_found_by_id_or_by_parameters(tmp_path: Path, table: EnvironmentTable) -> None:
    (tmp_path / "netcdf").mkdir()
    for name in ("fast.nc", "slow.nc", ".slow.nc.1.partial", "notes.txt"):
        (tmp_path / "netcdf" / name).touch()
    found = find_environment_files(tmp_path / "netcdf", table, "netcdf")
    assert {id: path.name for id, path in found.items()} == {"slow": "slow.nc", "fast": "fast.nc"}
    assert list(found) == ["slow", "fast"]

    (tmp_path / "npy" / "fast").mkdir(parents=True)
    for name in ("Re_210.npy", "fast/0.npy"):
        (tmp_path / "npy" / name).touch()
    found = find_environment_files(tmp_path / "npy", table, "npy")
    assert {id: path.name for id, path in found.items()} == {"slow": "Re_210.npy", "fast": "fast"}


def test_a_name_that_states_no_parameters_is_not_that_of_an_environment_without_any(tmp_path: Path) -> None:
    table = EnvironmentTable((Environment("north", {}, "visible"),), (), tmp_path / "table.csv")
    (tmp_path / "npy").mkdir()
    for name in ("north.npy", "south.npy"):
        (tmp_path / "npy" / name).touch()
    assert list(find_environment_files(tmp_path / "npy", table, "npy")) == ["north"]
    assert data_without_row(tmp_path / "npy", table, "npy") == ["south.npy"]
    assert environment_names(tmp_path / "npy", "npy") == ["north", "south"]


def test_tables_and_files_must_match(tmp_path: Path, table: EnvironmentTable) -> None:
    directory = tmp_path / "trajectories"
    with refused(directory, "no such folder", table.path):
        find_environment_files(directory, table, "netcdf")
    directory.mkdir()
    (directory / "slow.nc").touch()
    with refused(directory, table.path, "no data for fast"):
        find_environment_files(directory, table, "netcdf")
    (directory / "other.nc").touch()
    with refused(directory, table.path, "no data for fast", "found other.nc without a row"):
        find_environment_files(directory, table, "netcdf")
    for name in ("slow.npy", "Re_210.0.npy"):
        (directory / name).touch()
    with refused(directory, "environment slow", "slow.npy", "Re_210.0.npy"):
        find_environment_files(directory, table, "npy")


# --- the stage


def test_import_stage(tmp_path: Path, table: EnvironmentTable, array: np.ndarray) -> None:
    np.save(tmp_path / "Re_210.npy", array)
    output = tmp_path / "study" / "trajectories" / "visible-000.csv"

    def run(*channels: str) -> subprocess.CompletedProcess[str]:
        told = ImportTrajectories(
            environments=(table["slow"],),
            channels=list(channels),
            grid=(4, 6),
            frames=5,
            trajectories=1,
            frame_step=1.0,
        )
        job = Job(
            stage="import_trajectories",
            inputs={"source": str(tmp_path / "Re_210.npy")},
            outputs={"output": str(output)},
            settings=told.model_dump(mode="json"),
        )
        command = [sys.executable, str(ROOT / "scripts" / "run_stage.py"), job.to_json()]
        return subprocess.run(command, capture_output=True, text=True)

    refusal = run("u")
    assert refusal.returncode == 1
    job, error = refusal.stderr.splitlines()
    assert job.startswith("job: {")
    assert error.startswith(f"weightcast: error: {tmp_path / 'Re_210.npy'}: shape: found 2 channels")
    assert not output.parent.exists()

    assert run("u", "v").returncode == 0
    written = read_trajectories(
        output.with_name("slow.nc"), channels=("u", "v"), environment="slow", parameters={"Re": 210.0}
    )
    assert written.values.shape == (1, 5, 2, 4, 6)
