"""Samples from AnnData files."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refused
from sample_files import TIMES, check_rows, rows, write_h5ad

from weightcast.samples.formats import recognise
from weightcast.samples.read import read_samples


def test_h5ad(tmp_path: Path) -> None:
    times, values = rows()
    write_h5ad(tmp_path / "mine.h5ad")
    assert recognise(tmp_path / "mine.h5ad") == "h5ad"
    found = read_samples(tmp_path / "mine.h5ad", "h5ad", {})
    check_rows(found, times, values)
    assert found.dimensions == ("pca_0", "pca_1")
    assert found.settings == {"time_column": "day", "representation": "X_pca"}
    first = read_samples(tmp_path / "mine.h5ad", "h5ad", {"first_dimensions": 1})
    check_rows(first, times, values[:, :1])


def categories(obs: Any) -> None:
    group = obs.create_group("day")
    group["categories"] = [f"day_{time:g}" for time in TIMES]
    group["codes"] = np.searchsorted(TIMES, rows()[0]).astype(np.int8)


def old_categories(obs: Any) -> None:
    obs["day"] = np.searchsorted(TIMES, rows()[0]).astype(np.int8)
    obs["__categories/day"] = TIMES


def nullable(obs: Any) -> None:
    group = obs.create_group("day")
    group["values"] = rows()[0]
    group["mask"] = np.zeros(len(rows()[0]), bool)


def text(obs: Any) -> None:
    obs["day"] = [f"day {time:g}" for time in rows()[0]]


@pytest.mark.parametrize("column", [categories, old_categories, nullable, text])
def test_columns_of_times_in_h5ad(tmp_path: Path, column: Any) -> None:
    check_rows(read_samples(write_h5ad(tmp_path / "mine.h5ad", column), "h5ad", {}), *rows())


def missing_category(obs: Any) -> None:
    categories(obs)
    obs["day/codes"][3] = -1


def missing_value(obs: Any) -> None:
    nullable(obs)
    obs["day/mask"][3] = True


def words_without_numbers(obs: Any) -> None:
    obs["day"] = ["early"] * len(rows()[0])


@pytest.mark.parametrize(
    ("column", "words"),
    [
        (missing_category, ("column day: found no value for cell 3",)),
        (missing_value, ("column day: found no value for cell 3",)),
        (words_without_numbers, ("column day: found early", "one number each")),
    ],
)
def test_unfit_columns_in_h5ad(tmp_path: Path, column: Any, words: tuple[str, ...]) -> None:
    with refused("mine.h5ad", *words):
        read_samples(write_h5ad(tmp_path / "mine.h5ad", column), "h5ad", {})


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ({"time_column": "age"}, ("no column 'age'", "type, day")),
        ({"representation": "X_umap"}, ("found no X_umap among X_pca, X_table", "data.settings.representation")),
        ({"representation": "X_table"}, ("no dense array in X_table",)),
        ({"first_dimensions": 3}, ("first_dimensions", "at most 2")),
    ],
)
def test_what_h5ad_lacks(tmp_path: Path, given: dict[str, Any], words: tuple[str, ...]) -> None:
    with refused("mine.h5ad", *words):
        read_samples(write_h5ad(tmp_path / "mine.h5ad"), "h5ad", given)


def test_values_of_h5ad(tmp_path: Path) -> None:
    _, values = rows()
    values[4, 1] = np.nan
    with refused("mine.h5ad", "cell 4, dimension pca_1: found nan"):
        read_samples(write_h5ad(tmp_path / "mine.h5ad", coordinates=values), "h5ad", {})
    with refused("other.h5ad", "found 5 rows, expected 90"):
        read_samples(write_h5ad(tmp_path / "other.h5ad", coordinates=values[:5, :1]), "h5ad", {})


def test_h5ad_of_another_layout(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install h5py")
    with h5py.File(tmp_path / "mine.h5ad", "w") as file:
        file["matrix"] = np.zeros(3)
    with refused("mine.h5ad", "found matrix inside", "obs and obsm"):
        read_samples(tmp_path / "mine.h5ad", "h5ad", {})


def test_h5ad_without_its_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    (tmp_path / "mine.h5ad").write_bytes(b"\x89HDF\r\n\x1a\n")
    with refused("mine.h5ad", "pip install 'h5py"):
        read_samples(tmp_path / "mine.h5ad", "h5ad", {})
