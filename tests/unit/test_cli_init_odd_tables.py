"""Tables that people have and nobody thought of: what is read, and what is said of the others."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from command_line import refused, run

from weightcast.core.environment_table import read_environments

STOCKS = "ABCDEF"


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def init(data: str, *options: str) -> list[str]:
    return ["init", "--kind", "environments", "--data", data, *options, "-o", "my.yaml"]


def prices() -> pd.DataFrame:
    days = pd.bdate_range("2015-01-01", periods=300)
    walks = np.random.default_rng(0).normal(size=(len(STOCKS), len(days))).cumsum(axis=1).round(3)
    table = pd.DataFrame({"stock": np.repeat(list(STOCKS), len(days)), "price": walks.ravel()})
    table["date"], table["day"] = np.tile(days.strftime("%Y-%m-%d"), len(STOCKS)), np.tile(range(300), len(STOCKS))
    return table


def test_working_days(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    prices().to_csv("prices.csv", index=False)
    options = ("--environment", "stock", "--state", "price", "--history", "1")
    words = ("prices.csv: found no row on any Saturday or Sunday", "number the working days", "--time")
    refused(capsys, *init("prices.csv", *options), words=words, output=Path("my.yaml"))
    run(capsys, *init("prices.csv", *options, "--time", "day"))
    assert len(read_environments(Path("my-environments.csv"))) == len(STOCKS)


@pytest.mark.parametrize("state", ["value", "rain"])
def test_a_row_for_each_quantity(state: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    days = pd.date_range("2020-01-01", periods=100).strftime("%Y-%m-%d")
    rows = [(place, day, name, 1.5) for place in "abc" for day in days for name in ("rain", "heat")]
    pd.DataFrame(rows, columns=["station", "date", "what", "value"]).to_csv("long.csv", index=False)
    words = ("long.csv, column what: found rows of one place and time that differ in it (rain, heat)",
             "table.pivot(index=['station', 'date'], columns='what'")  # fmt: skip
    refused(capsys, *init("long.csv", "--environment", "station", "--state", state), words=words)


@pytest.mark.parametrize("marked", [True, False])
def test_gauges_one_after_the_other(marked: bool, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """As CF's contiguous ragged arrays have it, also where nothing says that they are such."""
    counts = [120, 200, 150, 180, 130, 210]
    times = np.concatenate([np.arange(count, dtype=float) for count in counts])
    flow = np.random.default_rng(0).normal(size=sum(counts))
    sizes = ("gauge", counts, {"sample_dimension": "obs"} if marked else {})
    coordinates = {"time": ("obs", times, {"units": "days since 2010-01-01"})}
    xr.Dataset({"flow": ("obs", flow), "row_size": sizes}, coordinates).to_netcdf("gauges.nc")
    shown, errors = run(capsys, *init("gauges.nc", "--history", "1"))
    assert "6 places" in shown and "channels flow" in shown and "not used" not in shown and errors == ""


def test_fields_of_three_dimensions(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("mine").mkdir()
    for number in range(4):
        field = (("trajectory", "time", "z", "y", "x"), np.zeros((3, 5, 2, 6, 8)))
        xr.Dataset({"u": field}).to_netcdf(Path("mine") / f"{number}.nc")
    words = ("0.nc: u: found the dimensions (trajectory, time, z, y, x)", "choose one of z (2)")
    refused(capsys, *init("mine"), words=words, output=Path("my.yaml"))
