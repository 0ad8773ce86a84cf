"""Climatologies by season of the very environment's record, beside that of all visible ones."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from weightcast.core.methods import OWN_PREFIX, SEASONAL_CLIMATOLOGY, method
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


def test_a_places_own_season_is_a_reference_for_places_that_are_held_out(trajectories: Path, tmp_path: Path) -> None:
    data = {
        "source": "table", "files": ["air.csv"], "channels": ["u"], "calendar": ["cycle"], "grid": (1, 1),
        "settings": {"cycle": CYCLE}, "frames": FRAMES, "trained_frames": 5,
        "trajectories": {"train": 6, "validation": 2, "test": 3},
    }  # fmt: skip
    settings = {
        "study": "tiny", "data": data, "evaluation": {"horizons": [1, 8]},
        "environments": [{"id": id, "parameters": {}, "role": role} for id, role in ROLE.items()],
    }  # fmt: skip
    output = tmp_path / "without.csv"
    job = {"stage": "evaluate_without_network", "settings": settings, "inputs": {"trajectories": trajectories},
           "outputs": {"output": output}, "device": "cpu"}  # fmt: skip
    run_job(json.dumps(job, default=str))
    rows = pd.read_csv(output)
    rmse = rows[(rows["metric"] == "rmse") & (rows["horizon"] == 8)].set_index(["method", "environment"])["value"]
    own = rmse[OWN_PREFIX + SEASONAL_CLIMATOLOGY]
    assert sorted(own.index) == ["e", "f"]  # visible ones have nothing that is not theirs
    assert (own < 1e-3).all() and (rmse[SEASONAL_CLIMATOLOGY][["e", "f"]] > 1).all()
    told = method(OWN_PREFIX + SEASONAL_CLIMATOLOGY)
    assert (told.family, told.knows, told.has_network) == ("reference", "record", False)
