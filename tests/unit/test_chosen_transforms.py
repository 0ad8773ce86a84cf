"""Which transform ``weightcast init`` chooses for a channel of a long table, on tables whose process is known."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from command_line import refused, run
from numpy.typing import NDArray
from record_files import hours, write

from weightcast.core.errors import InputError
from weightcast.environments.commands.chosen_transforms import Tried, choose, choose_transforms, given_transforms
from weightcast.environments.config.load import load_study

PLACES, WINDOWS, FRAMES = 8, 24, 13


def gaussian_walk(seed: int, spread: float = 0.25) -> NDArray[np.float64]:
    """A stationary autoregression with coefficient 0.9 [place, window, frame], of unit variance times spread / 0.44."""
    random = np.random.default_rng(seed)
    values = np.empty((PLACES, WINDOWS, FRAMES))
    values[..., 0] = spread / np.sqrt(1 - 0.9**2) * random.normal(size=(PLACES, WINDOWS))
    for frame in range(1, FRAMES):
        values[..., frame] = 0.9 * values[..., frame - 1] + spread * random.normal(size=(PLACES, WINDOWS))
    return values


def lognormal(seed: int) -> NDArray[np.float64]:
    return np.asarray(np.exp(2.0 + 2.4 * gaussian_walk(seed)))


def pressure(seed: int) -> NDArray[np.float64]:
    """Skewed, positive, and hardly varying around 1013."""
    return np.asarray(1013 + lognormal(seed) / 4)


def test_what_hardly_varies_has_no_transform() -> None:
    """Whatever its skewness: the root of 1013 +- 10 is as straight as the number."""
    values = pressure(0)[..., None]
    (found,) = choose_transforms(["p"], values[:, :18], values[:, 18:], {})
    assert (found.name, found.why) == (None, "")
    values = values - values.min() + 0.1
    (found,) = choose_transforms(["p"], values[:, :18], values[:, 18:], {})
    assert found.why.startswith("never negative, skewness")


def poisson(seed: int) -> NDArray[np.float64]:
    """Counts whose mean is four fifths of the last one, and a fifth of a place's level."""
    random = np.random.default_rng(seed)
    level = 3.0 * np.exp(random.uniform(0, 4, size=(PLACES, 1))) * np.ones(WINDOWS)
    values = np.empty((PLACES, WINDOWS, FRAMES))
    values[..., 0] = random.poisson(level)
    for frame in range(1, FRAMES):
        values[..., frame] = random.poisson(0.8 * values[..., frame - 1] + 0.2 * level)
    return values


def gaussian(seed: int) -> NDArray[np.float64]:
    return np.asarray(20.0 + gaussian_walk(seed))


MADE = {"log": lognormal, "sqrt": poisson, None: gaussian}


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_transform_is_that_of_the_process(seed: int) -> None:
    train = np.stack([make(seed) for make in MADE.values()], axis=-1)
    validation = np.stack([make(seed + 100) for make in MADE.values()], axis=-1)
    chosen = choose_transforms(["grown", "counted", "measured"], train, validation, {})
    assert {one.channel: one.name for one in chosen} == {"grown": "log", "counted": "sqrt", "measured": None}
    assert [bool(one.why) for one in chosen] == [True, True, False]


def test_negative_channels_have_none_and_what_is_given_stands() -> None:
    values = np.stack([lognormal(0), lognormal(1) - 5.0], axis=-1)
    chosen = choose_transforms(["a", "b"], values, values[:, :0], {"a": "sqrt"})
    assert [one.name for one in chosen] == ["sqrt", None]
    assert chosen[0].why == "as --transform says"
    assert choose_transforms(["a"], values[..., :1], values[..., :1], {}, signed=["a"])[0].name is None


def test_errors_decide_and_where_they_hardly_differ_equal_spreads() -> None:
    plain, root, log = Tried(None, 1.0, 0.9), Tried("sqrt", 1.0, 0.1), Tried("log", 1.1, 0.0)
    assert choose([plain, root, log]) is root
    assert choose([Tried(None, 0.8, 0.9), root, log]).name is None


def test_options_name_channels_or_their_columns() -> None:
    names = {"PM2_5": "PM2_5", "PM2.5 (ug)": "PM2_5", "cases": "cases"}
    found = given_transforms(["PM2.5 (ug)=log", "cases=none"], names)
    assert found == {"PM2_5": "log", "cases": None}
    assert given_transforms(None, names) == {}
    for word, expected in (("rain=log", "NAME=log"), ("cases=cube", "cases=sqrt"), ("log", "NAME=log")):
        with pytest.raises(InputError, match=expected):
            given_transforms([word], names)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A table of eight places: cases grow and shrink by factors, warmth does neither."""
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    rows = ["station,datetime,cases,warmth"]
    for place in range(8):
        level, warmth = 2.0 + random.normal(), 0.0
        for time in hours(400):
            level, warmth = 2.0 + 0.9 * (level - 2.0) + 0.4 * random.normal(), 0.9 * warmth + random.normal()
            rows.append(f"p{place},{time},{np.exp(level):.4f},{warmth:.4f}")
    write(tmp_path / "made.csv", rows)
    return tmp_path


INIT = (
    "init",
    "--kind",
    "environments",
    "--data",
    "made.csv",
    "--environment",
    "station",
    "--state",
    "cases",
    "warmth",
)


def test_init_says_and_writes_what_it_chose(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown, _ = run(capsys, *INIT, "-o", "my.yaml")
    (line,) = [line for line in shown.splitlines() if line.startswith("predictors see cases")]
    assert line.startswith("predictors see cases through log (never negative, skewness ")
    assert "as it is" in line and "through sqrt" in line and line.endswith("(--transform)")
    assert load_study("my.yaml").data.transforms == {"cases": "log"}
    text = Path("my.yaml").read_text(encoding="utf-8")
    assert "# Predictors see cases through log (never negative" in text and "$" not in text
    shown, _ = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "my.yaml is in order" in shown


def test_options_overrule_and_are_refused_in_one_line(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for word, expected in (("cases=sqrt", {"cases": "sqrt"}), ("cases=none", {})):
        run(capsys, *INIT, "--transform", word, "-o", "my.yaml")
        assert load_study("my.yaml").data.transforms == expected
        assert "as --transform says" in Path("my.yaml").read_text(encoding="utf-8")
        Path("my.yaml").unlink()
        Path("my-environments.csv").unlink()
    refused(capsys, *INIT, "--transform", "rain=log", "-o", "my.yaml", words=("rain=log", "cases, warmth"))
    words = ("made.csv", "environment p", "channel warmth", "found -", "expected none")
    refused(capsys, *INIT, "--transform", "warmth=log", "-o", "my.yaml", words=words, output=Path("my.yaml"))


def test_check_and_import_refuse_negative_data(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A table in which a place gets negative after init has seen it."""
    run(capsys, *INIT, "-o", "my.yaml")
    table = pd.read_csv("made.csv")
    place = table.station == "p3"
    table.loc[place, "cases"] = table.loc[place, "cases"] - 4.0
    table.to_csv("made.csv", index=False)
    words = ("made.csv", "environment p3", "channel cases", "found -", "below 0, expected none", "transform log")
    refused(capsys, "check", "--config", "my.yaml", "--no-timing", words=words)
