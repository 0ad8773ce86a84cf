"""Forecasts without a network by the very environment's record, beside those by all visible ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from weightcast.core.methods import (
    OWN_FLOOR,
    OWN_PREFIX,
    SEASONAL_CLIMATOLOGY,
    SEASONAL_NAIVE,
    SEASONAL_PERSISTENCE,
    SKILL_FLOOR,
    method,
)
from weightcast.environments.baselines.seasonal_naive import SeasonalNaive
from weightcast.runner import run_job
from weightcast.trajectories import Trajectories, write_trajectories

CYCLE, FRAMES = 12, 9
ROLE = dict.fromkeys("abcd", "visible") | {"e": "interpolation", "f": "extrapolation"}
LEVEL = {id: 3.0 * number for number, id in enumerate(ROLE)}


@pytest.fixture
def trajectories(tmp_path: Path) -> Path:
    """Places that differ in their level alone, and follow the cycle exactly; each window begins elsewhere in it."""
    for id, level in LEVEL.items():
        steps = 5 * np.arange(11)[:, None] + np.arange(FRAMES)  # [window, frame]
        sine, cosine = np.sin(2 * np.pi * steps / CYCLE), np.cos(2 * np.pi * steps / CYCLE)
        values = np.stack([level + 2 * sine + cosine, sine, cosine], axis=2)[..., None, None].astype(np.float32)
        columns = ("u", "cycle_sin", "cycle_cos")
        record = Trajectories(values, columns, np.arange(float(FRAMES)), np.zeros(1), np.zeros(1), id, {})
        write_trajectories(tmp_path / "trajectories" / f"{id}.nc", record)
    return tmp_path / "trajectories"


def errors(folder: Path, output: Path, **changes: object) -> pd.Series:
    """Errors at the last horizon by method and environment, of the stage as a job runs it."""
    data = {
        "source": "table", "files": ["air.csv"], "channels": ["u"], "calendar": ["cycle"], "grid": (1, 1),
        "settings": {"cycle": CYCLE}, "frames": FRAMES, "trained_frames": 5,
        "trajectories": {"train": 6, "validation": 2, "test": 3}, **changes,
    }  # fmt: skip
    settings = {
        "study": "tiny", "data": data, "evaluation": {"horizons": [1, 8]},
        "environments": [{"id": id, "parameters": {}, "role": role} for id, role in ROLE.items()],
    }  # fmt: skip
    job = {"stage": "evaluate_without_network", "settings": settings, "inputs": {"trajectories": folder},
           "outputs": {"output": output}, "device": "cpu"}  # fmt: skip
    run_job(json.dumps(job, default=str))
    rows = pd.read_csv(output)
    assert np.isfinite(rows["value"]).all()
    return rows[(rows["metric"] == "rmse") & (rows["horizon"] == 8)].set_index(["method", "environment"])["value"]


def test_a_places_own_season_is_a_reference_for_places_that_are_held_out(trajectories: Path, tmp_path: Path) -> None:
    rmse = errors(trajectories, tmp_path / "without.csv")
    own = rmse[OWN_PREFIX + SEASONAL_CLIMATOLOGY]
    assert sorted(own.index) == ["e", "f"]  # visible ones have nothing that is not theirs
    assert (own < 1e-3).all() and (rmse[SEASONAL_CLIMATOLOGY][["e", "f"]] > 1).all()
    told = method(OWN_PREFIX + SEASONAL_CLIMATOLOGY)
    assert (told.family, told.knows, told.has_network) == ("reference", "record", False)
    for name in (SEASONAL_NAIVE, SEASONAL_PERSISTENCE):
        assert sorted(rmse[OWN_PREFIX + name].index) == ["e", "f"] and (rmse[OWN_PREFIX + name] < 1e-3).all(), name


def test_each_forecast_without_a_network_is_there_pooled_and_of_the_place(trajectories: Path, tmp_path: Path) -> None:
    rmse = errors(trajectories, tmp_path / "without.csv")
    found = set(rmse.index.get_level_values("method"))
    assert found == {*SKILL_FLOOR, *OWN_FLOOR}
    assert (rmse["own-climatology"] < rmse["climatology"][["e", "f"]]).all()
    assert (rmse["own-damped-persistence"] < rmse["damped-persistence"][["e", "f"]]).all()
    assert abs(rmse["own-climatology"] - 1).max() < 0.15  # a constant, about the place's own mean
    for name in OWN_FLOOR:
        told = method(name)
        assert (told.family, told.knows, told.has_network) == ("reference", "record", False), name
    without = errors(trajectories, tmp_path / "numbers.csv", calendar=[], settings={})
    assert set(without.index.get_level_values("method")) == {name for name in found if "season" not in name}


def test_a_record_that_has_not_been_through_the_season_has_no_such_forecast(trajectories: Path, tmp_path: Path) -> None:
    """One window of nine steps, of a cycle of twelve."""
    counts = {"train": 6, "validation": 2, "test": 3, "unseen_train": 1}
    rmse = errors(trajectories, tmp_path / "without.csv", trajectories=counts)
    found = set(rmse.index.get_level_values("method"))
    assert OWN_PREFIX + SEASONAL_NAIVE not in found and {*SKILL_FLOOR, *OWN_FLOOR} - found == {
        OWN_PREFIX + SEASONAL_NAIVE
    }


def angles(steps: list[int], cycle: int) -> torch.Tensor:
    phase = 2 * torch.pi * torch.tensor(steps) / cycle
    return torch.stack([phase.sin(), phase.cos()], -1)[None]


def test_the_latest_value_at_the_same_time_is_taken() -> None:
    values = torch.arange(8.0)[None, :, None, None, None].repeat(1, 1, 2, 1, 1)
    values[0, :, 1] += 100.0
    values[0, 6, 1] = torch.nan  # the latest of the second channel at this time is one cycle older
    naive = SeasonalNaive.of(values, angles(list(range(8)), 4))
    found = naive(angles([10, 11, 12], 4))
    assert found is not None and found.shape == (1, 3, 2, 1, 1)
    assert found[0, :, 0].flatten().tolist() == [6.0, 7.0, 4.0] and found[0, :, 1].flatten().tolist() == [
        102.0,
        107.0,
        104.0,
    ]
    short = SeasonalNaive.of(values[:, :3], angles([0, 1, 2], 4))
    assert short(angles([4, 5], 4)) is not None and short(angles([5, 6, 7], 4)) is None
    values[0, [2, 6], 1] = torch.nan
    assert SeasonalNaive.of(values, angles(list(range(8)), 4))(angles([10], 4)) is None


def test_all_angles_must_be_the_same_and_years_differ_by_less_than_half_a_week() -> None:
    def two(hours: list[int], days: list[float]) -> torch.Tensor:
        season = 2 * torch.pi * torch.tensor(days) / 365.25
        return torch.cat([angles(hours, 24), torch.stack([season.sin(), season.cos()], -1)[None]], -1)

    values = torch.arange(6.0)[None, :, None, None, None]
    record = two([0, 1, 2, 0, 1, 2], [10.0, 10.0, 10.0, 40.0, 40.0, 40.0])
    naive = SeasonalNaive.of(values, record)
    found = naive(two([1, 2], [12.0, 38.0]))
    assert found is not None and found.flatten().tolist() == [1.0, 5.0]
    assert naive(two([1], [25.0])) is None and naive(two([3], [10.0])) is None
    weekly = SeasonalNaive.of(values[:, :4], angles([358, 0, 7, 14], 365))
    found = weekly(angles([366, 2], 365))  # one day, and two, behind a week of the year before
    assert found is not None and found.flatten().tolist() == [1.0, 1.0]
