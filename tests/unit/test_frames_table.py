"""Tables of one place's record: read by ``generate --frames`` and ``forecast --initial``, written by ``forecast``."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
from command_line import refused, run
from refusals import refused as refused_by

from weightcast.core.config.predictor import PredictorSettings
from weightcast.core.nets.build import build_predictor, describe_architecture
from weightcast.core.nets.input_layout import InputLayout
from weightcast.environments.commands.frames_table import FileReading, is_frames_table, labels_of
from weightcast.environments.commands.known_inputs import KnownInputs, inputs_ahead, inputs_beside
from weightcast.environments.commands.observed_frames import ObservedFrames, read_observed_frames
from weightcast.environments.config.data import DataSettings
from weightcast.environments.model import save_models
from weightcast.environments.predictor import StackedPredictor
from weightcast.records.settings import RecordSettings

HOURS = pd.date_range("2021-03-01T18:00", periods=9, freq="h")
LAYOUT = InputLayout(("rain", "hour_sin", "hour_cos"), ahead=(0,), calendar=(1, 2))


def write(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def frames_of(path: Path, channels: list[str], reading: FileReading | None = None, **more: Any) -> ObservedFrames:
    return read_observed_frames(path, channels, [1, 1], reading=reading, **({"masked": True} | more))


def record(path: Path, seen: int = 6) -> Path:
    """Nine hours of rain, of which a level is known in the first so many."""
    level = np.where(np.arange(9) < seen, 2.0 + np.sin(np.arange(9.0)), np.nan)
    pd.DataFrame({"datetime": HOURS, "level": level, "rain": np.arange(9.0)}).to_csv(path, index=False)
    return path


# --- reading


def test_a_record_is_a_trajectory(tmp_path: Path) -> None:
    found = frames_of(record(tmp_path / "new.csv"), ["level"])
    assert found.values.shape == (1, 6, 1, 1, 1)  # as far as the last row with a value
    np.testing.assert_allclose(found.values.ravel(), 2.0 + np.sin(np.arange(6.0)), rtol=1e-6)
    np.testing.assert_allclose(found.time, np.arange(6.0))
    assert found.attributes["time"]["units"] == "hours since 2021-03-01T18:00:00"
    assert found.frame_step == pytest.approx(1.0)


def test_rows_that_are_missing_or_in_another_order(tmp_path: Path) -> None:
    file = write(tmp_path / "new.csv", "day,u,v\n2021-01-05,5,50\n2021-01-01,1,\n2021-01-02,2,20\n2021-01-03,3,30\n")
    found = frames_of(file, ["v", "u"], FileReading(RecordSettings(time=["day"])))
    np.testing.assert_array_equal(found.values[0, :, 1, 0, 0], [1, 2, 3, np.nan, 5])
    np.testing.assert_array_equal(found.values[0, :, 0, 0, 0], [np.nan, 20, 30, np.nan, 50])
    np.testing.assert_allclose(found.time, np.arange(5.0))


def test_a_table_is_read_as_that_of_the_study(tmp_path: Path) -> None:
    data = {
        "files": ["air.csv"],
        "channels": ["dust"],
        "inputs": {"wind": "horizon"},
        "grid": (1, 1),
        "source": "table",
    }
    data |= {"frames": 9, "trained_frames": 5, "trajectories": {"train": 1, "validation": 1, "test": 1}}
    said = {"time": ["when"], "decimal": ",", "separator": ";", "environment": "station", "missing": ["-99"]}
    settings = DataSettings.model_validate(data | {"settings": said | {"columns": ["PM", "WSPM"]}})
    reading = FileReading.from_metadata({"table": FileReading.of(settings).metadata()})
    text = "station;when;PM (ug/m3);WSPM\nA;2021-01-01;1,5;0,5\nA;2021-01-02;-99;0,25\nA;2021-01-03;3,5;1\n"
    file = write(tmp_path / "new.csv", text)
    found = frames_of(file, ["dust"], reading)
    np.testing.assert_array_equal(found.values.ravel(), [1.5, np.nan, 3.5])
    assert found.attributes["dust"]["units"] == "ug/m3"
    known = inputs_beside(file, InputLayout(("wind",), ahead=(0,)), (1, 3, 1, 1), reading)
    np.testing.assert_array_equal(known.ravel(), [0.5, 0.25, 1.0])


def test_a_wide_table_of_the_study_says_nothing_of_columns() -> None:
    data = {"files": ["flu.txt"], "channels": ["cases"], "grid": (1, 1), "source": "table", "frames": 9}
    data |= {"trained_frames": 5, "trajectories": {"train": 1, "validation": 1, "test": 1}}
    reading = FileReading.of(DataSettings.model_validate(data | {"settings": {"layout": "wide", "time": ["week"]}}))
    assert reading.columns == {}
    assert reading.settings.time == ["week"]


def test_months_count_from_the_year_0(tmp_path: Path) -> None:
    file = write(tmp_path / "new.csv", "date,u\n2020-11-01,1\n2020-12-01,2\n2021-01-01,3\n2021-02-01,4\n")
    found = frames_of(file, ["u"])
    assert found.frame_step == 1.0
    assert found.attributes["time"]["units"] == "months"
    time = xr.DataArray(found.time, dims="time", attrs={"units": "months"})
    assert labels_of(time) == ["2020-11", "2020-12", "2021-01", "2021-02"]
    known = KnownInputs.read(file, InputLayout(("season_sin", "season_cos"), calendar=(0, 1)))
    turns = np.arctan2(known.columns["season_sin"], known.columns["season_cos"]).ravel() / (2 * np.pi) % 1
    np.testing.assert_allclose(turns, [10 / 12, 11 / 12, 0, 1 / 12], atol=1e-6)


def test_a_single_row(tmp_path: Path) -> None:
    found = frames_of(write(tmp_path / "new.csv", "t,u\n3.5,7\n"), ["u"], masked=False)
    assert (found.values.ravel().tolist(), found.time.tolist(), found.frame_step) == ([7.0], [3.5], None)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t,v\n0,1\n1,2\n", ("channel u", "found the columns", "expected u")),
        ("0,1\n1,2\n", ("found no header", "u")),
        ("u,v\n1,2\n2,3\n", ("found no column of times", "u")),
        ("t,u\n0,1\n1,x\n", ("row 3", "u", "'x'")),
        ("t,u\n0,1\n1,2\n2.4,3\n3.4,1\n", ("row 4", "of a step")),
    ],
)
def test_what_cannot_be_used(text: str, words: tuple[str, ...], tmp_path: Path) -> None:
    file = write(tmp_path / "new.csv", text)
    with refused_by("new.csv", *words):
        frames_of(file, ["u"])


def test_one_place_alone(tmp_path: Path) -> None:
    file = write(tmp_path / "new.csv", "station,t,u\nA,0,1\nA,1,2\nB,0,1\nB,1,2\n")
    with refused_by("new.csv", "column station", "2 places", "A, B", "expected one"):
        frames_of(file, ["u"], FileReading(RecordSettings(environment="station")))
    with refused_by("again", "expected one row"):  # nobody said that there are places
        frames_of(write(tmp_path / "again.csv", "station,t,u\nA,0,1\nA,1,2\nB,0,3\nB,1,2\n"), ["u"])
    with refused_by("new.xlsx", "spreadsheet", "CSV"):
        is_frames_table(tmp_path / "new.xlsx")


# --- inputs


def test_inputs_go_on_behind_the_last_frame(tmp_path: Path) -> None:
    known = KnownInputs.read(record(tmp_path / "new.csv"), LAYOUT)
    assert known.frames == 9
    np.testing.assert_array_equal(known.columns["rain"].ravel(), np.arange(9.0))
    turns = np.arctan2(known.columns["hour_sin"], known.columns["hour_cos"]).ravel() / (2 * np.pi) % 1
    np.testing.assert_allclose(turns, (18 + np.arange(9)) % 24 / 24, atol=1e-6)
    assert inputs_beside(tmp_path / "new.csv", LAYOUT, (1, 6, 1, 1)).shape == (1, 6, 3, 1, 1)


def test_the_calendar_goes_on_behind_a_table_by_itself(tmp_path: Path) -> None:
    file = write(tmp_path / "new.csv", "datetime,u\n2021-03-01 22:00,1\n2021-03-01 23:00,2\n2021-03-02 00:00,3\n")
    layout = InputLayout(("hour_sin", "hour_cos"), calendar=(0, 1))
    known = KnownInputs.read(file, layout, ahead=4)
    found = inputs_ahead([known], [2], layout, 4, (1, 1))
    turns = np.arctan2(found[0, :, 0, 0, 0], found[0, :, 1, 0, 0]) / (2 * np.pi) % 1
    np.testing.assert_allclose(turns, np.arange(4) / 24, atol=1e-6)
    with refused_by("new.csv", "hour_sin", "1 frames"):
        inputs_ahead([KnownInputs.read(file, layout)], [2], layout, 4, (1, 1))


def test_a_frame_is_found_by_its_date_whatever_times_count_from(tmp_path: Path) -> None:
    known = KnownInputs.read(record(tmp_path / "new.csv"), LAYOUT)
    assert known.frame_at(5.0, "hours since 2021-03-01T18:00:00") == 5
    assert known.frame_at(1.0 / 24, "days since 2021-03-01T18:00:00") == 1
    assert known.frame_at(-1.0, "hours since 2021-03-01T22:00:00") == 3
    assert known.frame_at(20.0, "hours since 2021-03-01T18:00:00") is None
    assert known.frame_at(None, None) is None
    numbers = KnownInputs.read(write(tmp_path / "numbers.csv", "t,rain\n400000,1\n400001,2\n400002,3\n"), LAYOUT)
    assert [numbers.frame_at(time, None) for time in (400001.0, 400002.0, 400003.0)] == [1, 2, None]


# --- forecast


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """An ensemble of three networks of one channel, that are shown rain and the hour."""
    settings = PredictorSettings.model_validate({"kind": "mlp", "width": 4, "depth": 1})
    architecture = describe_architecture(settings, 1, LAYOUT)
    predictor = StackedPredictor(build_predictor(architecture))
    own = predictor.graph.read(predictor.module)
    shared = {"architecture": architecture, "normalisation": {"mean": [2.0, 4, 4, 0, 0], "scale": [1.0, 2, 2, 1, 1]}}
    described = {
        "channels": ["level"],
        "grid": [1, 1],
        "frame_step": 1.0,
        "units": {"time": "hours"},
        "environment": {},
    }
    weights = own * torch.tensor([[1.0], [0.9], [0.8]])
    save_models(tmp_path / "model.safetensors", weights, shared, described, torch.tensor([0.5, 0.3, 0.2]))
    return tmp_path / "model.safetensors"


def test_a_forecast_from_a_table_is_that_from_netcdf(
    model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = record(tmp_path / "new.csv")
    table = pd.read_csv(file)
    hours = ("time", np.arange(9.0), {"units": "hours since 2021-03-01T18:00:00"})
    columns = {name: ("time", table[name].to_numpy()) for name in ("level", "rain")}
    angle = 2 * np.pi * ((18 + np.arange(9)) % 24) / 24
    columns |= {"hour_sin": ("time", np.sin(angle)), "hour_cos": ("time", np.cos(angle))}
    whole = xr.Dataset(columns, {"time": hours})
    whole.isel(time=slice(0, 6)).to_netcdf(tmp_path / "new.nc")
    whole.drop_vars("level").to_netcdf(tmp_path / "ahead.nc")
    asked = ("--steps", 3, "-o")
    start = ("--initial", tmp_path / "new.nc", "--inputs", tmp_path / "ahead.nc")
    run(capsys, "forecast", model, *start, *asked, tmp_path / "from-netcdf.nc")
    shown, errors = run(capsys, "forecast", model, "--initial", file, *asked, tmp_path / "forecast.csv")
    assert errors == ""
    assert "mean and quantiles of level, 3 times" in shown
    expected, found = xr.load_dataset(tmp_path / "from-netcdf.nc"), pd.read_csv(tmp_path / "forecast.csv")
    assert list(found.columns) == ["time", "level_mean", *(f"level_q{level:02d}" for level in (5, 25, 50, 75, 95))]
    assert list(found["time"]) == ["2021-03-02T00:00:00", "2021-03-02T01:00:00", "2021-03-02T02:00:00"]
    np.testing.assert_allclose(found["level_mean"], expected["level_mean"].to_numpy().ravel(), rtol=1e-5)
    np.testing.assert_allclose(found["level_q95"], expected["level_quantile"][-1].to_numpy().ravel(), rtol=1e-5)
    # And from an earlier frame, with inputs of a table of their own, which begins elsewhere.
    table.iloc[3:][["datetime", "rain"]].to_csv(tmp_path / "ahead.csv", index=False)
    again = ("--initial", file, "--frame", 3, "--inputs", tmp_path / "ahead.csv")
    run(capsys, "forecast", model, *again, *asked, tmp_path / "again.csv")
    run(capsys, "forecast", model, *start, "--frame", 3, *asked, tmp_path / "again.nc")
    np.testing.assert_allclose(
        pd.read_csv(tmp_path / "again.csv")["level_mean"],
        xr.load_dataset(tmp_path / "again.nc")["level_mean"].to_numpy().ravel(),
        rtol=1e-5,
    )


def test_inputs_that_do_not_reach_as_far(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("forecast", model, "--initial", record(tmp_path / "new.csv"), "--steps", 4, "-o", tmp_path / "out.csv")
    refused(capsys, *asked, words=("new.csv", "rain", "4 frames"), output=tmp_path / "out.csv")


def test_tables_that_are_not_written(model: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    asked = ("forecast", model, "--initial", record(tmp_path / "new.csv"), "--steps", 2, "-o")
    refused(capsys, *asked, tmp_path / "out.json", words=("out.json", ".csv", ".nc"), output=tmp_path / "out.json")
