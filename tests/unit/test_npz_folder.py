"""Trajectories in `.npz` archives of adaptation benchmarks: what is read of them, and what is refused."""

from __future__ import annotations

import os
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from npz_folder_files import SHAPES, TIME, states, write_npz_folder
from refusals import refused
from scipy.integrate import solve_ivp

from weightcast.core.environment_table import Environment, EnvironmentTable
from weightcast.trajectories import (
    Trajectories,
    data_without_row,
    find_source_files,
    read_archive,
    read_npz_environment,
)
from weightcast.trajectories.npz import read_head
from weightcast.trajectories.npz_folder import environment_index, is_npz_folder, open_npz_folder
from weightcast.trajectories.state_layout import recognise_layout, shape_state

# Published by others, and so not part of the repository: beside it, or wherever this says.
CODA = Path(os.environ.get("CODA_LOTKA", Path(__file__).parents[3] / "shared" / "data" / "coda-lotka"))


def read(folder: Path, id: str, **options: Any) -> Trajectories:
    """An environment as the pipeline imports it."""
    train, test = map(read_archive, open_npz_folder(folder).ids[id])
    expected: dict[str, Any] = {
        "channels": ("x0", "x1"),
        "grid": (1, 1),
        "environment": id,
        "parameters": {},
        "trajectories": train.head.trajectories + 5,
        "test_trajectories": 5,
    }
    return read_npz_environment(train, test, environment_index(id), **expected | options)


def test_environments_are_those_of_the_files(tmp_path: Path) -> None:
    folder = open_npz_folder(write_npz_folder(tmp_path))
    assert list(folder.ids) == ["visible-0", "visible-1", "visible-2", "adapt-0", "adapt-1"]
    assert folder.ids["adapt-1"] == (tmp_path / "ood_train.npz", tmp_path / "ood_test.npz")
    table = folder.table(tmp_path / "table.csv")
    assert [row.role for row in table] == 3 * ["visible"] + 2 * ["extrapolation"]
    assert table.parameter_names == ()
    assert find_source_files(tmp_path, table, "npz") == folder.ids
    assert is_npz_folder(tmp_path) and not is_npz_folder(tmp_path.parent)


def test_training_trajectories_come_before_test_ones(tmp_path: Path) -> None:
    write_npz_folder(tmp_path)
    found = read(tmp_path, "visible-2")
    assert found.values.dtype == np.float32
    assert found.values.shape == (9, 6, 2, 1, 1)
    np.testing.assert_array_equal(found.time, TIME)
    expected = np.concatenate([states("train")[2], states("test")[2]])
    np.testing.assert_allclose(found.values[..., 0, 0], expected, rtol=1e-6)

    fewer = read(tmp_path, "visible-2", trajectories=5, test_trajectories=2)
    np.testing.assert_array_equal(fewer.values, found.values[[0, 1, 2, 4, 5]])
    unseen = read(tmp_path, "adapt-1")
    np.testing.assert_allclose(
        unseen.values[..., 0, 0], np.concatenate([states("ood_train")[1], states("ood_test")[1]]), rtol=1e-6
    )


def test_environments_to_adapt_to_may_be_missing(tmp_path: Path) -> None:
    folder = open_npz_folder(write_npz_folder(tmp_path, ood_train=None, ood_test=None))
    assert list(folder.ids) == ["visible-0", "visible-1", "visible-2"]


@pytest.mark.parametrize("state", [(2 * 9 * 9,), (2, 81), (2, 9, 9)])
def test_fields_are_flattened_channel_by_channel(state: tuple[int, ...], tmp_path: Path) -> None:
    write_npz_folder(tmp_path, state)
    found = read(tmp_path, "visible-1", grid=(9, 9))
    assert found.values.shape == (9, 6, 2, 9, 9)
    np.testing.assert_allclose(found.values[:4].reshape(4, 6, -1), states("train", (162,))[1], rtol=1e-6)


def test_channels_may_come_last() -> None:
    fields = np.arange(3 * 9 * 10 * 2.0).reshape(3, 9, 10, 2)
    shaped = shape_state(fields, 1, 2, (9, 10))
    assert shaped is not None
    np.testing.assert_array_equal(shaped, fields.transpose(0, 3, 1, 2))
    assert shape_state(fields, 1, 2, (10, 9)) is None


