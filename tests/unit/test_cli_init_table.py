from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
import yaml
from command_line import refused, run
from record_files import PLACES, STEPS, hours, series, tidy_lines, wide_lines, write

from weightcast.core.environment_table import read_environments
from weightcast.environments.commands.held_out import farthest, hold_out
from weightcast.environments.commands.history_choice import choose_history
from weightcast.environments.commands.record_parts import default_frames
from weightcast.environments.config.load import load_study
from weightcast.environments.jobs import CutRecords, Plan
from weightcast.environments.plan import trajectory_shards
from weightcast.environments.stages.cut_records import cut_records
from weightcast.environments.table_trajectories import TableTrajectories
from weightcast.records.cell_times import look_like_dates
from weightcast.records.settings import RecordSettings
from weightcast.records.step_calendar import DAY, StepCalendar
from weightcast.records.windows import Parts
from weightcast.trajectories.grouped import TrajectoryGroup

SIX = (*PLACES, "hill", "lake")
ENVIRONMENTS = Path("my-environments.csv")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "air.csv", tidy_lines(places=SIX))
    return tmp_path


def arguments(*options: str, data: str = "air.csv", output: str = "my.yaml") -> list[str]:
    return ["init", "--kind", "environments", "--data", data, *options, "-o", output]


TIDY = ("--environment", "station", "--state", "ozone")
SINGLE = (*TIDY, "--history", "1")
"""Predictors that see one frame, whatever the records are like."""


def nothing_written(capsys: pytest.CaptureFixture[str], *argv: str, words: tuple[str, ...]) -> None:
    refused(capsys, *argv, words=words, output=Path("my.yaml"))
    assert not ENVIRONMENTS.exists()


