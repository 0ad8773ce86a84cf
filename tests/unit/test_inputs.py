"""Known inputs beside the state: from columns and dates to what a step is shown."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import torch
import xarray as xr
import yaml
from command_line import refused, run
from record_files import PLACES, hours, series, wide_lines, write

from weightcast.core.environment_table import read_environments
from weightcast.core.errors import InputError
from weightcast.core.nets.input_layout import InputLayout
from weightcast.environments.commands.source_data import check_source
from weightcast.environments.config.data import DataSettings
from weightcast.environments.config.load import load_study, parse_study
from weightcast.environments.dataset import TrajectoryFolder
from weightcast.environments.inputs import held, shown_inputs
from weightcast.environments.jobs import CutRecords, ImportTrajectories, Plan
from weightcast.environments.plan import trajectory_shards
from weightcast.environments.stages.cut_records import cut_records
from weightcast.environments.stages.import_trajectories import UserFiles, import_trajectories
from weightcast.records.calendar_inputs import calendar_values
from weightcast.records.cell_times import NANOSECONDS, dated_steps
from weightcast.records.settings import RecordSettings
from weightcast.records.step_calendar import DAY, StepCalendar
from weightcast.trajectories import read_trajectories

HOURS = StepCalendar("dates", float(pd.Timestamp("2020-01-01").value), 3600 * NANOSECONDS)
SIX = (*PLACES, "hill", "lake")
SHARD = "visible-000"


def angles(calendar: StepCalendar, name: str, *stamps: str) -> np.ndarray:
    """What the calendar says of times, as an angle in turns."""
    steps = np.array([calendar.index(stamp, "here") for stamp in stamps])
    sines = calendar_values(calendar, [name], steps, "here")
    np.testing.assert_allclose((sines**2).sum(-1), 1.0)
    return np.arctan2(sines[:, 0], sines[:, 1]) / (2 * np.pi) % 1


def test_the_calendar_comes_round_with_days_weeks_and_years() -> None:
    assert angles(HOURS, "hour", "2020-01-01T00:00", "2020-03-05T06:00", "2020-07-01T18:00") == pytest.approx(
        [0, 0.25, 0.75]
    )
    # 2020-01-06 was a Monday.
    assert angles(HOURS, "weekday", "2020-01-06", "2020-01-07", "2020-01-12T12:00") == pytest.approx(
        [0, 1 / 7, 6.5 / 7]
    )
    season = angles(HOURS, "season", "2020-01-01", "2020-07-01", "2021-01-01", "2021-12-31")
    assert season == pytest.approx([0, 182 / 365.2425, 0, 364 / 365.2425])


def test_months_have_seasons() -> None:
    months = StepCalendar("months", 12 * 1999.0 + 11, 1.0)  # from December 1999 on
    values = calendar_values(months, ["season"], np.arange(14), "here")
    np.testing.assert_allclose(values[1], [0, 1], atol=1e-12)
    np.testing.assert_allclose(values[0], values[12], atol=1e-12)


@pytest.mark.parametrize(
    ("calendar", "name", "words"),
    [
        (StepCalendar("numbers", 0.0, 1.0), "hour", ("times that are numbers", "expected dates")),
        (StepCalendar("dates", 0.0, DAY), "hour", ("hour and steps of 1 day", "shorter")),
        (StepCalendar("dates", 0.0, 7 * DAY), "weekday", ("steps of 1 week", "shorter")),
        (StepCalendar("months", 0.0, 12.0), "season", ("steps of 1 year", "shorter")),
    ],
)
def test_what_never_changes_is_refused(calendar: StepCalendar, name: str, words: tuple[str, ...]) -> None:
    with pytest.raises(InputError) as caught:
        calendar_values(calendar, [name], np.zeros(1, np.int64), "file")
    for word in ("file", *words):
        assert word in str(caught.value)


def test_a_step_is_shown_both_of_its_ends_but_not_what_nobody_knows() -> None:
    layout = InputLayout(("rain", "humidity", "height"), ahead=(0,), calendar=(2,), past=(1,))
    columns = torch.arange(12.0).view(1, 4, 3, 1, 1)  # [trajectory, frame, column, y, x]
    shown = shown_inputs(columns, layout)[0, :, :, 0, 0]
    assert shown.tolist() == [[0, 3, 2, 1], [3, 6, 5, 4], [6, 9, 8, 7], [9, 9, 11, 10]]
    assert (layout.shown, layout.held) == (4, 1)
    assert layout.names() == ["rain", "rain (next)", "height", "humidity"]
    assert InputLayout.from_description(layout.describe()) == layout
    assert [layout.needed(5), InputLayout(("hour",), calendar=(0,)).needed(5), InputLayout().needed(5)] == [6, 5, 1]
    # A forecast from the first frame: humidity stays as it was there.
    assert held(shown[None, :, :, None, None], layout)[0, :, :, 0, 0].tolist() == [
        [0, 3, 2, 1], [3, 6, 5, 1], [6, 9, 8, 1], [9, 9, 11, 1]
    ]  # fmt: skip


def table_lines() -> list[str]:
    """Ozone, a temperature that is 100 times as much and 3 hours ahead, a height that differs by place."""
    lines = ["station,datetime,ozone,T (degC),height"]
    for number, place in enumerate(SIX):
        values = series(number, 303)
        lines += [
            f"{place},{time},{values[step]},{100 * values[step + 3]:.6g},{10 * number}"
            for step, time in enumerate(hours(300))
        ]
    return lines


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "air.csv", table_lines())
    return tmp_path


INIT = ("init", "--kind", "environments", "--data", "air.csv", "--environment", "station", "--state", "ozone")


def test_a_table_with_inputs_from_init_to_what_predictors_take(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ("--past-inputs", "T", "--constants", "height", "--calendar", "hour", "--history", "1", "-o", "my.yaml")
    shown, _ = run(capsys, *INIT, *options)
    assert "inputs T (degC), known in the past alone, height (unit unknown), constant in a place" in shown
    study = load_study("my.yaml")
    data = study.data
    assert (data.channels, data.inputs, data.calendar) == (["ozone"], {"T": "past", "height": "constant"}, ["hour"])
    assert data.settings["columns"] == ["ozone", "T (degC)", "height"]
    assert study.context is not None and study.context.equations is None and study.baselines.equations is None
    plan = Plan(study, read_environments(Path("my-environments.csv")))
    assert check_source(study, plan.table, "my.yaml") == []

    shard, ids = next(iter(trajectory_shards(study, plan.table).items()))
    output = folder / "trajectories" / f"{shard}.csv"

    output.parent.mkdir()
    cut_records.function(
        SimpleNamespace(outputs={"output": output}), CutRecords.of(plan, shard), [Path("air.csv")]
    ).save(output)
    read = TrajectoryFolder(output.parent)
    state = read.read(ids, data, "train", 5)
    columns = read.read_inputs(ids, data, "train", 8)
    frames = read.read(ids, data, "train", 5, inputs=True)
    assert columns.shape[2:4] == (8, 4) and data.input_columns == ["T", "height", "hour_sin", "hour_cos"]
    torch.testing.assert_close(columns[:, :, :2, 0], 100 * read.read(ids, data, "train", 5)[:, :, 3:, 0])
    numbers = torch.tensor([10.0 * SIX.index(id) for id in ids])
    assert (columns[:, :, :, 1, 0, 0] == numbers[:, None, None]).all()
    torch.testing.assert_close(frames[:, :, :, :1], state)
    torch.testing.assert_close(frames[:, :, :, 1:, 0, 0], columns[:, :, :5, [1, 2, 3, 0], 0, 0])
    # Windows of the first trajectory begin with the table, at midnight.
    torch.testing.assert_close(
        columns[0, 0, :, 3, 0, 0], torch.cos(2 * torch.pi * torch.arange(8) / 24), rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize(
    ("options", "words"),
    [
        (("--inputs", "T", "--past-inputs", "T"), ("--past-inputs", "found T beside another use")),
        (("--inputs", "ozone"), ("--inputs", "found ozone beside another use")),
        (("--inputs", "station"), ("column station", "--inputs beside another use")),
        (("--inputs", "wind"), ("air.csv", "wind", "--inputs")),
        (("--constants", "T"), ("air.csv", "T", "said to be constant")),
    ],
)
def test_inputs_that_are_none_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str], options: tuple[str, ...], words: tuple[str, ...]
) -> None:
    refused(capsys, *INIT, *options, "-o", "my.yaml", words=words, output=Path("my.yaml"))


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        ({"data": {"inputs": {"ozone": "past"}}}, ("data.inputs", "found 'ozone'", "another name")),
        ({"data": {"inputs": {"hour_sin": "past"}}}, ("data.inputs", "found 'hour_sin'", "another name")),
        ({"data": {"inputs": {"T": "tomorrow"}}}, ("data.inputs.T", "found 'tomorrow'")),
        ({"context": {"equations": {"degree": 2}}}, ("context.equations", "data.inputs", "state alone")),
        ({"explain": {"degree": 2}}, ("explain.equations", "data.inputs")),
        ({"data": {"source": "npz", "directory": "there", "files": []}}, ("data.inputs", "'npz'", "table or netcdf")),
        ({"zoo": {"bases": ["erm", "context"]}}, ("zoo.bases", "context", "data.inputs", "erm or conditioned")),
    ],
)
def test_a_study_refuses_what_cannot_be_driven(folder, capsys, edit: dict, words: tuple[str, ...]) -> None:
    run(capsys, *INIT, "--inputs", "T", "--calendar", "hour", "-o", "my.yaml")
    config = yaml.safe_load(Path("my.yaml").read_text())
    for section, keys in edit.items():
        config[section] = (config.get(section) or {}) | keys
    with pytest.raises(InputError) as caught:
        parse_study(config, "my.yaml")
    for word in ("my.yaml", *words):
        assert word in str(caught.value)


def test_inputs_of_fields_may_lack_dimensions(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    field = random.normal(size=(2, 5, 3, 4)).astype("float32")  # [trajectory, time, y, x]
    mask, control, height = random.normal(size=(3, 4)), random.normal(size=(5, 2)), 7.0
    xr.Dataset(
        {
            "h": (("trajectory", "time", "y", "x"), field),
            "mask": (("y", "x"), mask),
            "control": (("time", "trajectory"), control),
            "height": ((), height),
        }
    ).to_netcdf(tmp_path / "a.nc")
    found = read_trajectories(tmp_path / "a.nc", inputs=["mask", "control", "height"])
    assert found.channels == ("h", "mask", "control", "height")
    np.testing.assert_array_equal(found.values[:, :, 0], field)
    np.testing.assert_allclose(found.values[:, :, 1], np.broadcast_to(mask, field.shape), rtol=1e-6)
    np.testing.assert_allclose(
        found.values[:, :, 2], np.broadcast_to(control.T[:, :, None, None], field.shape), rtol=1e-6
    )
    assert (found.values[:, :, 3] == height).all()
    with pytest.raises(InputError, match="channel mask: found dimensions"):
        read_trajectories(tmp_path / "a.nc", channels=["mask"])


def test_without_inputs_there_are_no_columns(tmp_path: Path) -> None:
    data = DataSettings(
        source="netcdf", directory="d", channels=["h"], grid=(3, 4), frames=5, trained_frames=3,
        trajectories={"train": 1, "validation": 0, "test": 1},
    )  # fmt: skip
    field = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype("float32")
    xr.Dataset({"h": (("trajectory", "time", "y", "x"), field)}).to_netcdf(tmp_path / "a.nc")
    folder = TrajectoryFolder(tmp_path)
    assert folder.read_inputs(["a"], data, "train").shape == (1, 1, 5, 0, 3, 4)
    assert folder.read(["a"], data, "test", inputs=True).equal(folder.read(["a"], data, "test"))


def test_files_of_environments_with_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for number, id in enumerate(("a", "b", "c", "d")):
        random = np.random.default_rng(number)
        field = random.normal(size=(5, 21, 8, 8)).astype("float32")
        data = {
            "h": (("trajectory", "time", "y", "x"), field),
            "mask": (("y", "x"), (np.arange(64).reshape(8, 8) % 2).astype(float)),
            "control": (("trajectory", "time"), random.normal(size=(5, 21))),
            "spare": (("y", "x"), np.zeros((8, 8))),
        }
        xr.Dataset(data).to_netcdf(tmp_path / f"mine/{id}.nc")
    command = ("init", "--kind", "environments", "--data", "mine", "-o", "my.yaml")
    shown, _ = run(capsys, *command, "--inputs", "control", "--constants", "mask")
    assert "variables that are not used: spare(y, x)" in shown
    data = load_study("my.yaml").data
    assert (data.channels, data.inputs) == (["h"], {"control": "horizon", "mask": "constant"})
    assert check_source(load_study("my.yaml"), read_environments(Path("my-environments.csv")), "my.yaml") == []
    settings = ImportTrajectories.of(Plan(load_study("my.yaml"), read_environments(Path("my-environments.csv"))), SHARD)
    output = tmp_path / "made" / f"{SHARD}.csv"
    output.parent.mkdir()
    stage_run = SimpleNamespace(outputs={"output": output})
    files = [UserFiles(tmp_path / f"mine/{id}.nc") for id in settings.ids]
    import_trajectories.function(stage_run, settings, files, []).save(output)
    columns = TrajectoryFolder(output.parent).read_inputs(settings.ids, data, "test")
    assert columns.shape == (len(settings.ids), data.trajectories.test, 21, 2, 8, 8)
    assert (columns[:, :, :, 1] == torch.arange(64).view(8, 8) % 2).all()
    assert (columns[:, :, :, 0].std((-1, -2)) == 0).all()
    Path("my.yaml").unlink()
    Path("my-environments.csv").unlink()
    refused(capsys, *command, "--constants", "control", words=("control", "said to be constant"))


def test_a_wide_table_has_a_calendar_and_no_columns_of_inputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "wide.csv", wide_lines(times=hours()))
    command = ("init", "--kind", "environments", "--data", "wide.csv", "-o", "my.yaml")
    refused(capsys, *command, "--inputs", "rain", words=("--inputs: found rain", "a column is a place"))
    undated = ("--begins", "2010-10-04", "--every", "week")
    refused(capsys, *command, *undated, words=("--begins: found 2010-10-04", "expected none"))
    run(capsys, *command, "--calendar", "hour", "weekday")
    assert load_study("my.yaml").data.input_columns == ["hour_sin", "hour_cos", "weekday_sin", "weekday_cos"]


def test_rows_without_times_may_be_dated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "flu.csv", wide_lines())
    command = ("init", "--kind", "environments", "--data", "flu.csv", "--calendar", "season", "-o", "my.yaml")
    refused(capsys, *command, words=("flu.csv", "times that are numbers", "--begins DATE"))
    refused(capsys, *command, "--begins", "2010-10-04", words=("begins", "alone", "--every"))
    refused(capsys, *command, "--begins", "soon", "--every", "week", words=("begins", "soon"))
    shown, _ = run(capsys, *command, "--begins", "2010-10-04", "--every", "week")
    assert "300 steps of 1 week from 2010-10-04 to 2016-06-27" in shown
    study = load_study("my.yaml")
    assert (study.data.settings["begins"], study.data.settings["every"]) == ("2010-10-04", "week")
    assert check_source(study, read_environments(Path("my-environments.csv")), "my.yaml") == []
    months = dated_steps(14, RecordSettings(begins="1999-12-15", every="month"), "file")
    assert pd.DatetimeIndex(months.values)[13] == pd.Timestamp("2001-01-15")
