"""Samples of stochastic systems as files of all formats, for the tests of their readers."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from weightcast.samples.record import TimedSamples
from weightcast.samples.settings import SnapshotSettings

SHARED = Path(__file__).parents[3] / "shared" / "data"
TIMES = np.array([0.0, 0.5, 2.0])


def shared(name: str) -> Path:
    file = SHARED / name
    if not file.is_file():
        pytest.skip(f"real data {file} are not here")
    return file


def counts(trajectories: int = 30, times: int = 3, species: int = 2) -> np.ndarray:
    """[trajectory, time, species]; no two rows the same."""
    return np.arange(trajectories * times * species).reshape(trajectories, times, species)


def rows(samples: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Times [row] in no order, values [row, 2]; the second are whole, and do not number the rows."""
    rng = np.random.default_rng(0)
    times = rng.permutation(np.repeat(TIMES, samples))
    return times, np.stack([times + rng.normal(size=len(times)), 2.0 * rng.permutation(len(times))], axis=1)


def check_rows(found: TimedSamples, times: np.ndarray, values: np.ndarray) -> None:
    assert not found.trajectories
    np.testing.assert_array_equal(found.times, TIMES)
    for time, samples in zip(TIMES, found.samples, strict=True):
        np.testing.assert_array_equal(samples, values[times == time])
        assert samples.dtype == np.float64


def settings(**changes: Any) -> SnapshotSettings:
    given: dict[str, Any] = {"source": "npy", "file": "mine.npy", "state": "counts", "states": 300}
    return SnapshotSettings(**(given | {"dimensions": ["species_0", "species_1"]} | changes))


def write_csv(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def write_table(path: Path) -> tuple[np.ndarray, np.ndarray]:
    times, values = rows()
    table = np.column_stack([np.arange(len(times)), times, values]).tolist()
    lines = [",".join([*map(repr, row), "cell"]) for row in table]
    write_csv(path, "\n".join([",Day,x,y,type", *lines, "", ""]))
    return times, values


def write_h5ad(path: Path, column: Any = None, coordinates: Any = None) -> Path:
    """As anndata 0.12 writes it, with ``obs/day`` written by ``column(obs)``."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install h5py")
    times, values = rows()
    with h5py.File(path, "w") as file:
        obs, obsm = file.create_group("obs"), file.create_group("obsm")
        obs.attrs["_index"] = "_index"
        obs.attrs.create("column-order", ["type", "day"], dtype=h5py.string_dtype())
        obs["_index"] = [str(number) for number in range(len(times))]
        obs["type"] = ["cell"] * len(times)
        if column is None:
            obs["day"] = times
        else:
            column(obs)
        obsm["X_pca"] = values if coordinates is None else coordinates
        obsm.create_group("X_table")
    return path
