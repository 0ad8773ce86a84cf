"""Samples from AnnData files."""

import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from refusals import refused
from sample_files import TIMES, check_rows, rows, settings, write_h5ad
from scipy import sparse

from weightcast.samples.formats import recognise
from weightcast.samples.read import read_samples
from weightcast.samples.snapshots import read_snapshots, write_snapshots
from weightcast.samples.split import split_snapshots


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
        (words_without_numbers, ("column day: found the labels early", "one number each", "--times-order")),
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
        ({"representation": "X_table"}, ("X_table: found a group, expected a dense or sparse matrix",)),
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


def sparse_group(place: Any, name: str, matrix: Any) -> None:
    group = place.create_group(name)
    group.attrs["encoding-type"] = f"{matrix.format}_matrix"
    group.attrs["shape"] = matrix.shape
    for part in ("data", "indices", "indptr"):
        group[part] = getattr(matrix, part)


@pytest.mark.parametrize("format", ["csr", "csc"])
def test_sparse_coordinates_are_those_of_dense_ones(tmp_path: Path, format: str) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install h5py")
    _, values = rows()
    with h5py.File(write_h5ad(tmp_path / "mine.h5ad"), "a") as file:
        sparse_group(file["obsm"], "X_sparse", getattr(sparse, f"{format}_matrix")(values))
    check_rows(read_samples(tmp_path / "mine.h5ad", "h5ad", {"representation": "X_sparse"}), *rows())
    with h5py.File(tmp_path / "mine.h5ad", "a") as file:
        del file["obsm/X_sparse/data"]
        file["obsm/X_sparse/data"] = np.ones(3)
    with refused("mine.h5ad", "X_sparse", "sparse parts that do not fit"):
        read_samples(tmp_path / "mine.h5ad", "h5ad", {"representation": "X_sparse"})


@pytest.mark.parametrize("place", ["X", "layers/logged"])
@pytest.mark.parametrize("dense", [True, False])
def test_principal_components_of_genes_lead_back_to_them(tmp_path: Path, place: str, dense: bool) -> None:
    """Genes of three factors: three components are all there is, so that the way back is exact."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install h5py")
    random = np.random.default_rng(1)
    times, _ = rows()
    genes = random.normal(size=(len(times), 3)) @ random.normal(size=(3, 12)) + random.normal(size=12)
    with h5py.File(write_h5ad(tmp_path / "mine.h5ad"), "a") as file:
        var = file.create_group("var")
        var.attrs["_index"] = "_index"
        var["_index"] = [f"gene {number}" for number in range(12)]
        if dense:
            file[place] = genes
        else:
            sparse_group(file, place, sparse.csr_matrix(genes))
    found = read_samples(tmp_path / "mine.h5ad", "h5ad", {"representation": place, "first_dimensions": 3})
    assert found.dimensions == ("pca_0", "pca_1", "pca_2")
    assert found.loadings is not None and found.loadings.genes[:2] == ("gene 0", "gene 1")
    for time, samples in zip(found.times, found.samples, strict=True):
        np.testing.assert_allclose(found.loadings.restored(samples), genes[times == time], atol=1e-8)
    whitened = found.whitened()
    assert whitened.loadings is not None
    for time, samples in zip(whitened.times, whitened.samples, strict=True):
        np.testing.assert_allclose(whitened.loadings.restored(samples), genes[times == time], atol=1e-8)
    assert np.concatenate(found.samples).var(0)[0] > np.concatenate(found.samples).var(0)[2]
    chosen = settings(source="h5ad", file="mine.h5ad", state="real", states=None, dimensions=list(found.dimensions))
    write_snapshots(tmp_path / "snapshots.nc", split_snapshots(found, chosen, 0))
    kept = read_snapshots(tmp_path / "snapshots.nc").loadings
    assert kept is not None and kept.genes == found.loadings.genes
    np.testing.assert_array_equal(kept.components, found.loadings.components)
    with refused("mine.h5ad", place, "90 cells of 12 genes", "first_dimensions (12)"):
        read_samples(tmp_path / "mine.h5ad", "h5ad", {"representation": place, "first_dimensions": 12})


def test_cells_of_one_condition(tmp_path: Path) -> None:
    h5py = pytest.importorskip("h5py", reason="h5py is not installed: pip install h5py")
    times, values = rows()
    batch = np.arange(len(times)) % 2
    with h5py.File(write_h5ad(tmp_path / "mine.h5ad"), "a") as file:
        file["obs/type"][...] = np.where(batch, "b", "a").astype(object)
    found = read_samples(tmp_path / "mine.h5ad", "h5ad", {"condition": {"type": "b"}})
    check_rows(found, times[batch == 1], values[batch == 1])
    with refused("mine.h5ad", "found no cell with type c", "a, b"):
        read_samples(tmp_path / "mine.h5ad", "h5ad", {"condition": {"type": "c"}})


def test_labels_of_times_in_an_order_that_is_given(tmp_path: Path) -> None:
    def stages(obs: Any) -> None:
        obs["day"] = [{0.0: "iPSC", 0.5: "progenitor", 2.0: "neuron"}[time] for time in rows()[0]]

    file = write_h5ad(tmp_path / "mine.h5ad", stages)
    order = {"iPSC": 0.0, "progenitor": 0.5, "neuron": 2.0}
    check_rows(read_samples(file, "h5ad", {"time_labels": order}), *rows())
    with refused("mine.h5ad", "found neuron without a time", "--times-order"):
        read_samples(file, "h5ad", {"time_labels": {"iPSC": 0.0, "progenitor": 0.5}})