@pytest.mark.parametrize(
    ("state", "channels", "grid"),
    [
        ((2,), 2, (1, 1)),
        ((7,), 7, (1, 1)),
        ((49,), 49, (1, 1)),  # 7 x 7 is too small for a field
        ((64,), 1, (8, 8)),
        ((128,), 2, (8, 8)),
        ((192,), 192, (1, 1)),
        ((1024,), 1, (32, 32)),
        ((2048,), 2, (32, 32)),
        ((2, 1024), 2, (32, 32)),
        ((24, 32), 1, (24, 32)),
        ((3, 24, 32), 3, (24, 32)),
        ((1, 32, 32), 1, (32, 32)),
        ((24, 32, 3), 3, (24, 32)),
    ],
)
def test_layouts_that_are_recognised(state: tuple[int, ...], channels: int, grid: tuple[int, int]) -> None:
    assert recognise_layout("X", state) == (channels, grid)
    assert recognise_layout("X", state, channels) == (channels, grid)
    shaped = shape_state(np.zeros((4, *state)), 1, channels, grid)
    assert shaped is not None and shaped.shape == (4, channels, *grid)


def test_the_user_says_otherwise() -> None:
    assert recognise_layout("X", (192,), channels=3) == (3, (8, 8))
    assert recognise_layout("X", (64,), channels=64) == (64, (1, 1))
    assert recognise_layout("X", (64,), grid=(1, 1)) == (64, (1, 1))
    assert recognise_layout("X", (96,), grid=(6, 8)) == (2, (6, 8))
    with refused("X", "(96,)", "6 x 7"):
        recognise_layout("X", (96,), grid=(6, 7))
    with refused("X", "(96,)", "3 x 6 x 8"):
        recognise_layout("X", (96,), channels=3, grid=(6, 8))
    with refused("X", "(96,)", "5 numbers", "--grid"):
        recognise_layout("X", (96,), channels=5)
    with refused("X", "(3, 9, 9)", "2 channels"):
        recognise_layout("X", (3, 9, 9), channels=2)


# --- what is refused


def with_value(name: str, value: float) -> np.ndarray:
    values = states(name)
    values[1, 0, 3, 1] = value
    return values


OBJECTS = np.empty(6, dtype=object)

BAD_FILES: list[tuple[dict[str, Any], tuple[str, ...]]] = [
    ({"train": {"X": None}}, ("train.npz", "found arrays t", "expected X")),
    ({"test": {"t": None}}, ("test.npz", "found arrays X", "t [time]")),
    ({"train": {"t": OBJECTS}}, ("train.npz", "t", "objects", "unpickled")),
    ({"train": {"X": states("train").astype(object)}}, ("train.npz", "X", "objects", "unpickled")),
    ({"train": {"X": states("train").astype(complex)}}, ("train.npz", "X", "complex128", "real numbers")),
    ({"train": {"X": states("train")[0]}}, ("train.npz", "X", "(4, 6, 2)", "[environment, trajectory, time, state]")),
    ({"train": {"X": states("train").reshape(3, 4, 6, 1, 1, 1, 2)}}, ("train.npz", "X", "(3, 4, 6, 1, 1, 1, 2)")),
    ({"train": {"X": states("train")[:, :0]}}, ("train.npz", "X", "(3, 0, 6, 2)")),
    ({"train": {"t": TIME[:5]}}, ("train.npz", "t", "(5,)", "(6,)")),
    ({"train": {"t": TIME[::-1]}}, ("train.npz", "time", "at index 1 behind", "increasing")),
    ({"train": {"t": TIME**2}}, ("train.npz", "t", "found steps between 0.25 and 2.25", "one step")),
    ({"test": {"t": 2 * TIME}}, ("test.npz", "t", "from 0 to 5", "from 0 to 2.5", "train.npz")),
    ({"ood_test": {"X": states("ood_test", frames=5), "t": TIME[:5]}}, ("ood_test.npz", "found 5 times", "expected 6")),
    ({"test": {"X": states("test")[:2]}}, ("test.npz", "found 2 environments", "expected 3", "train.npz")),
    ({"ood_test": {"X": states("ood_test")[:1]}}, ("ood_test.npz", "found 1 environments", "expected 2")),
    ({"ood_train": {"X": states("ood_train", (3,))}}, ("ood_train.npz", "(3,)", "(2,)", "train.npz")),
    ({"test": None}, ("found train.npz, ood_train.npz, ood_test.npz", "expected also test.npz")),
    ({"ood_test": None}, ("found train.npz, test.npz, ood_train.npz", "expected also ood_test.npz", "compared with")),
    ({"ood_train": None}, ("expected also ood_train.npz", "what is shown")),
    (dict.fromkeys(SHAPES), ("found none of train.npz", "expected also train.npz", "test.npz")),
]


