"""Windows of long tables with missing values: which there are, what stays in them, and what init makes of it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from command_line import refused, run
from numpy.typing import NDArray
from record_files import PLACES, hours, series, write

from weightcast.core.config.gap_settings import GapSettings
from weightcast.environments.config.load import load_study
from weightcast.environments.table_trajectories import TableTrajectories
from weightcast.records.record import Records
from weightcast.records.settings import RecordGaps, RecordSettings
from weightcast.records.step_calendar import StepCalendar
from weightcast.records.windows import Parts, count_windows, cut, gappy_starts, window_starts
from weightcast.trajectories.gaps import refused_starts, usable_starts

SIX = (*PLACES, "hill", "lake")
PARTS = Parts((0, 60), (60, 80), (80, 120))


def records(values: NDArray[np.float64], channels: tuple[str, ...] = ("state", "input")) -> Records:
    """Of places, at numbered steps."""
    names = tuple(f"place{number}" for number in range(len(values)))
    spans = np.array([[0, values.shape[1]]] * len(values))
    parameters = np.empty((len(values), 0))
    return Records(names, names, channels, values, spans, StepCalendar("numbers", 0.0, 1.0), {}, parameters, ())


def slowly(values: NDArray[np.float64], states: int, frames: int, history: int, limit: GapSettings) -> list[bool]:
    """Whether a window may begin at each step, as it is said in words."""
    found = []
    for start in range(len(values) - frames - history + 2):
        window = values[start : start + frames + history - 1]
        first, ahead = history - 1, window[history:]
        whole = not np.isnan(window[: first + 1, :states]).any()
        known = not np.isnan(window[first : first + 2, states:]).any()
        judged = not np.isnan(window[first + 1, :states]).all()
        missing = np.isnan(ahead[:, :states]) | np.isnan(ahead[:, states:]).any(axis=1, keepdims=True)
        runs = [
            max(map(len, "".join("x" if one else " " for one in column).split()), default=0) for column in missing.T
        ]
        found.append(whole and known and judged and missing.mean() <= limit.share and max(runs) <= limit.run)
    return found


@pytest.mark.parametrize("history", [1, 3])
@pytest.mark.parametrize("states", [1, 2])
def test_windows_begin_where_all_is_there_and_little_is_missing_behind(states: int, history: int) -> None:
    random, limit = np.random.default_rng(8), GapSettings(share=0.3, run=2)
    values = random.normal(size=(400, 3))
    values[random.random(values.shape) < 0.12] = np.nan
    found = usable_starts(values, states, 7, history, limit)
    assert found.tolist() == slowly(values, states, 7, history, limit)
    assert 10 < found.sum() < 390 - 10
    refused = refused_starts(values, states, 7, history, limit)
    assert all(one.any() for one in refused.values())
    assert usable_starts(values[:5], states, 7, history, limit).shape == (0,)


def test_windows_follow_each_other_and_go_on_behind_what_cannot_be_used() -> None:
    usable = np.ones(30, bool)
    usable[4:7] = False
    assert gappy_starts(usable, (0, 30), 4) == [0, 7, 11, 15, 19, 23]
    assert gappy_starts(usable, (2, 12), 4) == [2, 7]
    assert gappy_starts(usable, (2, 12), 4, history=3) == [2]
    complete = np.ones(30, bool)
    for history in (1, 3):
        assert gappy_starts(complete, (3, 28), 4, history) == window_starts(complete, (3, 28), 4, history)


def test_cut_windows_keep_their_gaps_and_are_more() -> None:
    random = np.random.default_rng(2)
    values = random.normal(size=(2, 120, 2))
    values[..., 0][random.random((2, 120)) < 0.15] = np.nan
    gaps = RecordGaps(limit=GapSettings(share=0.4, run=4), states=1)
    table = records(values)
    few, more = count_windows(table, (PARTS,) * 2, 6), count_windows(table, (PARTS,) * 2, 6, 1, gaps)
    assert (more.found >= few.found).all() and more.found.sum() > 1.5 * few.found.sum()
    counts = (int(more.found[0, 0]), 1, 1)
    found = cut(table, 0, PARTS, 6, counts, "table", gaps=gaps)
    starts = gappy_starts(usable_starts(values[0], 1, 6, 1, gaps.limit), PARTS.train, 6)
    for window, start in zip(found.values, starts, strict=False):
        own = values[0, start : start + 6].astype(np.float32)
        assert np.array_equal(window[..., 0, 0], own, equal_nan=True)
    assert np.isnan(found.values).any() and not np.isnan(found.values[:, 0]).any()


def test_what_never_changes_is_known_wherever_it_is_known_once() -> None:
    values = np.full((2, 4, 2), np.nan)
    values[..., 0] = 1.0
    values[0, 2, 1], values[1, 1:3, 1] = 7.0, (1.0, 2.0)
    found = records(values).with_constants(["input"]).values
    assert found[0, :, 1].tolist() == [7.0] * 4
    assert np.array_equal(found[1], values[1], equal_nan=True)
    assert np.isnan(values[0, 0, 1])


def gappy_table(folder: Path, share: float = 0.05) -> list[str]:
    """Hours of six places with two quantities, of the first of which a share of the cells is empty: options of init."""
    random = np.random.default_rng(0)
    lines = ["station,datetime,ozone,wind"]
    for number, place in enumerate(SIX):
        values, empty = series(number, 600), random.random(600) < share
        lines += [
            f"{place},{time},{'' if gone else value},{5 + number + step % 7}"
            for step, (time, value, gone) in enumerate(zip(hours(600), values, empty, strict=True))
        ]
    write(folder / "air.csv", lines)
    return ["init", "--kind", "environments", "--data", "air.csv", "--environment", "station", "--state", "ozone",
            "--inputs", "wind", "--history", "1", "-o", "my.yaml"]  # fmt: skip


def test_init_lets_windows_have_gaps_where_that_gains_some(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    command = gappy_table(tmp_path)
    shown, errors = run(capsys, *command)
    assert errors == ""
    data = load_study("my.yaml").data
    assert (data.frames, data.gaps) == (49, GapSettings(share=0.25, run=12))
    assert "cut into windows of 49 steps with at most 25 % and 12 steps in a row missing (--gaps)" in shown
    assert "% of the trajectories' values are missing (most in " in shown
    assert "without gaps (--gaps none) every place would have " in shown
    table = TableTrajectories(
        data.files, RecordSettings(**data.settings), data.columns, "my.yaml", (), data.record_gaps
    )
    counts = (data.trajectories.train, data.trajectories.validation, data.trajectories.test)
    for place in SIX:
        found = table.trajectories(place, data.frames, counts)
        lost = np.isnan(found.values)
        assert 0.01 < lost[:, :, 0].mean() < 0.1 and not lost[:, 0].any() and not lost[:, :, 1].any()
    for path in (Path("my.yaml"), Path("my-environments.csv")):
        path.unlink()
    shown, _ = run(capsys, *command, "--gaps", "0.1", "2")
    assert load_study("my.yaml").data.gaps == GapSettings(share=0.1, run=2)
    for path in (Path("my.yaml"), Path("my-environments.csv")):
        path.unlink()
    shown, _ = run(capsys, *command, "--gaps", "none")
    strict = load_study("my.yaml").data
    assert strict.gaps is None and "without gaps, in time" in shown and strict.frames < 49
    for path in (Path("my.yaml"), Path("my-environments.csv")):
        path.unlink()
    for said in (("0.5", "1.5"), ("2",), ("few",)):
        words = (f"--gaps: found {' '.join(said)}, expected none, or a share between 0 and 1",)
        refused(capsys, *command, "--gaps", *said, words=words)


def test_init_asks_for_whole_windows_where_gaps_gain_little(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    shown, _ = run(capsys, *gappy_table(tmp_path, 0.0005), "--frames", "12")
    assert load_study("my.yaml").data.gaps is None and "windows are left out for missing values" in shown
    assert "gaps:" not in Path("my.yaml").read_text()
