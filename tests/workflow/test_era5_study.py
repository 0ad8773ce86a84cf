"""The real Snakefile on ERA5: files of the user's own to the report, and the planning and failing of downloads."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from checkout import JOBS_OF_ONE_ARM, Checkout, copy_repository
from era5_files import START, field, packing_error, write_old, write_zip

from weightcast.trajectories import read_trajectories

CONFIG = "tests/workflow/mini-era5.yaml"
NOT_THERE = (
    *("train_vae", "train_diffusion", "generate_weights", "regress_latents", "compare_with_experts"),
    *("train_film_matched", "train_hypernetwork"),
)
JOBS = {rule: count for rule, count in JOBS_OF_ONE_ARM.items() if rule not in NOT_THERE}
JOBS |= {"cut_era5": 5, "evaluate_weights": 3}
WEATHER = "data/weather"
LATITUDE, LONGITUDE = np.arange(52, 46.9, -0.25), np.arange(4, 11.1, 0.25)
HOURS = START + np.arange(0, (31 + 29) * 24, 6)  # January and February 2020
CHANGE = 80  # the frame of January at which the new layout takes over
# Regions of 8 x 8 points around the table's centres, and the months that they are needed for.
RECEIPTS = {
    "51.25N_4.5E_49.5N_6.25E/2020-01",
    "51.25N_4.5E_49.5N_6.25E/2020-02",
    "51.25N_8.5E_49.5N_10.25E/2020-01",
    "51.25N_6.5E_49.5N_8.25E/2020-01",
    "49.25N_4.5E_47.5N_6.25E/2020-02",
}


def write_weather(checkout: Checkout) -> Path:
    """Two months for all regions: the first weeks as the store sent them until 2024, the rest as it does since."""
    folder = checkout.folder / WEATHER
    folder.mkdir(parents=True)
    grid = {"latitude": LATITUDE, "longitude": LONGITUDE}
    write_old(folder / "first weeks.nc", hours=HOURS[:CHANGE], **grid)
    write_zip(folder / "from the store", hours=HOURS[CHANGE:], **grid)
    return folder


@pytest.fixture(scope="module")
def weather(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    """The study on files of the user's own, complete."""
    checkout = copy_repository(tmp_path_factory.mktemp("weather"))
    write_weather(checkout)
    checkout.snakemake(config=CONFIG)
    return checkout


@pytest.fixture
def downloading(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Checkout:
    """The same study, to be downloaded by somebody who has no key."""
    checkout = copy_repository(tmp_path / "downloading")
    checkout.edit(CONFIG, "download: none", "download: climate-data-store")
    for name in ("CDSAPI_URL", "CDSAPI_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("CDSAPI_RC", str(tmp_path / "absent"))
    return checkout


def receipts(checkout: Checkout) -> set[str]:
    folder = checkout.folder / "results/mini-era5/era5"
    return {path.relative_to(folder).with_suffix("").as_posix() for path in folder.rglob("*.json")}


# --- files of the user's own


def test_jobs_are_those_that_the_study_asks_for(weather: Checkout) -> None:
    assert weather.announced() == JOBS


def test_nothing_is_left_to_do(weather: Checkout) -> None:
    assert not weather.planned(config=CONFIG)
    assert not receipts(weather)


@pytest.mark.parametrize(("id", "first"), [("west-january", 0), ("west-february", 124)])
def test_trajectories_hold_the_weather(weather: Checkout, id: str, first: int) -> None:
    made = read_trajectories(weather.folder / f"data/mini-era5/trajectories/{id}.nc")
    assert made.values.shape == (5, 6, 2, 8, 8)
    latitude, longitude = np.arange(49.5, 51.5, 0.25), np.arange(4.5, 6.5, 0.25)
    hours = HOURS[first : first + 30]
    tolerance = packing_error(["u10", "v10"], HOURS, LATITUDE, LONGITUDE)
    for channel, name in enumerate(made.channels):
        frames = made.values[:, :, channel].reshape(30, 8, 8)
        np.testing.assert_allclose(frames, field(name, hours, latitude, longitude), atol=tolerance)


def test_the_report_is_there(weather: Checkout) -> None:
    results = weather.folder / "results/mini-era5"
    metrics = pd.read_csv(results / "metrics.csv")
    assert set(metrics.environment) >= {"between", "south"}
    assert {"one-per-env-conditioned", "damped-persistence", "climatology"} <= set(metrics.method)
    assert np.isfinite(metrics.value).all()
    assert "mini-era5" in (results / "report.html").read_text()


# --- downloads


def test_a_download_is_planned_for_each_month_and_region(downloading: Checkout) -> None:
    shown = downloading.snakemake("-n", config=CONFIG).stdout
    for rule, count in (JOBS | {"download_era5": 5}).items():
        assert re.search(rf"^{rule} +{count}$", shown, re.M), rule
    for receipt in RECEIPTS:
        assert f"results/mini-era5/era5/{receipt}.json" in shown


def test_without_a_key_a_download_ends_with_one_line(downloading: Checkout) -> None:
    failed = downloading.snakemake("download", config=CONFIG, ok=False)
    assert failed.returncode != 0
    logs = list((downloading.folder / "results/mini-era5/logs/era5").rglob("*.log"))
    assert logs
    for log in logs:
        job, line = log.read_text().splitlines()  # what was to be done, and one line of what went wrong
        assert job.startswith('job: {"stage": "download_era5"')
        assert line.startswith("weightcast: error: Climate Data Store: found no ")
        assert line in failed.stderr
    assert not receipts(downloading)
    assert not list((downloading.folder / WEATHER).rglob("*.*"))


def test_nothing_is_downloaded_that_is_there(downloading: Checkout) -> None:
    folder = write_weather(downloading)
    before = {path.name: path.stat().st_mtime_ns for path in folder.iterdir()}
    downloading.snakemake("download", config=CONFIG)
    assert receipts(downloading) == RECEIPTS
    receipt = downloading.folder / "results/mini-era5/era5/51.25N_4.5E_49.5N_6.25E/2020-01.json"
    files = {Path(entry["file"]).name for entry in json.loads(receipt.read_text())["files"]}
    assert files == {"first weeks.nc", "from the store"}
    assert {path.name: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert not downloading.planned("download", config=CONFIG)