@pytest.mark.parametrize(("changed", "words"), BAD_FILES)
def test_files_that_do_not_fit(changed: dict[str, Any], words: tuple[str, ...], tmp_path: Path) -> None:
    write_npz_folder(tmp_path, **changed)
    with refused(tmp_path, *words):
        open_npz_folder(tmp_path)


def test_no_folder(tmp_path: Path) -> None:
    with refused("nowhere", "no such folder", "train.npz"):
        open_npz_folder(tmp_path / "nowhere")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite(value: float, tmp_path: Path) -> None:
    write_npz_folder(tmp_path, train={"X": with_value("train", value)})
    assert read(tmp_path, "visible-0").values.shape == (9, 6, 2, 1, 1)
    found = "NaN" if np.isnan(value) else "Inf"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with refused("train.npz", "environment 1", f"found {found}", "trajectory 0", "time 3", "channel x1"):
            read(tmp_path, "visible-1")


def test_too_few(tmp_path: Path) -> None:
    write_npz_folder(tmp_path)
    with refused("train.npz", "X", "found 4 trajectories", "expected 6"):
        read(tmp_path, "visible-0", trajectories=11)
    with refused("ood_test.npz", "found 5 trajectories", "expected 6"):
        read(tmp_path, "adapt-0", trajectories=7, test_trajectories=6)
    with refused("train.npz", "found 6 frames", "expected 7"):
        read(tmp_path, "visible-0", minimum_frames=7)
    with refused("train.npz", "(2,)", "expected 1 x 3 x 3"):
        read(tmp_path, "visible-0", channels=("x0",), grid=(3, 3))


def test_damaged_archives(tmp_path: Path) -> None:
    write_npz_folder(tmp_path)
    whole = (tmp_path / "train.npz").read_bytes()
    (tmp_path / "train.npz").write_bytes(whole[: len(whole) // 2])
    with refused("train.npz", "cannot be read", ".npz"):
        open_npz_folder(tmp_path)
    inside = bytearray(whole)
    inside[400] ^= 255  # a number: the archive's checksum knows
    (tmp_path / "train.npz").write_bytes(inside)
    with refused("train.npz", "cannot be read"):
        read_archive(tmp_path / "train.npz")
    with refused("nowhere.npz", "no such file"):
        read_head(tmp_path / "nowhere.npz")


def test_rows_and_environments_that_disagree(tmp_path: Path) -> None:
    write_npz_folder(tmp_path)
    rows = list(open_npz_folder(tmp_path).table(tmp_path / "t.csv"))
    further = Environment("visible-3", {}, "visible")
    fewer = EnvironmentTable(tuple(rows[1:]), (), tmp_path / "t.csv")
    assert list(find_source_files(tmp_path, fewer, "npz")) == [row.id for row in rows[1:]]
    assert data_without_row(tmp_path, fewer, "npz") == ["visible-0"]
    with refused(tmp_path, "no data for visible-3"):
        find_source_files(tmp_path, EnvironmentTable((*rows, further), (), tmp_path / "t.csv"), "npz")
    for id in ("visible-01", "visible", "adapt--1", "seen-0"):
        with refused(id, "visible-<index>"):
            environment_index(id)


@pytest.mark.parametrize(
    ("id", "beta", "delta"), [("visible-1", 0.75, 0.5), ("visible-6", 0.5, 1.0), ("adapt-2", 1.125, 0.625)]
)
def test_the_published_files_of_coda(id: str, beta: float, delta: float) -> None:
    """The trajectories of an environment solve its own equations, within the error of the solver that made them."""
    if not CODA.is_dir():
        pytest.skip(f"{CODA} is not there: published files are not part of the repository; CODA_LOTKA says where")
    folder = open_npz_folder(CODA)
    assert len(folder.ids) == 13 and folder.visible[0].frame_step == 0.5
    found = read(CODA, id, trajectories=3, test_trajectories=2)
    for orbit in found.values[..., 0, 0].astype(np.float64):
        solved = solve_ivp(
            lambda _, state: state * [0.5 - beta * state[1], delta * state[0] - 0.5],
            (0.0, found.time[-1]),
            orbit[0],
            t_eval=found.time,
            rtol=1e-9,
            atol=1e-9,
        )
        assert np.square(solved.y.T - orbit).mean() < 1e-4
