"""Numbers that stand for missing values in folders of files, as somebody says: from ``init`` to new frames."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from command_line import refused, run
from tiny_study import CHANNELS, GRID, ROWS, write_table

from weightcast.core.errors import InputError
from weightcast.core.run import Run
from weightcast.environments.commands.frames_table import FileReading
from weightcast.environments.commands.observed_frames import read_observed_frames
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.load import load_study
from weightcast.environments.jobs import ImportTrajectories
from weightcast.environments.stages.import_trajectories import UserFiles, import_trajectories
from weightcast.trajectories import read_imported, read_npy_environment, read_trajectories
from weightcast.trajectories.stated_marks import marks_there, without_marks

MARK, FRAMES = -12.5, 9
"""No number that usually is a mark, nor far from the others: nobody could tell."""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write_table(tmp_path / "table.csv")
    return tmp_path


def values(seed: int, mark: float | None = MARK) -> np.ndarray:
    """Of channels [channel, trajectory, frame, y, x], with a mark in the third frame of the second trajectory."""
    found = np.random.default_rng(seed).normal(0.0, 10.0, (2, 3, FRAMES, *GRID)).astype(np.float32)
    if mark is not None:
        found[0, 1, 3, 2, 1] = mark
    return found


def write_netcdf(path: Path, seed: int, mark: float | None = MARK) -> None:
    dims = ("trajectory", "time", "y", "x")
    path.parent.mkdir(exist_ok=True)
    fields = zip(CHANNELS, values(seed, mark), strict=True)
    xr.Dataset({name: (dims, own) for name, own in fields}).to_netcdf(path)


def write_npy(path: Path, seed: int, mark: float | None = MARK) -> None:
    path.mkdir(parents=True)
    for number, own in enumerate(values(seed, mark).transpose(1, 2, 0, 4, 3)):
        np.save(path / f"{number}.npy", own)


def arguments(*options: str) -> list[str]:
    told = ["--kind", "environments", "--data", "mine", "--table", "table.csv", "--name", "marked", "-o", "my.yaml"]
    return ["init", *told, *options]


def test_marks_are_compared_as_they_are_stored() -> None:
    one = np.array([1.0, -999.9, 3.0], np.float32)
    np.testing.assert_array_equal(without_marks(one, [-999.9, 7.0]), np.array([1.0, np.nan, 3.0], np.float32))
    assert without_marks(one, [7.0]) is one and without_marks(one, []) is one and without_marks(one, None) is one
    assert marks_there(one.astype(np.float64), [-999.9, 7.0]) == {-999.9}


@pytest.mark.parametrize("format", ["netcdf", "npy"])
def test_from_init_to_the_trajectories_of_the_study(
    format: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for number, (id, *_) in enumerate(ROWS):
        path = folder / "mine" / (f"{id}.nc" if format == "netcdf" else id)
        (write_netcdf if format == "netcdf" else write_npy)(path, number, MARK if id == "middle" else None)
    shown, errors = run(capsys, *arguments("--missing", str(MARK), "-777"))
    assert "no file has the value -777, which --missing names" in shown and errors == ""
    assert f"{MARK:g}, which" not in shown and "most in middle 0.0 %" in shown
    data = load_study("my.yaml").data
    assert data.missing == [MARK, -777.0] and data.gaps is not None
    shown, _ = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "my.yaml is in order" in shown
    settings = ImportTrajectories(
        environments=load_table(folder), channels=data.channels, grid=data.grid, frames=FRAMES, trajectories=3,
        frame_step=1.0, gaps=data.gaps, missing=data.missing,
    )  # fmt: skip
    source = [UserFiles(folder / "mine" / (f"{id}.nc" if format == "netcdf" else id)) for id in settings.ids]
    made = import_trajectories(Run(outputs={"output": folder / "made/visible-000.csv"}), settings, source, [])
    found = read_trajectories(folder / "made" / made.made["middle"].file, gaps=True)
    assert int(np.isnan(found.values).sum()) == 1 and np.isnan(found.values[1, 3, 0, 2, 1])


def load_table(folder: Path) -> tuple[dict[str, object], ...]:
    return tuple({"id": id, "role": role, "parameters": {"beta": beta}} for id, role, beta in ROWS if id == "middle")


def test_without_gaps_what_is_a_mark_is_refused_where_it_stands(folder: Path) -> None:
    write_netcdf(folder / "a.nc", 0)
    write_npy(folder / "a", 0)
    where = "found NaN at trajectory 1, time 3, channel u, y 2, x 1"
    with pytest.raises(InputError, match=where):
        read_imported(folder / "a.nc", missing=[MARK])
    with pytest.raises(InputError, match=where):
        read_npy_environment(folder / "a", CHANNELS, missing=[MARK])
    assert (read_imported(folder / "a.nc").values == MARK).sum() == 1  # nobody says so


def test_numbers_that_look_like_marks_are_numbers_where_somebody_says_so(folder: Path) -> None:
    whole = values(0, None)
    whole[0, :, 4, 3, 3] = -9999.0
    dims = ("trajectory", "time", "y", "x")
    xr.Dataset({"u": (dims, whole[0])}).to_netcdf(folder / "a.nc")
    for stated in (None, [MARK]):
        with pytest.raises(
            InputError, match=r"found -9999 at .* \(--missing -9999; --missing none if it is a number\)"
        ):
            read_imported(folder / "a.nc", gaps=True, missing=stated)
    assert (read_imported(folder / "a.nc", missing=[]).values == -9999.0).sum() == 3
    assert np.isnan(read_imported(folder / "a.nc", gaps=True, missing=[-9999.0]).values).sum() == 3


def test_none_and_what_is_no_number(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine").mkdir()
    for number, (id, *_) in enumerate(ROWS):
        write_netcdf(folder / "mine" / f"{id}.nc", number, -9999.0)
        with xr.open_dataset(folder / "mine" / f"{id}.nc") as dataset:
            again = dataset.load()
        again["u"][2, 3, 2, 1] = -9999.0  # a number that is there once may be one
        again.to_netcdf(folder / "mine" / f"{id}.nc")
    refused(capsys, *arguments(), words=("found -9999", "--missing none"))
    refused(capsys, *arguments("--missing", "<5"), words=("--missing: found '<5'", "expected numbers"))
    shown, _ = run(capsys, *arguments("--missing", "none"))
    data = load_study("my.yaml").data
    assert data.missing == [] and data.gaps is None and "--missing" not in shown
    text = Path("my.yaml").read_text(encoding="utf-8").replace("source: netcdf", "source: npz")
    Path("other.yaml").write_text(text, encoding="utf-8")
    refused(capsys, "check", "--config", "other.yaml", words=("data.missing: found it with the source 'npz'",))


def test_frames_of_another_place_have_the_same_marks(folder: Path) -> None:
    write_netcdf(folder / "seen.nc", 0)
    reading = FileReading.from_metadata({"table": FileReading(missing=[MARK]).metadata()})
    found = read_observed_frames(folder / "seen.nc", CHANNELS, GRID, masked=True, reading=reading)
    assert int(np.isnan(found.values).sum()) == 1 and np.isnan(found.values[1, 3, 0, 2, 1])
    with pytest.raises(InputError, match="found NaN at trajectory 1, time 3"):
        read_observed_frames(folder / "seen.nc", CHANNELS, GRID, reading=reading)
    assert FileReading.from_metadata({"table": FileReading().metadata()}).missing is None
    assert FileReading.from_metadata({"table": FileReading(missing=[]).metadata()}).missing == []


def test_studies_without_them_are_told_nothing() -> None:
    counts = {"train": 2, "validation": 1, "test": 2}
    shared = {"channels": ["u"], "grid": (2, 3), "frames": 5, "trained_frames": 3, "trajectories": counts}
    plain = DataSettings(source="netcdf", directory="mine", **shared)
    assert "missing" not in plain.model_dump() and "missing" in plain.model_copy(update={"missing": []}).model_dump()
