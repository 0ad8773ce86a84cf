"""Trajectories in files with missing values: what ``weightcast init`` makes of them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import xarray as xr
from command_line import refused, run

from weightcast.environments.config.load import load_study

INIT = ("init", "--kind", "environments", "--data", "mine", "--name", "mine", "-o", "my.yaml", "--force")


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Four environments of eight trajectories of 24 frames; one lacks some values, and half of a trajectory."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine").mkdir()
    for place in range(4):
        values = np.random.default_rng(place).normal(size=(8, 24)).astype(np.float32)
        if place == 2:
            values[0, 5] = values[4, 9:11] = np.nan
            values[3, 6:18] = np.nan
        xr.Dataset({"u": (("trajectory", "time"), values)}).to_netcdf(tmp_path / "mine" / f"e{place}.nc")
    return tmp_path


def test_gaps_are_chosen_where_files_have_some(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown, _ = run(capsys, *INIT)
    assert "e2.nc: 1 of 8 trajectories are left out for missing values: 1 with more missing (data.gaps: " in shown
    assert "7 to 8 trajectories of 24 frames" in shown
    assert "0.4 % of the trajectories' values are missing (most in e2 1.8 %), and stay so" in shown
    study = load_study("my.yaml")
    assert study.data.gaps is not None and (study.data.gaps.share, study.data.gaps.run) == (0.25, 6)
    assert study.data.trajectories.total == 7
    assert study.context is not None and study.context.equations is None and study.baselines.equations is None
    shown, errors = run(capsys, "check", "--config", "my.yaml", "--no-timing")
    assert "is in order" in shown and "0.4 % of the trajectories' values are missing" in errors


def test_gaps_are_as_somebody_says(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    shown, _ = run(capsys, *INIT, "--gaps", "0.6", "12")
    assert "left out" not in shown and load_study("my.yaml").data.trajectories.total == 8
    Path("my-environments.csv").unlink()
    refused(capsys, *INIT, "--gaps", "none", words=("e2.nc: u: found NaN at trajectory 0, time 5",))


def test_whole_files_have_no_gaps(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "mine" / "e2.nc").unlink()
    shown, _ = run(capsys, *INIT)
    study = load_study("my.yaml")
    assert "missing" not in shown and study.data.gaps is None and study.context.equations is not None


def test_another_fault_is_told_as_it_is(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    values = np.full((8, 24), np.inf, np.float32)
    xr.Dataset({"u": (("trajectory", "time"), values)}).to_netcdf(folder / "mine" / "e2.nc")
    refused(capsys, *INIT, words=("e2.nc", "found Inf at trajectory 0"))
