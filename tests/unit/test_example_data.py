"""Data as somebody else brings them: solved rightly, and in the forms that `weightcast init` reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import xarray as xr
from docs_scripts import docs_script

from weightcast.core.environment_table import read_environments
from weightcast.trajectories.npz_folder import open_npz_folder

TIMES = np.linspace(0, 4, 5)


@pytest.fixture
def examples() -> Iterator[ModuleType]:
    with docs_script("example_data") as script:
        yield script


def test_the_tracer_is_carried_and_spreads(examples: ModuleType) -> None:
    """What does not spread is the start, moved; what is not carried loses its waves as they decay."""
    side = 2 * np.pi * 5**0.5  # after which the point that moves towards (2, 1) is where it was
    moved = examples.tracer(1.0, 0.0, np.array([0.0, side]), np.random.default_rng(1))
    assert np.allclose(moved[:, 1], moved[:, 0], atol=1e-9)
    spread = examples.tracer(0.0, 0.05, np.array([0.0, 2.0]), np.random.default_rng(1))[:, :, 0]
    waves = np.fft.fft2(spread)
    assert np.allclose(waves[:, 1, 2, 3], waves[:, 0, 2, 3] * np.exp(-0.05 * 2.0 * 13), rtol=1e-9)
    assert np.allclose(waves[:, 1, 0, 0], waves[:, 0, 0, 0])  # nothing is lost


def test_an_outbreak_loses_nobody_and_needs_infections(examples: ModuleType) -> None:
    states = examples.outbreak(0.8, 0.2, TIMES, np.random.default_rng(1))
    assert states.shape == (examples.TRAJECTORIES, len(TIMES), 3)
    assert np.allclose(states.sum(axis=2), 1, atol=1e-9)
    assert (states > 0).all()
    without = examples.outbreak(0.0, 0.2, TIMES, np.random.default_rng(1))[:, :, 1]
    assert np.allclose(without, without[:, :1] * np.exp(-0.2 * TIMES), rtol=1e-7)


def test_a_set_is_a_file_an_environment_and_a_table(examples: ModuleType, tmp_path: Path) -> None:
    examples.write_set("outbreak", tmp_path)
    table = read_environments(tmp_path / examples.TABLE)
    visible = np.array([list(row.parameters.values()) for row in table if row.role == "visible"])
    for row in table.unseen:
        values = np.array(list(row.parameters.values()))
        inside = bool(((values >= visible.min(axis=0)) & (values <= visible.max(axis=0))).all())
        assert inside == (row.role == "interpolation"), row
    with xr.open_dataset(tmp_path / f"{table.ids[0]}.nc") as file:
        assert dict(file.sizes) == {"trajectory": examples.TRAJECTORIES, "time": examples.FRAMES}
    assert len(list(tmp_path.glob("*.nc"))) == len(table) == sum(examples.COUNTS.values())


def test_archives_hold_environments_that_all_start_alike(examples: ModuleType, tmp_path: Path) -> None:
    examples.write_adaptation("lotka-volterra", tmp_path)
    assert [len(files) for files in open_npz_folder(tmp_path).ids.values()] == [2] * 13
    with np.load(tmp_path / "train.npz") as train, np.load(tmp_path / "ood_train.npz") as adapted:
        assert train["X"].shape == (9, 4, 20, 2) and adapted["X"].shape == (4, 1, 20, 2)
        assert np.array_equal(train["X"][0, :, 0], train["X"][5, :, 0])
        assert not np.array_equal(train["X"][0, 0, 0], adapted["X"][0, 0, 0])
        assert np.allclose(train["t"], 0.5 * np.arange(20))
