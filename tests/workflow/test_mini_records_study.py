"""The real Snakefile on records with gaps: ragged stations, from the file to scores of what is there."""

from __future__ import annotations

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from checkout import Checkout, copy_repository

from weightcast.core.artifacts import load_artifact

CONFIG = "tests/workflow/mini-records.yaml"
PLACES = ("north", "east", "south", "west")
LENGTHS = (260, 257, 260, 251)


def stations() -> xr.Dataset:
    """One station after the other, an eighth of the levels and a few hours of rain missing."""
    random = np.random.default_rng(0)
    parts = []
    for place, length in enumerate(LENGTHS):
        hours = np.arange(float(length))
        level = 5 + place + np.sin(2 * np.pi * hours / 24) + 0.1 * random.normal(size=length)
        level[random.random(length) < 0.125] = np.nan
        rain = random.exponential(size=length)
        rain[random.random(length) < 0.02] = np.nan
        parts.append((level, rain, hours))
    level, rain, hours = (np.concatenate(part) for part in zip(*parts, strict=True))
    return xr.Dataset(
        {
            "level": ("obs", level, {"units": "m"}),
            "rain": ("obs", rain, {"units": "mm"}),
            "time": ("obs", hours, {"units": "hours since 2020-01-01", "standard_name": "time"}),
            "row_size": ("station", np.array(LENGTHS, np.int32), {"sample_dimension": "obs"}),
            "name": ("station", np.array(PLACES, dtype=object), {"cf_role": "timeseries_id"}),
        },
        attrs={"featureType": "timeSeries"},
    )


@pytest.fixture(scope="module")
def records(tmp_path_factory: pytest.TempPathFactory) -> Checkout:
    checkout = copy_repository(tmp_path_factory.mktemp("records"))
    stations().to_netcdf(checkout.folder / "stations.nc")
    checkout.snakemake(config=CONFIG)
    return checkout


def test_gaps_go_the_whole_way(records: Checkout) -> None:
    assert not records.planned(config=CONFIG)
    files = sorted((records.folder / "data/mini-records/trajectories").rglob("*.nc"))
    missing = np.concatenate([np.isnan(xr.load_dataset(file)["level"].to_numpy()).ravel() for file in files])
    assert 0.03 < missing.mean() < 0.2
    metrics = pd.read_csv(records.folder / "results/mini-records/metrics.csv")
    scores = metrics.loc[metrics["metric"] == "rmse", "value"].to_numpy()
    assert {"erm", "finetune-erm", "one-per-env-erm", "autoregression", "persistence"} <= set(metrics["method"])
    own = {"own-climatology", "own-damped-persistence", "own-seasonal-climatology", "own-seasonal-persistence"}
    assert own <= set(metrics["method"])  # of the held-out places' own records, as references
    assert np.isfinite(scores).all() and (scores > 0).all()
    base = load_artifact(records.folder / "results/mini-records/base/erm.safetensors")
    assert all(bool(np.isfinite(tensor.numpy()).all()) for tensor in base.tensors.values())
    assert (records.folder / "results/mini-records/report.html").is_file()