def test_a_study_of_one_long_table(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown, errors = run(capsys, *arguments(*TIDY))
    assert errors == ""
    assert "6 places, 300 steps of 1 hour from 2020-01-01T00:00:00 to 2020-01-13T11:00:00" in shown
    assert "missing within records: 0.0 % of ozone" in shown
    assert "2 held-out places are too few for paired tests, which need 6 (--held-out-count)" in shown
    study = load_study("my.yaml")
    data = study.data
    assert (study.study, data.source, data.files, data.channels, data.grid) == (
        "air", "table", ["air.csv"], ["ozone"], (1, 1)
    )  # fmt: skip
    assert (data.frames, data.trained_frames, data.settings["gap"], data.history) == (25, 13, 12, 8)
    assert "predictors see the last 8 frames: autoregressions of visible places" in shown
    assert (
        "# Errors over 12 steps of autoregressions of so many frames, in visible places: 1: "
        in Path("my.yaml").read_text()
    )
    assert data.settings["time"] == ["datetime"]
    counts = data.trajectories
    assert (counts.train, counts.validation, counts.test) == (7, 1, 2)
    table = read_environments(ENVIRONMENTS)
    assert (table.ids, len(table.visible), len(table.interpolation)) == (SIX, 4, 2)
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "my.yaml is in order" in shown and "table in air.csv" in shown
    assert errors == ""
    text = Path("my.yaml").read_text(encoding="utf-8")
    assert "$" not in text and yaml.safe_load(text)["data"]["settings"]["test_from"] == data.settings["test_from"]


def test_wide_tables_and_files_of_a_place_each(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "flu.csv", wide_lines(times=hours()))
    shown, _ = run(capsys, *arguments("--state", "cases", data="flu.csv", output="flu.yaml"))
    assert "a wide table" in shown and load_study("flu.yaml").data.channels == ["cases"]
    assert load_study("flu.yaml").data.settings["time"] == ["date"]
    (folder / "each").mkdir()
    for number, place in enumerate(PLACES):
        rows = [f"{time};{value}".replace(".", ",") for time, value in zip(hours(), series(number), strict=True)]
        write(folder / "each" / f"{place}.csv", ["datetime;ozone [ppb]", *rows])
    shown, _ = run(capsys, *arguments("--state", "ozone", data="each", output="each.yaml"))
    assert "a file-each table" in shown and "ozone (ppb)" in shown
    assert load_study("each.yaml").data.settings["columns"] == ["ozone [ppb]"]
    for name in ("flu", "each"):
        shown, errors = run(capsys, "check", "--config", f"{name}.yaml", "--no-timing")
        assert "is in order" in shown and errors == ""


def test_dates_in_a_column_of_any_name(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Found by what it holds, as its name is no help."""
    days = pd.date_range("2020-01-28", periods=STEPS).strftime("%d.%m.%Y")
    lines = wide_lines(times=list(days))
    write(folder / "zahl.csv", [lines[0].replace("date", "Stichtag"), *lines[1:]])
    shown, _ = run(capsys, *arguments("--state", "cases", data="zahl.csv"))
    assert "300 steps of 1 day from 2020-01-28" in shown
    assert load_study("my.yaml").data.settings["time"] == ["Stichtag"]
    for cell, expected in (
        ("03.02.2020 14:00", True), ("2020/2/3", True), ("2020-02-03T10:00Z", True), ("2020.5", False), ("12-7", False),
        ("20200203", False), ("red", False),
    ):  # fmt: skip
        assert look_like_dates([cell, cell]) == expected, cell
    assert not look_like_dates(["2020-02-03", "3"]) and not look_like_dates([])


def test_records_of_different_times_share_a_calendar(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Some end long before the last one does: parts are cut where most of them lie."""
    rows = ["gauge,date,flow"]
    for place, (begin, length) in enumerate(
        [(0, 500), (20, 460), (5, 480), (60, 420), (40, 900), (10, 700), (15, 210)]
    ):
        days = pd.date_range("2010-01-01", periods=length) + pd.Timedelta(days=begin)
        values = np.sin(0.3 * (place + 1) * np.arange(length)) + 0.01 * place
        rows += [f"g{place},{day:%Y-%m-%d},{value:.4f}" for day, value in zip(days, values, strict=True)]
    write(folder / "river.csv", rows)
    shown, _ = run(capsys, *arguments("--environment", "gauge", "--state", "flow", data="river.csv"))
    table = read_environments(ENVIRONMENTS)
    assert set(table.ids) >= {"g0", "g1", "g2", "g4", "g5"} and "g6" not in table.ids
    assert "left out is g6" in shown
    settings = load_study("my.yaml").data.settings
    assert pd.Timestamp(settings["test_from"]) < pd.Timestamp("2011-05-01")
    assert "test 2011-" in shown and "to 2012-07-" in shown  # behind the shared calendar, too, is tested
    run(capsys, "check", "--config", "my.yaml", "--no-timing")


def test_netcdf_with_stations(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.stack([series(place) for place in range(4)])
    dataset = xr.Dataset(
        {"ozone": (("station", "time"), values), "dust": (("station", "time"), values[::-1])},
        {"station": list(PLACES), "time": pd.date_range("2020-01-01", periods=STEPS, freq="h")},
    )
    dataset.to_netcdf(folder / "air.nc")
    shown, _ = run(capsys, *arguments(data="air.nc"))
    assert "channels ozone (unit unknown), dust" in shown and "4 places, 300 steps of 1 hour" in shown
    shown, _ = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "is in order" in shown
    whole = (folder / "air.nc").read_bytes()
    (folder / "half.nc").write_bytes(whole[: len(whole) // 2])
    refused(capsys, *arguments(data="half.nc", output="half.yaml"), words=("half.nc", "cannot be read"))


def test_stations_of_netcdf_that_are_numbered(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Numbers of which each is there once name them; what else is said of them is not dropped without a word."""
    values = np.stack([series(place) for place in range(4)])
    of_stations = {"station_id": ("station", [11, 12, 17, 19]), "elevation": ("station", [1.0, 2.0, 3.0, 4.0])}
    times = {"time": pd.date_range("2020-01-01", periods=STEPS, freq="h")}
    dataset = xr.Dataset({"ozone": (("station", "time"), values), **of_stations}, times)
    dataset.to_netcdf(folder / "air.nc")
    shown, _ = run(capsys, *arguments(data="air.nc"))
    assert set(read_environments(ENVIRONMENTS).ids) == {"11", "12", "17", "19"}
    assert "not used: elevation (further --state, or --parameters)" in shown
    ENVIRONMENTS.unlink()
    run(capsys, *arguments("--parameters", "elevation", "--force", data="air.nc"))
    assert read_environments(ENVIRONMENTS).parameter_names == ("elevation",)


def test_what_options_say(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    options = ("--frames", "9", "--gap", "2", "--validation-from", "2020-01-09", "--test-from", "2020-01-11")
    held_out = ("--held-out", "LAKE", "hill", "--leave-out", "west")
    run(capsys, *arguments(*SINGLE, *options, *held_out, "--missing", "none"))
    study, table = load_study("my.yaml"), read_environments(ENVIRONMENTS)
    assert study.data.settings == {
        "environment": "station", "time": ["datetime"], "missing": [], "gap": 2, "left_out": ["west"],
        "validation_from": "2020-01-09T00:00:00", "test_from": "2020-01-11T00:00:00",
    }  # fmt: skip
    counts = study.data.trajectories
    assert (study.data.frames, counts.train, counts.validation, counts.test) == (9, 21, 5, 6)
    assert {row.id: row.role for row in table} == dict.fromkeys(("north", "east", "south"), "visible") | dict.fromkeys(
        ("hill", "lake"), "interpolation"
    )


def test_a_cycle_is_found_where_times_are_numbers_and_stands_in_the_calendar(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    time = np.arange(300)
    columns = [10 + place + np.sin(2 * np.pi * time / 20 + 0.1 * place) for place in range(6)]
    lines = [",".join(SIX), *(",".join(f"{value:.3f}" for value in row) for row in zip(*columns, strict=True))]
    write(folder / "flu.csv", lines)
    shown, _ = run(capsys, *arguments(data="flu.csv"))
    assert "come again after 20 steps, found by the autocorrelation" in shown
    data = load_study("my.yaml").data
    assert (data.settings["cycle"], data.calendar, data.input_columns) == (20, ["cycle"], ["cycle_sin", "cycle_cos"])
    run(capsys, "check", "--config", "my.yaml", "--no-timing")
    shown, _ = run(capsys, *arguments("--cycle", "10", data="flu.csv", output="other.yaml"))
    assert "come again after 10 steps:" in shown
    assert load_study("other.yaml").data.settings["cycle"] == 10


def test_records_are_compared_with_regressions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, *arguments(*SINGLE))
    study = load_study("my.yaml")
    assert study.baselines.autoregression is not None and study.baselines.trees is not None
    assert study.predictor.integrator == "map"  # type: ignore[union-attr]
    assert [case.name for case in study.evaluation.observed] == ["10-frames", "2-frames", "25-frames-of-2"]


@pytest.mark.parametrize(("history", "cases"), [(2, [10, 3, 50]), (12, [13, 20, 51])])
def test_predictors_may_be_told_how_many_frames_to_see(
    history: int, cases: list[int], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    shown, _ = run(capsys, *arguments(*TIDY, "--history", str(history), "--frames", "9"))
    assert f"windows of {9 + history - 1} steps" in shown and "predictors see" not in shown
    study = load_study("my.yaml")
    assert (study.data.history, study.data.frames, study.data.recorded_frames) == (history, 9, 9 + history - 1)
    assert [case.all_frames for case in study.evaluation.observed] == cases
    shown, _ = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "is in order" in shown and f"predictors see the last {history} frames" in shown


def noisy(coefficients: tuple[float, ...], places: int = 5, steps: int = 400, noise: float = 0.1) -> np.ndarray:
    """Records of autoregressions of an order, the same in all places [place, step, 1]; seed 0."""
    random, lags = np.random.default_rng(0), len(coefficients)
    values = random.standard_normal((places, steps))
    for step in range(lags, steps):
        before = values[:, step - lags : step][:, ::-1]
        values[:, step] = before @ np.array(coefficients) + noise * values[:, step]
    return values[..., None]


@pytest.mark.parametrize(
    ("coefficients", "history"),
    [((0.9,), 1), ((1.9, -0.95), 2), ((0.0, 0.0, 0.0, 0.99), 4)],
)
def test_the_order_of_records_is_found(coefficients: tuple[float, ...], history: int) -> None:
    values, parts = noisy(coefficients), (Parts((0, 280), (290, 340), (350, 400)),) * 5
    values *= np.array([1.0, 1.0, 100.0, 0.01, 1.0])[:, None, None]  # places differ in size
    values[:, 350:] = 1e9  # what is tested on says nothing
    values[1] = 1e9  # nor does a place that is not visible
    known = np.empty((*values.shape[:2], 0))
    found = choose_history(values, known, [0, 2, 3, 4], parts, 8, 9)
    assert found.history == history, found
    assert set(found.errors) == {1, 2, 4, 8} and f"the last {'frame alone' if history == 1 else history}" in found.words
    assert choose_history(values, known, [0, 2, 3, 4], parts, 8, 3).history <= 2
    gappy = values.copy()
    gappy[:, ::6] = np.nan  # no eight frames, and eight to be forecast, follow each other
    assert choose_history(gappy, known, [0, 2, 3, 4], parts, 8, 9).words.endswith("to compare more (--history)")
    gappy = values.copy()
    gappy[0, ::9] = np.nan  # a place that can be used where it is whole
    assert choose_history(gappy, known, [0, 2, 3, 4], parts, 8, 9).history == history
    still = values.copy()
    still[0, 290:340] = 0.0  # a place where nothing happens meanwhile, and one where nothing ever does
    still[2] = 7.0
    assert choose_history(still, known, [0, 2, 3, 4], parts, 8, 9).history == history


def test_the_order_is_that_of_what_predictors_see(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Growth rates that swing: in logarithms a recurrence of second order, whose error counts where levels differ."""
    values = np.exp(2.0 * noisy((1.9, -0.95), 6, 300, 0.05)[..., 0])
    rows = [f"{SIX[place]},{step},{values[place, step]:.6g}" for place in range(6) for step in range(300)]
    write(folder / "air.csv", ["station,time,ozone", *rows])
    run(capsys, *arguments(*TIDY, "--transform", "ozone=log"))
    data = load_study("my.yaml").data
    assert (data.history, data.transforms) == (2, {"ozone": "log"})


def test_what_follows_from_what_is_known_needs_no_history() -> None:
    """A wave whose place the calendar says is forecast from one frame: without the calendar it takes two."""
    time = np.arange(400)
    values = np.sin(2 * np.pi * time / 20)[None, :, None] + 0.3 * noisy((0.5,), 4)
    parts, angle = (Parts((0, 280), (290, 340), (350, 400)),) * 4, 2 * np.pi * time / 20
    known = np.broadcast_to(np.stack([np.sin(angle), np.cos(angle)], 1), (4, 400, 2))
    assert choose_history(values, known, [0, 1, 2, 3], parts, 8, 9).history == 1
    assert choose_history(values, known[..., :0], [0, 1, 2, 3], parts, 8, 9).history > 1


def test_held_out_places() -> None:
    ids = [f"s{number}" for number in range(10)]
    features = np.zeros((10, 2))
    features[:, 0] = np.arange(10) % 3
    features[4], features[7] = (50, 0), (0, 90)
    roles, words = hold_out(ids, features, ["farthest"], 2, 0)
    assert {id for id, role in roles.items() if role == "extrapolation"} == {"s4", "s7"}
    assert "farthest" in words
    drawn = {seed: hold_out(ids, features, ["random"], 3, seed)[0] for seed in range(4)}
    assert all(sum(role == "interpolation" for role in roles.values()) == 3 for roles in drawn.values())
    assert len({tuple(sorted(roles.items())) for roles in drawn.values()}) > 1
    assert hold_out(ids[::-1], features, ["random"], 3, 0)[0] == drawn[0]  # of names, not of places in a file
    assert farthest(np.array([[0.0], [1.0], [1.1], [0.9]]), 1) == [0]


def test_parameters_are_columns_of_the_table_of_environments(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    heights = dict(zip(SIX, (10, 20, 40, 80, 160, 2000), strict=True))
    lines = tidy_lines(places=SIX)
    lines = [f"{line},{heights.get(line.split(',')[0], 'height (m)')}" for line in lines]
    write(folder / "air.csv", lines)
    options = ("--parameters", "height (m)", "--held-out", "farthest", "--held-out-count", "1")
    shown, _ = run(capsys, *arguments(*TIDY, *options))
    table = read_environments(ENVIRONMENTS)
    assert {row.id: row.parameters["height"] for row in table} == heights
    assert [row.id for row in table.extrapolation] == ["lake"]
    assert "height logarithmic" in shown
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "is in order" in shown and errors == ""


def test_gaps_cost_windows_and_are_told(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tidy_lines(places=SIX)
    for row in (50, 90, 130):
        lines[row] = lines[row].rpartition(",")[0] + ","
    write(folder / "air.csv", lines)
    shown, _ = run(capsys, *arguments(*SINGLE))
    assert "most in north 1.0 %" in shown
    assert "2 of 60 windows are left out for missing values" in shown
    assert "as many as the place with the fewest (north)" in shown
    assert load_study("my.yaml").data.trajectories.train == 5


def test_a_place_whose_record_ends_early(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    lines = tidy_lines(places=SIX)
    del lines[STEPS + 150 : 2 * STEPS + 1]
    write(folder / "air.csv", lines)
    shown, _ = run(capsys, *arguments(*TIDY))
    assert "shorter records: east (2020-01-01T00:00:00 to 2020-01-07T04:00:00)" in shown
    assert "left out is east: 0 of 1 windows" in shown
    assert load_study("my.yaml").data.settings["left_out"] == ["east"]
    assert "east" not in read_environments(ENVIRONMENTS)
    run(capsys, "check", "--config", "my.yaml", "--no-timing")


def test_a_place_whose_record_begins_late_does_not_hold_the_others_down(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = tidy_lines(places=SIX)
    del lines[STEPS + 1 : STEPS + 131]
    write(folder / "air.csv", lines)
    shown, _ = run(capsys, *arguments(*SINGLE))
    assert "as many as half of them have; with fewer to train, which come more than once: east" in shown
    data = load_study("my.yaml").data
    assert data.trajectories.train > 4 and data.settings["repeated"] is True
    table = TableTrajectories(data.files, RecordSettings(**data.settings), data.channels, "my.yaml")
    counts = (data.trajectories.train, data.trajectories.validation, data.trajectories.test)
    begins = {
        id: table.trajectories(id, data.frames, counts).values[: counts[0], 0, 0, 0, 0] for id in ("north", "east")
    }
    assert len(set(begins["north"])) == counts[0]
    times = np.unique(begins["east"], return_counts=True)[1]
    assert 1 < len(times) < counts[0] / 2 and times.max() - times.min() <= 1
    run(capsys, "check", "--config", "my.yaml", "--no-timing")
    edited = Path("my.yaml").read_text().replace("repeated: true", "repeated: false")
    Path("my.yaml").write_text(edited)
    refused(capsys, "check", "--config", "my.yaml", "--no-timing", words=("east", "data.settings.repeated: true"))


@pytest.mark.parametrize(
    ("size", "unit", "frames"),
    [(1, "hour", 49), (3, "hour", 21), (10, "minute", 49), (1, "day", 29), (1, "week", 21), (1, "month", 25)],
)
def test_windows_fit_the_step(size: int, unit: str, frames: int) -> None:
    step = {"minute": DAY / 1440, "hour": DAY / 24, "day": DAY, "week": 7 * DAY, "month": 1}[unit]
    assert default_frames(StepCalendar("months" if unit == "month" else "dates", 0.0, size * step)) == frames


# --- what is refused


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ((), ("air.csv", "text in the column station", "--environment, which")),
        (("--state", "ozone"), ("air.csv", "no --environment", "station")),
        (("--environment", "station"), ("air.csv", "no --state", "ozone")),
        (("--environment", "site", "--state", "ozone"), ("'site'", "--environment", "station, datetime, ozone")),
        (("--environment", "station", "--state", "PM10"), ("'PM10'", "--state")),
        ((*TIDY, "--time", "date"), ("'date'", "--time")),
        ((*TIDY, "--inputs", "TEMP"), ("air.csv", "TEMP", "--inputs")),
        ((*TIDY, "--inputs", "ozone"), ("--inputs", "found ozone beside another use")),
        ((*TIDY, "--held-out", "moon"), ("'moon'", "north")),
        ((*TIDY, "--held-out-count", "5"), ("--held-out-count", "found 5", "1 to 4")),
        ((*TIDY, "--held-out", *SIX[1:]), ("--held-out", "found 5 of 6")),
        ((*TIDY, "--leave-out", *SIX[2:]), ("found 2 places", "expected 3")),
        ((*TIDY, "--frames", "200"), ("300 steps", "--frames", "expected")),
        ((*TIDY, "--frames", "2"), ("--frames", "found 2", "expected 3")),
        ((*TIDY, "--gap", "-1"), ("--gap", "found -1")),
        ((*TIDY, "--history", "0"), ("--history", "found 0", "expected 1 to 64")),
        ((*TIDY, "--history", "64", "--frames", "30"), ("300 steps", "windows of 93 steps")),
        ((*TIDY, "--test-from", "2019-01-01"), ("air.csv", "test from step")),
        ((*TIDY, "--test-from", "soon"), ("--test-from", "'soon'", "2020-01-01")),
        ((*TIDY, "--channels", "a"), ("--channels", "long table")),
    ],
)
def test_tables_that_cannot_be_used(
    options: tuple[str, ...], words: tuple[str, ...], folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nothing_written(capsys, *arguments(*options), words=words)


def test_one_place_only(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "air.csv", tidy_lines(places=["north"]))
    nothing_written(capsys, *arguments(*TIDY), words=("air.csv", "found 1 place (north)", "expected 3 or more"))


def test_records_that_are_too_short(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(folder / "air.csv", tidy_lines(hours(20), places=SIX))
    nothing_written(capsys, *arguments(*TIDY), words=("air.csv", "20 steps", "or more"))


def test_options_of_tables_for_other_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine").mkdir()
    nothing_written(capsys, *arguments("--gap", "3", data="mine"), words=("--gap", "mine is no table"))
    nothing_written(capsys, *arguments(data="air.xlsx"), words=("air.xlsx", "no such file"))
    two = ["init", "--kind", "environments", "--data", "mine", "mine", "-o", "my.yaml"]
    nothing_written(capsys, *two, words=("--data", "found 2"))


def test_a_table_that_changed_is_refused_by_check(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run(capsys, *arguments(*SINGLE))
    write(folder / "air.csv", tidy_lines(places=(*SIX, "new")))
    refused(capsys, "check", "--config", "my.yaml", "--no-timing", words=("air.csv", "found new", "left_out"))
    write(folder / "air.csv", tidy_lines(places=SIX[1:]))
    refused(capsys, "check", "--config", "my.yaml", "--no-timing", words=("air.csv", "no place north"))
    lines = tidy_lines(places=SIX)
    lines[40] = "north,2020-01-02 15:00:00,"
    write(folder / "air.csv", lines)
    words = ("air.csv", "north: found 6 windows of 25 steps", "expected 7 as data.trajectories.train")
    refused(capsys, "check", "--config", "my.yaml", "--no-timing", words=words)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"files": []}, "data.files: missing"),
        ({"directory": "mine"}, "data.directory: found 'mine'"),
        ({"grid": [2, 2]}, "data.grid"),
        ({"settings": {"gaps": 1}}, "data.settings.gaps: unknown key"),
        ({"source": "netcdf", "directory": "mine"}, "data.files"),
    ],
)
def test_configurations_of_tables(
    change: dict[str, object], words: str, folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, *arguments(*TIDY))
    written = yaml.safe_load(Path("my.yaml").read_text(encoding="utf-8"))
    written["data"] |= change
    Path("my.yaml").write_text(yaml.safe_dump(written), encoding="utf-8")
    refused(capsys, "check", "--config", "my.yaml", "--no-timing", words=(words,))


# --- the stage


class StageRun:
    """All that the stage asks of a run."""

    def __init__(self, output: Path) -> None:
        self.outputs = {"output": output}


def test_an_edit_of_the_table_is_one_of_the_places_that_it_touches(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(capsys, *arguments(*SINGLE))
    study, table = load_study("my.yaml"), read_environments(ENVIRONMENTS)
    plan = Plan(study, table)
    (shard, *_) = trajectory_shards(study, table)
    settings = CutRecords.of(plan, shard)
    output = folder / "made" / f"{shard}.csv"
    output.parent.mkdir()

    def cut() -> dict[str, str]:
        manifest = cut_records.function(StageRun(output), settings, [folder / "air.csv"])
        manifest.save(output)
        return {id: made.digest for id, made in manifest.made.items()}

    first = cut()
    assert list(first) == settings.ids
    assert cut() == first
    group = TrajectoryGroup(next((folder / "made" / "together").glob("*.nc")))
    place = SIX.index(settings.ids[0])
    (values,) = group.read([settings.ids[0]])
    assert values.shape == (10, 25, 1, 1, 1)
    np.testing.assert_array_equal(values[0, :, 0, 0, 0], series(place)[:25].astype(np.float32))
    lines = tidy_lines(places=SIX)
    changed = SIX.index(settings.ids[1])
    lines[1 + changed * STEPS] = f"{settings.ids[1]},2020-01-01 00:00:00,9.5"
    write(folder / "air.csv", lines)
    second = cut()
    assert [id for id in first if first[id] != second[id]] == [settings.ids[1]]
