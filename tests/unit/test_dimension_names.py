"""Names of dimensions: recognised where one alone may be meant, and otherwise as somebody says."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
import yaml
from command_line import refused as refused_command
from command_line import run
from refusals import refused
from trajectory_files import field, users_file

from weightcast.environments.commands.frames_table import FileReading
from weightcast.environments.commands.given_dimensions import given_dimensions
from weightcast.environments.commands.observed_frames import read_observed_frames
from weightcast.environments.config.data import DataSettings, TrajectoryCounts
from weightcast.environments.config.load import load_study, parse_study
from weightcast.trajectories import read_imported, read_trajectories
from weightcast.trajectories.netcdf import renamed_dimensions

OWN = field()
"""[trajectory 3, time 5, y 4, x 6] of the numbers from 0 on."""


def called(*names: str, order: tuple[int, ...] = (0, 1, 2, 3)) -> xr.DataArray:
    """The same field with other names for trajectory, time, y and x, in another order."""
    return xr.DataArray(OWN.values, dims=names).transpose(*(names[number] for number in order))


@pytest.mark.parametrize(
    "names",
    [
        ("realization", "time_counter", "lat", "lon"),
        ("Member", "Time", "south_north", "west_east"),
        ("sample", "valid_time", "Northing", "Easting"),
        ("ens", "t", "row", "col"),
        ("run", "frame", "grid_latitude", "grid_longitude"),
        ("number", "time", "j", "i"),
        ("ensemble", "timestep", "yc", "xc"),
    ],
)
def test_what_programs_call_dimensions(names: tuple[str, ...], tmp_path: Path) -> None:
    path = users_file(tmp_path / "a.nc", u=called(*names, order=(1, 3, 0, 2)))
    np.testing.assert_array_equal(read_trajectories(path).values[:, :, 0], OWN.values)
    own = zip(names, ("trajectory", "time", "y", "x"), strict=True)
    assert renamed_dimensions(path) == {name: here for name, here in own if name != here}


def test_coordinates_say_what_they_are(tmp_path: Path) -> None:
    array = called("dim_0", "dim_1", "dim_2", "dim_3").assign_coords(
        dim_0=("dim_0", [1, 2, 3], {"standard_name": "realization"}),
        dim_1=("dim_1", np.arange(5.0), {"axis": "T"}),
        dim_2=("dim_2", np.arange(4.0)[::-1], {"axis": "Y"}),
        dim_3=("dim_3", np.arange(6.0), {"standard_name": "longitude"}),
    )
    found = read_imported(users_file(tmp_path / "a.nc", u=array))
    np.testing.assert_array_equal(found.values[:, :, 0], OWN.values[:, :, ::-1])  # y increases upwards
    np.testing.assert_array_equal(found.y, np.arange(4.0))


def test_coordinates_with_other_names_than_their_dimensions(tmp_path: Path) -> None:
    array = OWN.assign_coords(lat=("y", [53.0, 52.0, 51.0, 50.0]), lon=("x", np.arange(6.0)))
    found = read_imported(users_file(tmp_path / "a.nc", u=array))
    np.testing.assert_array_equal(found.y, [50.0, 51.0, 52.0, 53.0])
    np.testing.assert_array_equal(found.values[:, :, 0], OWN.values[:, :, ::-1])


def test_a_level_and_a_member_of_length_1_do_not_count(tmp_path: Path) -> None:
    array = called("member", "time", "y", "x").expand_dims(["level", "number"])
    assert read_trajectories(users_file(tmp_path / "a.nc", u=array)).values.shape == (3, 5, 1, 4, 6)


def test_what_may_be_either_is_asked_for(tmp_path: Path) -> None:
    array = called("member", "run", "y", "x")
    path = users_file(tmp_path / "a.nc", u=array)
    with refused("a.nc", "u(member, run, y, x)", "perhaps --dimensions trajectory=member time=run"):
        read_trajectories(path)
    found = read_trajectories(path, dimensions={"trajectory": "member", "time": "run"})
    np.testing.assert_array_equal(found.values[:, :, 0], OWN.values)


def test_names_that_are_given_hold_even_where_others_are_recognised(tmp_path: Path) -> None:
    path = users_file(tmp_path / "a.nc", u=called("time", "trajectory", "x", "y"))
    given = {"trajectory": "time", "time": "trajectory", "y": "x", "x": "y"}
    np.testing.assert_array_equal(read_trajectories(path, dimensions=given).values[:, :, 0], OWN.values)
    with refused(
        "a.nc", "found the dimensions time (3), trajectory (5), x (4), y (6), expected draw", "data.dimensions"
    ):
        read_trajectories(path, dimensions={"trajectory": "draw"})


def test_what_init_is_told() -> None:
    assert given_dimensions(["trajectory=run", "y=north"]) == {"trajectory": "run", "y": "north"}
    with refused("--dimensions: found 'z=up'", "one of trajectory, time, y, x"):
        given_dimensions(["z=up"])
    with refused("--dimensions: found 'x=a' beside another use"):
        given_dimensions(["y=a", "x=a"])


def test_a_study_of_files_with_names_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    random = np.random.default_rng(0)
    for number in range(4):
        values = random.normal(size=(6, 9, 8, 8)).astype(np.float32)
        users_file(tmp_path / "mine" / f"e{number}.nc", u=xr.DataArray(values, dims=("draw", "time", "north", "east")))
    init = ["init", "--kind", "environments", "--data", "mine", "-o", "my.yaml"]
    words = ("u(draw, time, north, east)", "perhaps --dimensions trajectory=draw y=north x=east")
    refused_command(capsys, *init, words=words, output=Path("my.yaml"))
    shown, _ = run(capsys, *init, "--dimensions", "trajectory=draw", "y=north", "x=east")
    assert "dimensions are called draw, which is trajectory, north, which is y, east, which is x" in shown
    study = load_study("my.yaml")
    assert study.data.dimensions == {"trajectory": "draw", "y": "north", "x": "east"}
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "is in order" in shown and errors == ""

    # Frames of a new environment may have the names of the study's files, or those of this house.
    values = random.normal(size=(5, 8, 8)).astype(np.float32)
    reading = FileReading.from_metadata({"table": FileReading.of(study.data).metadata()})
    for names in (("time", "north", "east"), ("time", "y", "x")):
        path = users_file(tmp_path / "new.nc", u=xr.DataArray(values, dims=names))
        found = read_observed_frames(path, ["u"], (8, 8), reading=reading)
        np.testing.assert_array_equal(found.values[0, :, 0], values)

    text = Path("my.yaml").read_text(encoding="utf-8")
    with refused("my.yaml: data.dimensions: found draw, north, east with the source 'npy', expected none"):
        parse_study(yaml.safe_load(text.replace("source: netcdf", "source: npy")), "my.yaml")


def test_studies_without_such_names_are_as_before() -> None:
    plain = DataSettings(
        source="netcdf", directory="mine", channels=["u"], grid=(8, 8), frames=9, trained_frames=5,
        trajectories=TrajectoryCounts(train=4, validation=1, test=1),
    )  # fmt: skip
    assert "dimensions" not in plain.model_dump(mode="json")
    assert FileReading.of(plain).metadata() == {}
