"""Records that share no calendar, and are each cut in their own time."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import refused, run
from record_files import write

from weightcast.core.environment_table import read_environments
from weightcast.environments.config.load import load_study
from weightcast.environments.table_trajectories import TableTrajectories
from weightcast.records.read import read_records
from weightcast.records.settings import RecordSettings
from weightcast.records.windows import parts_of_places, training_values

PATIENTS = 14
LENGTHS = [60 + 7 * number for number in range(PATIENTS)]
OPTIONS = ("--environment", "patient", "--state", "x", "--history", "1")
OWN = RecordSettings(environment="patient", time=["date"], parts="own", gap=4)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def value(patient: int, step: int) -> float:
    return round(37 + 0.05 * patient + np.sin(0.4 * step + patient), 3)


def table(path: Path, time: str) -> Path:
    """Rows of patients who come every 150 days and at another minute each (`dates`), or who all begin at 0."""
    lines = ["patient,date,x"]
    for patient, length in enumerate(LENGTHS):
        begin = pd.Timestamp("2015-01-01") + pd.Timedelta(days=150 * patient, minutes=13 * patient)
        for step in range(length):
            when = f"{begin + pd.Timedelta(hours=step):%Y-%m-%d %H:%M}" if time == "dates" else step
            lines.append(f"p{patient},{when},{value(patient, step)}")
    return write(path, lines)


def init(*options: str) -> list[str]:
    return ["init", "--kind", "environments", "--data", "icu.csv", *OPTIONS, *options, "-o", "my.yaml"]


@pytest.mark.parametrize("time", ["dates", "numbers"])
def test_each_record_is_cut_in_its_own_time(time: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(folder / "icu.csv", time)
    shown, errors = run(capsys, *init())
    assert errors == "" and "each record is cut in its own time, so that 14 of 14 places are used" in shown
    assert len(read_environments(Path("my-environments.csv"))) == PATIENTS
    study = load_study("my.yaml")
    assert study.data.settings["parts"] == "own" and "test_from" not in study.data.settings
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "my.yaml is in order" in shown and errors == ""


def test_parts_lie_in_the_order_of_time_with_the_gap_between(tmp_path: Path) -> None:
    records = read_records([table(tmp_path / "icu.csv", "dates")], OWN, ["x"])
    parts = parts_of_places(records, OWN, 9, "config")
    for length, (train, validation, test) in zip(LENGTHS, parts, strict=True):
        assert train[0] == 0 and validation[0] - train[1] == test[0] - validation[1] == 4 and test[1] == length
        assert test[1] - test[0] == max(9, round(0.2 * length))
        assert validation[1] - validation[0] == max(9, round(0.1 * length))
    trained = training_values(records, parts)
    assert trained.shape[1] == max(part.train[1] for part in parts)
    for place, part in enumerate(parts):
        np.testing.assert_array_equal(np.isfinite(trained[place, :, 0]), np.arange(trained.shape[1]) < part.train[1])
    (short,) = parts_of_places(records, OWN, 40, "config")[:1]  # 60 steps hold no three windows of 40
    assert all(begin <= end for begin, end in short) and short.train == (0, 0)


def test_windows_hold_what_the_record_says_and_the_calendar_its_own_hours(tmp_path: Path) -> None:
    path = table(tmp_path / "icu.csv", "dates")
    cuts = TableTrajectories([path], OWN, ["x"], "config", ["hour"]).trajectories("p3", 9, (4, 1, 1))
    first, last = cuts.values[0, :, :, 0, 0], cuts.values[-1, :, :, 0, 0]
    begin = LENGTHS[3] - round(0.2 * LENGTHS[3])
    np.testing.assert_allclose(first[:, 0], [value(3, step) for step in range(9)], rtol=1e-6)
    np.testing.assert_allclose(last[:, 0], [value(3, step) for step in range(begin, begin + 9)], rtol=1e-6)
    angle = 2 * np.pi * (39 / 60 + np.arange(9)) / 24  # admitted at 00:39
    np.testing.assert_allclose(first[:, 1:], np.stack([np.sin(angle), np.cos(angle)], 1), atol=1e-6)


def test_steps_count_from_the_first_value(tmp_path: Path) -> None:
    lines = ["patient,date,x", *(f"a,{step},{'' if step < 3 else step}" for step in range(20))]
    records = read_records([write(tmp_path / "t.csv", [*lines, *(f"b,{s},1" for s in range(5, 12))])], OWN, ["x"])
    assert records.values[0, :, 0].tolist() == list(range(3, 20)) and records.spans.tolist() == [[0, 17], [0, 7]]
    assert (records.label(0, 0), records.label(1, 1)) == ("3", "6")


def test_a_calendar_stays_where_it_keeps_most_places(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """One record that ends early is left out, as ever: the others share their time."""
    lines = ["patient,date,x"]
    for patient in range(8):
        lines += [f"p{patient},{step},{value(patient, step)}" for step in range(70 if patient == 5 else 200)]
    write(folder / "icu.csv", lines)
    shown, _ = run(capsys, *init())
    assert "left out is p5" in shown and "own time" not in shown
    assert "parts" not in load_study("my.yaml").data.settings
    Path("my-environments.csv").unlink()
    shown, _ = run(capsys, *init("--parts", "own", "--force"))
    assert "8 places, 70 to 200 steps" in shown and load_study("my.yaml").data.settings["parts"] == "own"


def test_parts_that_are_asked_for(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table(folder / "icu.csv", "dates")
    refused(capsys, *init("--parts", "calendar"), words=("icu.csv",), output=Path("my.yaml"))
    words = ("--test-from: found 2016-01-01 beside --parts own",)
    refused(capsys, *init("--parts", "own", "--test-from", "2016-01-01"), words=words, output=Path("my.yaml"))


def test_a_column_that_is_called_as_a_dimension_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """x is what somebody measures, and a side of fields in the files that the pipeline writes."""
    table(folder / "icu.csv", "numbers")
    run(capsys, *init())
    data = load_study("my.yaml").data
    assert (data.channels, data.settings["columns"]) == (["x_value"], ["x"])
    text = Path("my.yaml").read_text(encoding="utf-8")
    Path("other.yaml").write_text(text.replace("channels: [x_value]", "channels: [x]"), encoding="utf-8")
    refused(capsys, "check", "--config", "other.yaml", words=("data.channels: found x, expected other names than",))
