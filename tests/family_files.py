"""Samples of births and deaths in a dozen environments, as users' files hold them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
import pytest

TIMES = (0.0, 1.0, 2.0, 3.0, 4.0)
START = 12


def rates(environments: int) -> list[float]:
    """Of births: no two the same, in no order."""
    return [float(4 + (5 * place) % environments) for place in range(environments)]


def births(environments: int = 8, samples: int = 40, times: tuple[float, ...] = TIMES) -> pd.DataFrame:
    """A row for each trajectory at each time; at time 0 all have as many molecules.

    Columns: well (a label that is no id), time, trajectory, X, rate and line, which never change in a well, n_counts.
    Each time's law is the exact one: binomial survivors and Poisson newcomers; trajectories are so in name alone.
    """
    random = np.random.default_rng(0)
    parts = []
    for place, rate in enumerate(rates(environments)):
        for time in times:
            survive = np.exp(-0.8 * time)
            values = random.binomial(START, survive, samples) + random.poisson(rate / 0.8 * (1 - survive), samples)
            parts.append(
                pd.DataFrame(
                    {
                        "well": f"well {place}",
                        "time": time,
                        "trajectory": np.arange(samples),
                        "X": values,
                        "rate": rate,
                        "line": ("HeLa", "A549")[place % 2],
                        "n_counts": 1000.0 * values + place,
                    }
                )
            )
    return pd.concat(parts, ignore_index=True)


def write_folder(folder: Path, frame: pd.DataFrame, columns: list[str]) -> Path:
    """A table for each well, w0.csv, w1.csv, ..."""
    folder.mkdir()
    for place, (_, own) in enumerate(frame.groupby("well", sort=False)):
        own[columns].to_csv(folder / f"w{place}.csv", index=False)
    return folder


def write_cells(path: Path, frame: pd.DataFrame, genes: int = 6, with_loadings: bool = True) -> np.ndarray:
    """An AnnData file with a cell for each row: well and line as categories, three factors of genes.

    Returns:
        the genes [cell, gene], whose principal components are X_pca, exactly three, with loadings in varm.
    """
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install h5py")
    random = np.random.default_rng(1)
    factors = np.stack([frame.X, random.normal(size=len(frame)), frame.X * random.normal(size=len(frame))], axis=1)
    values = factors @ random.normal(size=(3, genes)) + random.normal(size=genes)
    components = np.linalg.svd(values - values.mean(0), full_matrices=False)[2][:3]
    with h5py.File(path, "w") as file:
        obs = file.create_group("obs")
        obs.attrs["_index"] = "_index"
        obs.attrs.create("column-order", ["well", "day", "line"], dtype=h5py.string_dtype())
        obs["_index"] = [str(number) for number in range(len(frame))]
        obs["day"] = frame.time.to_numpy()
        for name in ("well", "line"):
            group = obs.create_group(name)
            kinds, codes = np.unique(frame[name].to_numpy(str), return_inverse=True)
            group["categories"], group["codes"] = kinds.astype(object), codes.astype(np.int8)
        var = file.create_group("var")
        var.attrs["_index"] = "_index"
        var["_index"] = [f"gene {number}" for number in range(genes)]
        file["X"] = values
        file["obsm/X_pca"] = (values - values.mean(0)) @ components.T
        if with_loadings:
            file["varm/PCs"] = components.T
    return values
