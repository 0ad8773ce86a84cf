"""Trajectories of several environments in one file: the same numbers, bytes and refusals as of files alone."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
import xarray as xr
from refusals import refused

from weightcast.core.environment_table import Environment
from weightcast.environments.config.data import DataSettings, TrajectoryCounts
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.trajectory_manifest import TOGETHER, Made, Manifest
from weightcast.trajectories import Trajectories, write_trajectories
from weightcast.trajectories.grouped import NotAlikeError, TrajectoryGroup, contents_digest, write_group

IDS = ["b", "a", "d", "c"]
DATA = DataSettings(
    source="lambda-omega",
    channels=["u", "v"],
    grid=(2, 3),
    frames=5,
    trained_frames=3,
    trajectories=TrajectoryCounts(train=2, validation=1, test=2),
)


def record(id: str) -> Trajectories:
    values = np.random.default_rng(ord(id)).normal(size=(5, 5, 2, 2, 3)).astype(np.float32)
    coordinates = np.arange(5) * 0.5, np.arange(2.0), np.arange(3.0)
    return Trajectories(values, ("v", "u"), *coordinates, id, {"k": 0.1 * ord(id)}, {"time": "h", "u": "m"})


@pytest.fixture
def file(tmp_path: Path) -> Path:
    write_group(tmp_path / TOGETHER / "visible-000.nc", IDS, record)
    return tmp_path / TOGETHER / "visible-000.nc"


def test_what_was_written_is_read(file: Path) -> None:
    group = TrajectoryGroup(file)
    assert group.environments == tuple(IDS) and group.channels == ("v", "u")
    for id in IDS:
        found, wanted = group.trajectories(id), record(id)
        assert contents_digest(found) == contents_digest(wanted)
        np.testing.assert_array_equal(found.values, wanted.values)
        assert (found.units, found.parameters, found.environment) == (wanted.units, wanted.parameters, id)
    np.testing.assert_array_equal(group.trajectories("c", ["u"]).values, record("c").values[:, :, 1:])


def test_users_read_one_environment_with_xarray(file: Path) -> None:
    with xr.open_dataset(file) as dataset:
        one = dataset.sel(environment="d")
        np.testing.assert_array_equal(one["u"].to_numpy(), record("d").values[:, :, 1])
        assert one["u"].attrs["units"] == "m" and float(one["parameter_k"]) == 0.1 * ord("d")


def test_the_same_trajectories_give_the_same_bytes(file: Path, tmp_path: Path) -> None:
    digests = write_group(tmp_path / "again.nc", IDS, record)
    assert (tmp_path / "again.nc").read_bytes() == file.read_bytes()
    assert digests == {id: contents_digest(record(id)) for id in IDS}


def test_a_folder_reads_the_same_from_either(file: Path, tmp_path: Path) -> None:
    alone = tmp_path / "alone"
    for id in [*IDS, "e"]:
        write_trajectories(alone / f"{id}.nc", record(id))
    write_trajectories(tmp_path / "e.nc", record("e"))
    places = dict.fromkeys(IDS, f"{TOGETHER}/{file.name}") | {"e": "e.nc"}
    Manifest({id: Made("0", place) for id, place in places.items()}).save(tmp_path / "visible-000.csv")
    rows = [Environment(id, "visible", {"k": 0.1 * ord(id)}) for id in ("a", "d", "e", "c")]
    for order in (["a", "d", "e", "c", "b"], ["c"], ["e", "a"]):
        for part in ("train", "validation", "test"):
            found, wanted = (TrajectoryFolder(folder).read(order, DATA, part, 4) for folder in (tmp_path, alone))
            torch.testing.assert_close(found, wanted, rtol=0, atol=0)
    found, wanted = (TrajectoryFolder(folder).read_roles(rows, DATA, "test", 4, 1) for folder in (tmp_path, alone))
    torch.testing.assert_close(found, wanted, rtol=0, atol=0)


@pytest.mark.parametrize(
    "change",
    [
        {"values": record("a").values[:3]},
        {"time": np.arange(5.0)},
        {"channels": ("u", "v")},
        {"parameters": {"other": 1.0}},
        {"units": {}},
    ],
)
def test_unlike_trajectories_are_not_put_together(tmp_path: Path, change: dict) -> None:
    with pytest.raises(NotAlikeError, match="environment d is not like b"):
        write_group(tmp_path / "group.nc", IDS, lambda id: replace(record(id), **(change if id == "d" else {})))
    assert list(tmp_path.iterdir()) == []


def test_a_channel_may_not_be_called_as_a_parameter_is_stored(tmp_path: Path) -> None:
    with pytest.raises(NotAlikeError, match="channels"):
        write_group(tmp_path / "group.nc", IDS, lambda id: replace(record(id), channels=("u", "parameter_k")))


def test_what_is_not_there_or_not_as_expected_is_refused(file: Path) -> None:
    group = TrajectoryGroup(file)
    with refused(file, "environment x: found 4 others"):
        group.read(["a", "x"])
    with refused(file, "channel w: found v, u, expected w"):
        group.read(["a"], channels=["w"])
    with refused(file, "grid: found 2 x 3 points (y, x), expected 4 x 3"):
        group.read(["a"], grid=(4, 3))
    with refused(file, "time: found 5 frames, expected 6 or more"):
        group.read(["a"], minimum_frames=6)
    with refused(file, "trajectory: found 5 trajectories, expected 9 or more"):
        group.read(["a"], minimum_trajectories=9)
    contents = file.read_bytes()
    broken = record("d").values.copy()
    broken[1, 0, 1, 0, 2] = np.nan
    slab = record("d").values[:, :, 1].tobytes()
    file.write_bytes(contents.replace(slab, broken[:, :, 1].tobytes()))
    with refused(file, "u: found NaN at trajectory 1, time 0, channel u, y 0, x 2"):
        TrajectoryGroup(file).read(["a", "d"])


@pytest.mark.parametrize("damage", ["missing", "short", "noise", "of one"])
def test_what_is_no_such_file_is_refused(file: Path, damage: str) -> None:
    if damage == "missing":
        file.unlink()
    elif damage == "of one":
        write_trajectories(file, record("a"))
    else:
        contents = file.read_bytes()
        file.write_bytes(contents[: len(contents) // 2] if damage == "short" else b"\x01" * 2000)
    with refused(file, "cannot be read", "expected trajectories in a whole NetCDF file"):
        TrajectoryGroup(file)
