"""Samples at several times: written as the file's name says, and read again by the library's own readers."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import xarray as xr
from refusals import refused

from weightcast.core import extras
from weightcast.core.extras import how_to_install
from weightcast.samples.formats import recognise
from weightcast.samples.long_cells import read_long_cells
from weightcast.samples.long_table import read_long_table
from weightcast.samples.read import read_samples
from weightcast.samples.record import Loadings
from weightcast.samples.write import WRITERS, EvolvedSamples, check_format

TIMES = np.array([0.0, 2.5, 4.0])
VALUES = np.random.default_rng(0).normal(size=(3, 5, 2)).astype(np.float32)


def evolved(names: tuple[str, ...] = ("pca_0", "pca_1")) -> EvolvedSamples:
    return EvolvedSamples(TIMES, VALUES, names, np.array([False, False, True]), {"arm": "cde", "seed": 3})


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_what_was_written_is_read_again(tmp_path: Path, suffix: str) -> None:
    if suffix == ".h5ad":
        pytest.importorskip("h5py", reason="h5py is not installed")
    path = tmp_path / f"samples{suffix}"
    evolved().save(path)
    again = path.read_bytes()
    evolved().save(path)
    assert path.read_bytes() == again
    if suffix == ".npz":
        with np.load(path, allow_pickle=False) as found:
            np.testing.assert_array_equal(found["times"], TIMES)
            np.testing.assert_array_equal(found["x"], VALUES)
            assert found["dimensions"].tolist() == ["pca_0", "pca_1"]
            assert found["extrapolated"].tolist() == [False, False, True]
        return
    if suffix == ".nc":
        with xr.open_dataset(path) as found:
            np.testing.assert_array_equal(found["x"].to_numpy(), VALUES)
            assert found.attrs["arm"] == "cde" and found["extrapolated"].to_numpy().tolist() == [0, 0, 1]
        return
    found = read_samples(path, recognise(path), {}, ("pca_0", "pca_1"))
    np.testing.assert_array_equal(found.times, TIMES)
    for time, values in enumerate(found.samples):
        np.testing.assert_allclose(values, VALUES[time], rtol=1e-6)


def test_anndata_reads_it(tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata", reason="anndata is not installed: pip install anndata")
    evolved(("a", "b")).save(tmp_path / "samples.h5ad")
    found = anndata.read_h5ad(tmp_path / "samples.h5ad")
    assert found.shape == (15, 2) and list(found.var_names) == ["a", "b"]
    np.testing.assert_array_equal(found.obs["time"], np.repeat(TIMES, 5))
    assert found.obs["extrapolated"].tolist() == [False] * 10 + [True] * 5
    np.testing.assert_array_equal(found.obsm["X_state"], VALUES.reshape(15, 2))
    assert found.uns["arm"] == "cde"


def several() -> EvolvedSamples:
    """Five samples of two environments, three and two, of coordinates that lead to four genes."""
    components = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 2)))[0].T
    loadings = Loadings(components, np.arange(4.0), ("g0", "g1", "g2", "g3"))
    whose = ["new", "new", "new", "b", "b"]
    return EvolvedSamples(TIMES, VALUES, ("pca_0", "pca_1"), np.zeros(3, bool), {}, whose, loadings)


@pytest.mark.parametrize("suffix", sorted(WRITERS))
def test_the_environment_of_each_sample_is_written(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"samples{suffix}"
    expected = ["new", "new", "new", "b", "b"]
    if suffix == ".h5ad":
        pytest.importorskip("h5py", reason="h5py is not installed")
    several().save(path)
    if suffix == ".nc":
        with xr.open_dataset(path) as found:
            assert found["environment"].to_numpy().tolist() == expected
    elif suffix == ".npz":
        with np.load(path, allow_pickle=False) as found:
            assert found["environments"].tolist() == expected
    elif suffix == ".csv":
        found = pd.read_csv(path)
        assert found.environment.tolist() == 3 * expected and found.columns[0] == "environment"
        # As a long table the library reads it again, environment by environment.
        read = read_long_table(path, {}, ["pca_0", "pca_1"])
        np.testing.assert_allclose(read["b"].samples[1], VALUES[1, 3:], rtol=1e-6)
    else:
        read = read_long_cells(path, {}, None)
        assert list(read) == ["new", "b"]
        np.testing.assert_array_equal(read["b"].samples[2], VALUES[2, 3:])


def test_genes_are_those_of_the_coordinates(tmp_path: Path) -> None:
    """What is written leads back by itself: the library finds its own loadings, and the same genes, within float32."""
    h5py = pytest.importorskip("h5py", reason="h5py is not installed")
    wanted = several()
    assert wanted.loadings is not None
    wanted.save(tmp_path / "samples.h5ad")
    genes = wanted.loadings.restored(VALUES.reshape(15, 2).astype(float))
    with h5py.File(tmp_path / "samples.h5ad") as file:
        np.testing.assert_allclose(file["X"][()], genes, rtol=1e-6, atol=1e-6)
        np.testing.assert_array_equal(file["obsm/X_pca"][()], VALUES.reshape(15, 2))
        np.testing.assert_array_equal(file["var/mean"][()], np.arange(4.0))
        assert [name.decode() for name in file["var/_index"][()]] == ["g0", "g1", "g2", "g3"]
    found = read_samples(tmp_path / "samples.h5ad", "h5ad", {})
    assert found.loadings is not None and found.loadings.genes == wanted.loadings.genes
    np.testing.assert_allclose(found.loadings.components, wanted.loadings.components, atol=1e-7)
    np.testing.assert_allclose(found.loadings.restored(VALUES[1].astype(float)), genes[5:10], atol=1e-5)


def test_anndata_reads_genes_and_environments(tmp_path: Path) -> None:
    anndata = pytest.importorskip("anndata", reason="anndata is not installed: pip install anndata")
    several().save(tmp_path / "samples.h5ad")
    found = anndata.read_h5ad(tmp_path / "samples.h5ad")
    assert found.shape == (15, 4) and list(found.var_names) == ["g0", "g1", "g2", "g3"]
    assert found.obs["environment"].tolist() == 3 * ["new", "new", "new", "b", "b"]
    assert found.varm["PCs"].shape == (4, 2) and found.obsm["X_pca"].shape == (15, 2)


def test_genes_are_written_part_after_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("h5py", reason="h5py is not installed")
    several().save(tmp_path / "whole.h5ad")
    monkeypatch.setattr("weightcast.samples.write_h5ad.BLOCK", 9)  # two cells of four genes
    several().save(tmp_path / "parts.h5ad")
    assert (tmp_path / "whole.h5ad").read_bytes() == (tmp_path / "parts.h5ad").read_bytes()


@pytest.mark.parametrize("name", ["samples", "samples.txt", "samples.pkl", "samples.nc.gz"])
def test_other_endings_are_refused(tmp_path: Path, name: str) -> None:
    with refused(tmp_path / name, "expected one of .nc, .csv, .npz, .h5ad"):
        check_format(tmp_path / name)


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "h5py", None)
    with refused("samples.h5ad", how_to_install("anndata")):
        check_format(tmp_path / "samples.h5ad")


def test_packages_of_an_extra_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = ["torch>=2.5", 'h5py>=3.11; extra == "anndata"', "a<3,>=2; extra == 'two'", 'b==1; extra == "two"']
    monkeypatch.setattr(extras, "requires", lambda name: wanted)
    assert how_to_install("anndata") == "pip install 'h5py>=3.11'"
    assert how_to_install("two") == "pip install 'a<3,>=2' b==1"
    assert how_to_install("none") == "pip install -e '.[none]' in a clone of weightcast"
    monkeypatch.undo()
    assert how_to_install("symbolic").startswith("pip install 'pysindy")
